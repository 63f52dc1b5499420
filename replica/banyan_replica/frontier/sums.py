"""Sums over the rows of a frontier under one key: the cells of a sketch, and counts and sums of heads by prefix of the
account id.

Cells find few differences among very many heads. If there are too many for a table, ranges are compared and divided
(like the fingerprints of negentropy, in the same field). Both are sums, so a head that moves adds a difference to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from banyan_crdt.ids import Head, LogId
from banyan_replica.frontier.rows import (
    SLICE,
    Rows,
    heads_among,
    id_words,
    name_words,
    size_of,
    sizes_of,
    weights_of,
    words_of,
)
from banyan_replica.frontier.sketch import (
    FEW,
    Indexes,
    Key,
    Numbers,
    P,
    add,
    add_one,
    empty,
    halves,
    key_of,
    mulmod,
    submod,
    summed,
    weight,
)

DEPTH = 4
"""Nibbles of the longest prefix whose sums are kept: 65,536 ranges, about 15 accounts each at a million."""
RANGES = 16**DEPTH
Range: TypeAlias = tuple[int, bytes]
"""(number of heads, their two sums in 16 bytes)."""
_SHIFT = 61 - 4 * DEPTH


@dataclass(slots=True)
class FrontierTable:
    """`built`: how many rows are in it while it is being built, then None. `sums`: by range, the number of heads, the
    sum of t and the sum of t h; empty where ranges are read off the rows."""

    key: Key
    built: int | None = None
    cells: Numbers = field(default_factory=empty)
    sums: Numbers = field(default_factory=lambda: np.zeros((RANGES, 3), np.uint64))

    def take(self, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
        """Adds rows. `heads`: 1 for each row with a head, otherwise 0."""
        add(self.cells, h, t)
        if len(self.sums):
            _add_ranges(self.sums, x0, h, t, heads)

    def sum_up(self, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
        """Keeps sums from now on. Given are all rows that are in the table."""
        self.sums = np.zeros((RANGES, 3), np.uint64)
        _add_ranges(self.sums, x0, h, t, heads)

    def move(self, x0: Numbers, h: Numbers, old: Numbers, new: Numbers, more: npt.NDArray[np.int64]) -> None:
        """Changes weights from `old` to `new`. `more`: +1 if the row has a head now and had none, -1 if it lost it."""
        self.take(x0, h, submod(new, old), more)

    def move_one(self, x0: int, h: int, t: int, more: int) -> None:
        """The same for one log, whose weight grew by `t` modulo p."""
        add_one(self.cells, h, t)
        if len(self.sums):
            at = x0 >> _SHIFT
            count, s0, s1 = self.sums[at].tolist()
            self.sums[at] = count + more, (s0 + t) % P, (s1 + t * h) % P

    def sums_below(self, prefix: bytes) -> bool:
        """Whether `children` says what is below the prefix."""
        return len(prefix) < DEPTH and len(self.sums) > 0

    def children(self, prefix: bytes) -> list[Range]:
        """The range below each of the 16 nibbles that may follow the prefix."""
        at = 0
        for n in prefix:
            at = at << 4 | n
        width = 16 ** (DEPTH - len(prefix))
        inside = self.sums[at * width : (at + 1) * width].reshape(16, -1, 3)
        sums = [_total(inside[:, :, k]) for k in (1, 2)]
        return [_range(*row) for row in zip(inside[:, :, 0].sum(axis=1).tolist(), *sums, strict=True)]

    def ranges(self, below: npt.NDArray[np.intp], h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> list[Range]:
        """The same for any rows. `below`: the next nibble of each."""
        counts = np.bincount(below, heads, 16).astype(np.int64)
        sums = [_binned(below, lane, np.zeros(16, np.uint64)).tolist() for lane in (t, mulmod(t, h))]
        return [_range(*row) for row in zip(counts.tolist(), *sums, strict=True)]


def _add_ranges(sums: Numbers, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
    at, nth = np.unique((x0 >> np.uint64(_SHIFT)).astype(np.intp), return_inverse=True)
    sums[at, 0] += np.bincount(nth, heads, len(at)).astype(np.int64).view(np.uint64)  # a negative count wraps
    for k, lane in ((1, t), (2, mulmod(t, h))):
        sums[at, k] = _binned(nth, lane, sums[at, k])


def _binned(at: npt.NDArray[np.intp], values: Numbers, onto: Numbers) -> Numbers:
    sums = np.zeros((2, len(onto)))
    for half, total in zip(halves(values), sums, strict=True):
        total += np.bincount(at, half, len(onto))
    return summed(sums[0], sums[1], onto)


def _total(rows: Numbers) -> list[int]:
    low = (rows & np.uint64(0xFFFFFFFF)).sum(axis=1).tolist()
    high = (rows >> np.uint64(32)).sum(axis=1).tolist()
    return [(a + (b << 32)) % P for a, b in zip(low, high, strict=True)]


def _range(count: int, s0: int, s1: int) -> Range:
    return count, s0.to_bytes(8, "big") + s1.to_bytes(8, "big")


# Rows belong to logs (rows.py), a table to a salt. The one under the realm's key is always there; others are built on
# demand, slice by slice, while heads move: a row is followed in the tables that have come to it.

SUMMED = 4_096
"""Up to so many rows, ranges are read off them when they are asked for, in 0.3 ms: what is kept of ranges is 1.5 MB."""


class RowSums:
    """`rows`, and `tables` by salt; the salt of the public one is empty."""

    def __init__(self, rows: Rows, public: FrontierTable) -> None:
        self.rows = rows
        self.tables = {b"": public}

    @property
    def public(self) -> FrontierTable:
        return self.tables[b""]

    def begin(self, salt: bytes) -> None:
        """Have a table built under this salt by `build`."""
        if salt not in self.tables:
            made = self.tables[salt] = FrontierTable(key_of(salt), 0)
            if self.rows.n <= SLICE:  # so few are read when ranges are asked for, which is seldom
                made.sums = empty(0)

    @property
    def building(self) -> bool:
        """Whether `build` has something to do."""
        return len(self.tables) > 1 and any(t.built is not None for t in self.tables.values())

    def build(self) -> bool:
        """One slice of a table that is being built; False where none is."""
        for table in self.tables.values():
            if table.built is not None:
                rows = slice(table.built, min(table.built + SLICE, self.rows.n))
                if rows.stop - rows.start <= FEW:
                    for row in range(rows.start, rows.stop):
                        t = self.rows.weight(table.key, row)
                        table.move_one(*self.rows.place(table.key, row), t, int(self.rows.columns.size[row] > 0))
                else:
                    self.put(table, rows)
                table.built = rows.stop if rows.stop < self.rows.n else None
                return True
        return False

    def put(self, table: FrontierTable, rows: slice) -> None:
        """Adds rows to a table that has none of them."""
        table.take(self.rows.columns.x0[rows], *self.rows.items(table.key, rows), self.rows.heads(rows))

    def sum_up(self) -> None:
        """Keeps sums in the public table from SUMMED rows on."""
        if self.rows.n > SUMMED and not len(self.public.sums):
            rows = slice(0, self.rows.n)
            self.public.sum_up(
                self.rows.columns.x0[rows], *self.rows.items(self.public.key, rows), self.rows.heads(rows)
            )

    def append(self, heads: Mapping[LogId, Head]) -> None:
        """Logs that have no row yet; the public table takes them."""
        rows = self.rows.append(*words_of(heads))
        self.rows.columns.size[rows] = sizes_of(heads)
        self.put(self.public, rows)

    def move(self, moves: Mapping[LogId, Head]) -> list[Indexes]:
        """Rows and tables follow heads that moved; returns which rows did."""
        if len(moves) <= FEW:
            return [np.array([self._move_one(log, head)]) for log, head in moves.items()]
        x0, x1, y0, y1 = words_of(moves)
        size = sizes_of(moves)
        rows = self.rows.rows_of(x0, x1)
        columns = self.rows.columns
        for table in self.tables.values():
            on = slice(None) if table.built is None else np.flatnonzero(rows < table.built)
            at = rows[on]
            h, old = self.rows.items(table.key, at)
            more = heads_among(size[on]) - self.rows.heads(at)
            table.move(x0[on], h, old, weights_of(table.key, y0[on], y1[on], size[on]), more)
        columns.y0[rows], columns.y1[rows], columns.size[rows] = y0, y1, size
        return [rows]

    def _move_one(self, log: LogId, head: Head) -> int:
        row, size = self.rows.row_of(*name_words(log)), size_of(head)
        columns = self.rows.columns
        followers = [t for t in self.tables.values() if t.built is None or row < t.built]
        old = [self.rows.weight(table.key, row) for table in followers]
        more = int(size > 0) - int(columns.size[row] > 0)
        (columns.y0[row], columns.y1[row]), columns.size[row] = id_words(head), size
        for table, less in zip(followers, old, strict=True):
            table.move_one(*self.rows.place(table.key, row), (self.rows.weight(table.key, row) - less) % P, more)
        return row

    def children(self, table: FrontierTable, prefix: bytes) -> list[Range]:
        """(count, sum) below each nibble that may come next. Where no sums are kept, this reads all rows."""
        if table.sums_below(prefix):
            return table.children(prefix)
        shift = np.uint64(61 - 4 * len(prefix))
        value = np.uint64(int.from_bytes(packed(prefix), "big") >> 64 - 4 * len(prefix))
        x0 = self.rows.columns.x0
        rows = np.flatnonzero(x0[: self.rows.n] >> shift == value)
        below = (x0[rows] >> shift - np.uint64(4) & np.uint64(15)).astype(np.intp)
        return table.ranges(below, *self.rows.items(table.key, rows), self.rows.heads(rows))

    def weigh(self, salt: bytes, head: Head) -> int:
        """The head's weight under a salt; 0 if it is no head."""
        key: Key = self.tables[salt].key
        return weight(key, *id_words(head), head.length, head.flag) if is_head(head) else 0


def is_head(head: Head) -> bool:
    return bool(head.length or head.flag)


def packed(prefix: bytes, size: int = 8) -> bytes:
    """Nibbles as bytes, zeros behind."""
    return bytes(a << 4 | b for a, b in zip(prefix[::2], (prefix[1:] + b"\0")[::2], strict=False)).ljust(size, b"\0")
