"""Keeps a frontier's rows beside the store: writes them while heads move, and reads them at the next start.

The columns are written slice by slice while heads move, so they are of different moments. Then, at one moment when
nothing is pending, the rows that moved meanwhile and the public table are written. When these are put over the columns,
everything is right for one position of the store (banyan_storage/head_moves.py). Heads that moved later are applied.

The invariant: kept rows are trusted only if the checksum is right, they name this store and key, and the store can tell
what moved since their position. Otherwise they are ignored, and the heads are read from the store.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from banyan_replica.frontier.rows import KINDS, RowColumns, Rows, SortedRun
from banyan_replica.frontier.sketch import CELLS, Indexes, Key
from banyan_replica.frontier.sums import RANGES, FrontierTable
from banyan_storage.head_moves import POSITION, HeadMoves

# Columns of bytes that a driver writes and maps. The replica does no I/O: it asks a `RowStore` for what was kept last,
# and gives it a new `RowsDraft` slice by slice. The node keeps a file (rows_file.py); a simulator may keep memory or
# nothing. The promise, which tests/node/test_rows_file.py checks for both:
#
# - `load` gives exactly what was given to one draft and its `finish`, or nothing. If the power fails before a draft is
#   `done`, the next `load` gives this draft or the one before it.
# - `check` finds damage. A caller that uses columns before `check` has ended must be ready to discard them.
# - Columns from `load` may be written to. This changes nothing that is kept.

Bytes = npt.NDArray[np.uint8]


class Size(NamedTuple):
    """The size of a column in bytes: what will be written, and the room that it needs to grow after loading."""

    used: int
    room: int


class SavedRows(Protocol):
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


class RowStore(Protocol):
    """Where drafts are kept."""

    def load(self) -> SavedRows | None: ...

    def draft(self, columns: Sequence[Size]) -> RowsDraft:
        """Begins a new draft. One at a time."""


class MemoryRowStore:
    """In memory. What is finished is done."""

    def __init__(self) -> None:
        self.kept: MemorySavedRows | None = None

    def load(self) -> MemorySavedRows | None:
        return self.kept and MemorySavedRows(
            self.kept.about, [column.copy() for column in self.kept.columns], self.kept.tail
        )

    def draft(self, columns: Sequence[Size]) -> MemoryDraft:
        return MemoryDraft(self, columns)


class MemorySavedRows:
    """What a MemoryRowStore kept."""

    def __init__(self, about: bytes, columns: Sequence[Bytes], tail: bytes) -> None:
        self.about, self.columns, self.tail = about, columns, tail

    def check(self) -> Iterator[bool]:
        return iter((True,))


class MemoryDraft:
    """A draft of a MemoryRowStore."""

    free, fault = True, None

    def __init__(self, row_store: MemoryRowStore, columns: Sequence[Size]) -> None:
        self._row_store, self._sizes = row_store, columns
        self._columns = [bytearray() for _ in columns]
        self.done = False

    def put(self, column: int, data: bytes) -> None:
        self._columns[column] += data

    def finish(self, about: bytes, tail: bytes) -> None:
        columns = [
            np.frombuffer(raw.ljust(size.room, b"\0"), np.uint8)
            for raw, size in zip(self._columns, self._sizes, strict=True)
        ]
        self._row_store.kept, self.done = MemorySavedRows(about, columns, tail), True

    def wait(self) -> None:
        return

    def drop(self) -> None:
        return


# -- writing and reading rows

PIECE = 1 << 20
"""The bytes that one step writes: about 1 ms."""
LAY = 16_384
"""The rows that one step puts over the columns."""
VERSION = 1
LEAST = 16_384
"""Rows are kept from this number on; fewer are read quickly."""
EVERY = 65_536
"""A draft begins after this many heads moved, or a 32nd of the rows if that is more. A start must apply so many."""
AT_END = 16_384
"""At a stop rows are kept if this many heads moved, or a 256th of the rows if that is more: about 0.2 s of a start."""
_ABOUT = struct.Struct(f"<I4s16s16s{POSITION}sQ32sQQQQ")
_ITEM = [np.dtype(kind).itemsize for kind in KINDS]
_CELLS, _SUMS = CELLS * 24, RANGES * 24


class RowPersistence(NamedTuple):
    """Where rows are kept, and which moves the store recorded. `store_id`: 16 bytes."""

    row_store: RowStore
    moves: HeadMoves
    store_id: bytes


class SavedRowsHeader(NamedTuple):
    """What kept rows say of themselves. `position`, `heads`, `root`: of the store for which they are right. Then
    numbers of rows: `columns` in the columns, `base` sorted, `laid` to be put over the columns, `rows` all."""

    position: bytes
    heads: int
    root: bytes
    columns: int
    base: int
    laid: int
    rows: int


def due(rows: int, moved: int) -> bool:
    """Whether a draft of `rows` rows is to begin after `moved` moves."""
    return rows >= LEAST and moved >= max(EVERY, rows >> 5)


def due_at_end(rows: int, moved: int) -> bool:
    """The same at a stop."""
    return rows >= LEAST and moved >= max(AT_END, rows >> 8)


def _tag(public: Key) -> bytes:
    return hashlib.sha256(repr(tuple(public)).encode()).digest()[:16]


def _order() -> bytes:
    return (1).to_bytes(4, sys.byteorder)


class RowsWriter:
    """One draft under way. It uses the columns of the moment when it began; the rows may get other ones meanwhile."""

    def __init__(self, keeping: RowPersistence, rows: Rows) -> None:
        self.keeping, self._columns = keeping, (*rows.columns, *rows.base)
        self._counts = [rows.n] * 5 + [len(rows.base.places)] * 2
        room = [rows.n + (rows.n >> 3) + LEAST] * 5 + self._counts[5:]
        self.draft: RowsDraft = keeping.row_store.draft(
            [Size(n * item, most * item) for n, most, item in zip(self._counts, room, _ITEM, strict=True)]
        )
        self._column = self._row = 0
        self.moved: list[Indexes] = []
        """Rows that moved since it began."""
        self.position: bytes | None = None
        """The position for which it is right, once it is finished."""

    @property
    def written(self) -> bool:
        """Whether all columns are written, so that only `finish` is missing."""
        return self._column == len(self._columns)

    @property
    def wants(self) -> bool:
        """Whether `step` can go on now."""
        return not self.written and self.draft.free

    @property
    def ended(self) -> bool:
        """Whether `finish` was called."""
        return self.position is not None

    def step(self) -> None:
        """Writes the next piece."""
        column, n = self._columns[self._column], self._counts[self._column]
        stop = min(self._row + PIECE // _ITEM[self._column], n)
        self.draft.put(self._column, column[self._row : stop].tobytes())
        self._row = stop
        if stop == n:
            self._column, self._row = self._column + 1, 0

    def finish(self, public: Key, rows: Rows, table: FrontierTable, count: int, root: bytes) -> None:
        """Writes the rows that moved, the table and the header. All moves must be applied, and nothing pending."""
        n = self._counts[0]
        moved = np.concatenate([*self.moved, np.arange(n, rows.n)])
        laid = np.unique(moved, return_inverse=True)[0].astype(np.uint32)  # without it numpy.ma is imported: 80 ms
        parts = [table.cells, table.sums, laid, *(column[laid] for column in rows.columns)]
        self.position = self.keeping.moves.position
        about = _ABOUT.pack(
            VERSION,
            _order(),
            self.keeping.store_id,
            _tag(public),
            self.position,
            count,
            root,
            n,
            self._counts[5],
            len(laid),
            rows.n,
        )
        self.draft.finish(about, b"".join([part.tobytes() for part in parts]))


def about_of(kept: SavedRows, store_id: bytes, public: Key) -> SavedRowsHeader | None:
    """The header of kept rows. None if it is of another store, realm, machine or version, or does not fit its
    columns."""
    if len(kept.about) != _ABOUT.size:
        return None
    version, order, store, tag, *rest = _ABOUT.unpack(kept.about)
    if (version, order, store, tag) != (VERSION, _order(), store_id, _tag(public)):
        return None
    about = SavedRowsHeader(*rest)
    n, base = about.columns, about.base
    sizes = [n * item for item in _ITEM[:5]] + [base * item for item in _ITEM[5:]]
    whole = len(kept.columns) == len(sizes) and all(len(c) >= s for c, s in zip(kept.columns, sizes, strict=True))
    tail = _CELLS + _SUMS + about.laid * (4 + sum(_ITEM[:5]))
    return about if whole and base <= n <= about.rows and len(kept.tail) == tail else None


def open_rows(
    kept: SavedRows, about: SavedRowsHeader, public: Key, out: list[tuple[Rows, FrontierTable]]
) -> Iterator[bool]:
    """Checks everything and puts the rows and their table into `out`, in steps. Yields False if it is damaged."""
    yield from kept.check()
    columns = RowColumns(*(raw.view(kind) for raw, kind in zip(kept.columns[:5], KINDS[:5], strict=True)))
    places, order = (raw.view(kind) for raw, kind in zip(kept.columns[5:], KINDS[5:], strict=True))
    tail, at = kept.tail, _CELLS + _SUMS
    cells = np.frombuffer(tail, np.uint64, CELLS * 3).reshape(-1, 3).copy()
    sums = np.frombuffer(tail, np.uint64, RANGES * 3, _CELLS).reshape(-1, 3).copy()
    laid = np.frombuffer(tail, np.uint32, about.laid, at)
    at += laid.nbytes
    if len(laid) and int(laid[-1]) >= about.rows:
        yield False
    rows = Rows(public)
    rows.columns, rows.n = columns, about.columns
    rows.reserve(about.rows)
    for column in rows.columns:
        values = np.frombuffer(tail, column.dtype, about.laid, at)
        at += values.nbytes
        for start in range(0, about.laid, LAY):
            column[laid[start : start + LAY]] = values[start : start + LAY]
            yield True
    base = SortedRun(places[: about.base], order[: about.base])
    out.append((Rows.of(public, rows.columns, about.rows, base), FrontierTable(public, None, cells, sums)))
