"""Where rows are kept from one run to the next: columns of bytes that a driver writes and maps. This is a cache.

The replica does no I/O. It asks a `Keeper` for what was kept last, and gives it a new `RowsDraft` slice by slice, which
the driver writes in the background. The node keeps a file (rows_file.py); a simulator may keep memory or nothing. The
promise, which tests/node/test_kept.py checks for both:


- `load` gives exactly what was given to one draft and its `finish`, or nothing. If the power fails before a draft is
  `done`, the next `load` gives this draft or the one before it.
- `check` finds damage. A caller that uses columns before `check` has ended must be ready to discard them.
- Columns from `load` may be written to. This changes nothing that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Size(NamedTuple):
    """The size of a column in bytes: what will be written, and the room that it needs to grow after loading."""

    used: int
    room: int


class KeptRows(Protocol):
    """What was kept. `about` and `tail`: as given to `RowsDraft.finish`."""

    @property
    def about(self) -> bytes: ...

    @property
    def columns(self) -> Sequence[Bytes]:
        """Each with its whole room; zeros after what was written."""

    @property
    def tail(self) -> bytes: ...

    def check(self) -> Iterator[bool]:
        """Checks everything, in slices of some ms. Yields True, and False once if anything is damaged."""


class RowsDraft(Protocol):
    """What will be kept. Nothing raises: an error of the disk is in `fault`, and the driver reports it."""

    @property
    def free(self) -> bool:
        """Whether `put` would not wait."""

    def put(self, column: int, data: bytes) -> None:
        """Appends bytes to a column. Waits while it is not free."""

    def finish(self, about: bytes, tail: bytes) -> None:
        """All columns are complete: makes the draft durable, in the background."""

    @property
    def done(self) -> bool:
        """Whether it is durable, so that the next `load` gives it, or has failed for good."""

    @property
    def fault(self) -> str | None: ...

    def wait(self) -> None:
        """Waits until it is done."""

    def drop(self) -> None:
        """Discards it. Has no effect after `finish`."""


class Keeper(Protocol):
    """Where drafts are kept."""

    def load(self) -> KeptRows | None: ...

    def draft(self, columns: Sequence[Size]) -> RowsDraft:
        """Begins a new draft. One at a time."""


class MemoryKeeper:
    """A keeper in memory. What is finished is done."""

    def __init__(self) -> None:
        self.kept: MemoryKept | None = None

    def load(self) -> MemoryKept | None:
        return self.kept and MemoryKept(
            self.kept.about, [column.copy() for column in self.kept.columns], self.kept.tail
        )

    def draft(self, columns: Sequence[Size]) -> MemoryDraft:
        return MemoryDraft(self, columns)


class MemoryKept:
    """What a MemoryKeeper kept."""

    def __init__(self, about: bytes, columns: Sequence[Bytes], tail: bytes) -> None:
        self.about, self.columns, self.tail = about, columns, tail

    def check(self) -> Iterator[bool]:
        return iter((True,))


class MemoryDraft:
    """A draft of a MemoryKeeper."""

    free, fault = True, None

    def __init__(self, keeper: MemoryKeeper, columns: Sequence[Size]) -> None:
        self._keeper, self._sizes = keeper, columns
        self._columns = [bytearray() for _ in columns]
        self.done = False

    def put(self, column: int, data: bytes) -> None:
        self._columns[column] += data

    def finish(self, about: bytes, tail: bytes) -> None:
        columns = [
            np.frombuffer(raw.ljust(size.room, b"\0"), np.uint8)
            for raw, size in zip(self._columns, self._sizes, strict=True)
        ]
        self._keeper.kept, self.done = MemoryKept(about, columns, tail), True

    def wait(self) -> None:
        return

    def drop(self) -> None:
        return
