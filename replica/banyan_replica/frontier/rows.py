"""The rows of a frontier: 36 bytes per log in columns, and 12 bytes more to find a log's row by its place.

A row has two words of the log's name, two words of its head's id, its length and its flag. It keeps its number and is
never removed. Rows are sorted by place under the public key, in two sorted sequences and a dictionary: `base` is long
and may be in a mapped file, `recent` has at most a sixteenth of it, `_later` has the newest. A sequence is replaced,
never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from banyan_crdt.ids import H, Head, LogId
from banyan_replica.frontier.sketch import (
    LENGTH_BITS,
    Indexes,
    Key,
    Numbers,
    fingerprint,
    place,
    places,
    weight,
    weights,
)

SLICE = 16_384
"""The rows that one call of `work` puts into a table: about 10 ms."""
SORTED = 32_768
"""The rows that one step sorts, about."""
LATER = 4_096
"""The most rows that wait to be sorted in."""
Sizes: TypeAlias = npt.NDArray[np.uint32]
"""Length and flag of a head in 32 bits; 0 for no head."""
Words: TypeAlias = tuple[Numbers, Numbers, Numbers, Numbers]
Word = TypeVar("Word", np.uint64, np.uint32)
_NO_ID = bytes(32)


class SortedRun(NamedTuple):
    """A sorted sequence: ascending places, and the row at each."""

    places: Numbers
    order: Sizes

    def at(self, h: Numbers) -> list[int]:
        """The rows at any of these places."""
        if not len(self.places):
            return []
        first, last = self.places.searchsorted(h), self.places.searchsorted(h, "right")
        return [int(row) for a, b in zip(first, last, strict=True) for row in self.order[a:b]]

    def merged(self, other: SortedRun) -> SortedRun:
        """Both in one sequence."""
        at = self.places.searchsorted(other.places)
        return SortedRun(np.insert(self.places, at, other.places), np.insert(self.order, at, other.order))


class RowColumns(NamedTuple):
    """The columns of all rows. `x0`, `x1`: words of the name. `y0`, `y1`: words of the head's id. `size`: length and
    flag in 32 bits; 0 for no head."""

    x0: Numbers
    x1: Numbers
    y0: Numbers
    y1: Numbers
    size: Sizes


KINDS = (np.uint64, np.uint64, np.uint64, np.uint64, np.uint32, np.uint64, np.uint32)
"""The types of the five columns, and of a Run's two."""


