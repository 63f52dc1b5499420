"""Where rows are kept from one run to the next: columns of bytes that a driver writes and maps. A cache.

The replica's side does no I/O. It asks a `Keeper` for what was kept last, and hands it a new `RowsDraft` slice by
slice; the driver writes behind its back. The node keeps a file (rows_file.py), a simulator may keep memory or nothing.
The promise, which tests/node/test_kept.py holds both to:

- What `load` gives is what one `finish` was given, whole, or nothing. A draft that was not finished, or was finished
  and not yet `done`, may be there later or the one before it may, whatever moment the power goes.
- `check` tells damage. Who uses columns before it has ended has to be ready to throw them away.
- Columns of `load` may be written to. That changes nothing that is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Size(NamedTuple):
    """Of a column in bytes: what will be written, and with the room that it has to grow once it is loaded."""

    used: int
    room: int


class KeptRows(Protocol):
    """What was kept."""

    @property
    def about(self) -> bytes: ...

    @property
    def columns(self) -> Sequence[Bytes]:
        """Each with its whole room; zeros behind what was written."""

    @property
    def tail(self) -> bytes: ...

    def check(self) -> Iterator[bool]:
        """In slices of some ms: True, and False once if anything is damaged."""


class RowsDraft(Protocol):
    """What will be kept. A fault of the disk shows in `fault`, and the driver tells of it; nothing raises."""

    @property
    def free(self) -> bool:
        """Whether it takes more without waiting."""

    def put(self, column: int, data: bytes) -> None:
        """The next bytes of a column. Waits while it is not free."""

    def finish(self, about: bytes, tail: bytes) -> None:
        """All columns are there. From now on it becomes durable."""

    @property
    def done(self) -> bool:
        """Whether it is durable and the next `load` gives it; or failed for good."""

    @property
    def fault(self) -> str | None: ...

    def wait(self) -> None:
        """Until it is done."""

    def drop(self) -> None:
        """Forget it. Nothing happens where it is finished."""


class Keeper(Protocol):
    def load(self) -> KeptRows | None: ...

    def draft(self, columns: Sequence[Size]) -> RowsDraft:
        """Begin a new one. One at a time."""


class MemoryKeeper:
    """Keeps in memory; what is finished is done."""

    def __init__(self) -> None:
        self.kept: MemoryKept | None = None

    def load(self) -> MemoryKept | None:
        return self.kept and MemoryKept(
            self.kept.about, [column.copy() for column in self.kept.columns], self.kept.tail
        )

    def draft(self, columns: Sequence[Size]) -> MemoryDraft:
        return MemoryDraft(self, columns)


class MemoryKept:
    def __init__(self, about: bytes, columns: Sequence[Bytes], tail: bytes) -> None:
        self.about, self.columns, self.tail = about, columns, tail

    def check(self) -> Iterator[bool]:
        return iter((True,))


class MemoryDraft:
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