class Rows:
    """`public`: the key by whose places rows are sorted. `room`: how many rows are expected."""

    def __init__(self, public: Key, room: int = 0) -> None:
        self._public = public
        self.n = 0
        self.columns = _no_columns(room)
        self.base = self.recent = _no_run()
        self._later: dict[int, tuple[int, ...]] = {}
        self._sorted = 0
        """How many rows are in `base` and `recent`; the others are in `_later`."""

    @classmethod
    def of(cls, public: Key, columns: RowColumns, n: int, base: SortedRun) -> Rows:
        """Rows that were kept. The first ones are sorted in `base`; the others are sorted in now."""
        rows = cls(public)
        rows.columns, rows.n, rows.base, rows._sorted = columns, n, base, len(base.places)
        rows._sort_in()
        return rows

    # -- what a row is

    def items(self, key: Key, rows: slice | Indexes) -> tuple[Numbers, Numbers]:
        """(places, weights) of these rows under a key."""
        x0, x1, y0, y1, size = self.columns
        return places(key, x0[rows], x1[rows]), weights_of(key, y0[rows], y1[rows], size[rows])

    def place(self, key: Key, row: int) -> tuple[int, int]:
        """(first word of the name, place)."""
        x0 = int(self.columns.x0[row])
        return x0, place(key, x0, int(self.columns.x1[row]))

    def weight(self, key: Key, row: int) -> int:
        """The weight of a row's head under a key; 0 if it has none."""
        _, _, y0, y1, sizes = self.columns
        size = int(sizes[row])
        return weight(key, int(y0[row]), int(y1[row]), size >> 1, size & 1) if size else 0

    def heads(self, rows: slice | Indexes) -> npt.NDArray[np.int64]:
        """1 for each of these rows that has a head, otherwise 0."""
        return heads_among(self.columns.size[rows])

    # -- finding

    def at(self, asked: Sequence[int]) -> list[int]:
        """The rows at these places under the public key."""
        h = np.array(asked, np.uint64)
        out = self.base.at(h) + self.recent.at(h)
        return out + [row for one in asked for row in self._later.get(one, ())]

    def search(self, key: Key, asked: Sequence[int]) -> list[int]:
        """The same under any key. This reads all rows."""
        h, out = np.array(asked, np.uint64), list[int]()
        for start in range(0, self.n, SLICE):
            rows = slice(start, min(start + SLICE, self.n))
            found = np.isin(places(key, self.columns.x0[rows], self.columns.x1[rows]), h)
            out += (np.flatnonzero(found) + start).tolist()
        return out

    def row_of(self, x0: int, x1: int) -> int:
        """The row of a name, which is appended if the name is new."""
        h = place(self._public, x0, x1)
        for row in self.at([h]):
            if self.columns.x0[row] == x0 and self.columns.x1[row] == x1:
                return row
        row = self.n
        self.append(*(np.array([word], np.uint64) for word in (x0, x1, 0, 0)))
        self._came([h], row)
        return row

    def rows_of(self, x0: Numbers, x1: Numbers) -> Indexes:
        """The row of each name. Rows for new names are appended."""
        h = places(self._public, x0, x1)
        out, taken = np.full(len(h), -1, np.intp), np.zeros(len(h), np.bool_)
        for run in (self.base, self.recent):
            if len(run.places):
                near = np.minimum(run.places.searchsorted(h), len(run.places) - 1)
                row = run.order[near].astype(np.intp)
                here = run.places[near] == h
                same = here & (self.columns.x0[row] == x0) & (self.columns.x1[row] == x1)
                out[same] = row[same]
                taken |= here
        new, found, asked = list[int](), list[int](), h.tolist()
        unknown = np.flatnonzero(out < 0)
        for k in unknown.tolist():
            held = self.at([asked[k]]) if taken[k] else self._later.get(asked[k], ())
            same_name = (r for r in held if self.columns.x0[r] == x0[k] and self.columns.x1[r] == x1[k])
            at = next(same_name, -1) if held else -1
            if at < 0:
                at = self.n + len(new)
                new.append(k)
            found.append(at)
        out[unknown] = found
        if new:
            first = self.n
            self.append(x0[new], x1[new], np.zeros(len(new), np.uint64), np.zeros(len(new), np.uint64))
            self._came([asked[k] for k in new], first)
        return out

    # -- growing

    def append(self, x0: Numbers, x1: Numbers, y0: Numbers, y1: Numbers) -> slice:
        """Appends rows without heads. The caller must sort them in."""
        end = self.n + len(x0)
        self.reserve(end)
        rows = slice(self.n, end)
        for column, words in zip(self.columns[:4], (x0, x1, y0, y1), strict=True):
            column[rows] = words
        self.n = end
        return rows

    def reserve(self, n: int) -> None:
        """Makes room for `n` rows in all."""
        if n > len(self.columns.x0):
            room = max(n, len(self.columns.x0) * 5 // 4, 1_024)
            x0, x1, y0, y1 = (_longer(words, self.n, room) for words in self.columns[:4])
            self.columns = RowColumns(x0, x1, y0, y1, _longer(self.columns.size, self.n, room))

    def _came(self, asked: Iterable[int], first: int) -> None:
        for row, h in enumerate(asked, first):
            self._later[h] = (*self._later.get(h, ()), row)
        if len(self._later) > LATER:
            self._sort_in()

    def _sort_in(self) -> None:
        if self._sorted < self.n:
            self.recent = self.recent.merged(self._run(self._sorted))
        self._sorted = self.n
        self._later.clear()
        if len(self.recent.places) > max(LATER, len(self.base.places) >> 4):
            self.base, self.recent = self.base.merged(self.recent), _no_run()

    def sort(self) -> Iterator[None]:
        """Sorts all rows again, in steps of some ms. No row may be appended meanwhile."""
        h = np.empty(self.n, np.uint64)
        for start in range(0, self.n, SLICE):
            rows = slice(start, min(start + SLICE, self.n))
            h[rows] = self._places(rows)
            yield
        bits = min(8, (self.n // SORTED).bit_length())
        part = (h >> np.uint64(61 - bits)).astype(np.uint8)
        run, end = SortedRun(np.empty_like(h), np.empty(self.n, np.uint32)), 0
        for k in range(1 << bits):
            rows_of_part = np.flatnonzero(part == k)
            some = h[rows_of_part]
            order = np.argsort(some)
            start, end = end, end + len(order)
            run.places[start:end], run.order[start:end] = some[order], rows_of_part[order]
            yield
        self.base, self.recent, self._sorted = run, _no_run(), self.n
        self._later.clear()

    def _run(self, first: int) -> SortedRun:
        h = self._places(slice(first, self.n))
        order = np.argsort(h)
        return SortedRun(h[order], (order + first).astype(np.uint32))

    def _places(self, rows: slice) -> Numbers:
        return places(self._public, self.columns.x0[rows], self.columns.x1[rows])


def _no_run() -> SortedRun:
    return SortedRun(np.zeros(0, np.uint64), np.zeros(0, np.uint32))


def _longer(column: npt.NDArray[Word], n: int, room: int) -> npt.NDArray[Word]:
    out = np.zeros(room, column.dtype)
    out[:n] = column[:n]
    return out


def _no_columns(room: int) -> RowColumns:
    x0, x1, y0, y1 = (np.zeros(room, np.uint64) for _ in range(4))
    return RowColumns(x0, x1, y0, y1, np.zeros(room, np.uint32))


# -- words of names and heads


def name_words(log: LogId) -> tuple[int, int]:
    """(x0, x1) of a log's name: 61 bits of the account's id, which is a hash, and 61 bits of a hash over the whole
    name."""
    return fingerprint(log.account)[0], fingerprint(H("log", name_of(log)))[0]


def name_of(log: LogId) -> bytes:
    """account 32 | writer 32 | log 4."""
    return log.account + log.writer + log.log.to_bytes(4, "big")


def id_words(head: Head) -> tuple[int, int]:
    """(y0, y1) of a head: 122 bits of its id."""
    return fingerprint(head.id or _NO_ID)


def size_of(head: Head) -> int:
    """The length modulo 2^31, shifted by one, and the flag."""
    return (head.length & (1 << LENGTH_BITS) - 1) << 1 | head.flag


def sizes_of(heads: Mapping[LogId, Head]) -> Sizes:
    """`size_of` of many heads."""
    return np.fromiter(map(size_of, heads.values()), np.uint32, len(heads))


def words_of(heads: Mapping[LogId, Head]) -> Words:
    """`name_words` and `id_words` of many logs and heads."""
    names = [name_of(log) for log in heads]
    accounts = b"".join([name[:8] for name in names])
    hashes = b"".join([H("log", name)[:8] for name in names])
    ids = np.frombuffer(b"".join([(head.id or _NO_ID)[:16] for head in heads.values()]), ">u8").reshape(-1, 2)
    x0, x1 = _shortened(np.frombuffer(accounts, ">u8")), _shortened(np.frombuffer(hashes, ">u8"))
    return x0, x1, _shortened(ids[:, 0]), _shortened(ids[:, 1])


def _shortened(words: npt.NDArray[np.uint64]) -> Numbers:
    return words.astype(np.uint64) >> np.uint64(3)


def weights_of(key: Key, y0: Numbers, y1: Numbers, size: Sizes) -> Numbers:
    """The weights of heads; 0 where `size` is 0."""
    wide = size.astype(np.uint64)
    t: Numbers = weights(key, y0, y1, wide >> np.uint64(1), wide & np.uint64(1)) * np.sign(wide)
    return t


def heads_among(size: Sizes) -> npt.NDArray[np.int64]:
    """1 for each size that is a head's, otherwise 0."""
    return np.sign(size).astype(np.int64)
