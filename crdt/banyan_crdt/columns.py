"""Consecutive entries of one log, as columns.

A run has up to a thousand entries with few fields each, so it is read into a few lists. An entry, or its body, is made
from them when a caller asks for it. Most entries are only hashed and stored, and are never made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar, overload

from banyan_crdt.entry import Entry, Header
from banyan_crdt.ids import EntryId, Time
from banyan_crdt.ops import Body, decode_body

T = TypeVar("T")


class Lazy(Sequence[T]):
    """A sequence whose members are made when asked for. Indexing makes one; iterating makes all and keeps them."""

    __slots__ = ("_all", "_count")

    def __init__(self, count: int) -> None:
        self._count = count
        self._all: tuple[T, ...] = ()

    @abstractmethod
    def _make(self, k: int) -> T:
        """Member `k`."""

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if self._all:
            return self._all[at]
        found = range(self._count)[at]
        return self._make(found) if isinstance(found, int) else tuple(map(self._make, found))

    def __iter__(self) -> Iterator[T]:
        self._all = self._all or tuple(map(self._make, range(self._count)))
        return iter(self._all)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)


class Bodies(Lazy[Body]):
    """The bodies of entries. The ops must be known to be well-formed."""

    __slots__ = ("_ops",)

    def __init__(self, ops: Sequence[bytes]) -> None:
        super().__init__(len(ops))
        self._ops = ops

    def _make(self, k: int) -> Body:
        return decode_body(self._ops[k])


class Columns(NamedTuple):
    """For each entry: id, skip link, time, total, hash of the ops, ops."""

    ids: Sequence[EntryId]
    skips: Sequence[EntryId | None]
    times: Sequence[Time]
    totals: Sequence[int]
    hashes: Sequence[bytes]
    ops: Sequence[bytes]


class Entries(Lazy[Entry]):
    """The entries of `columns`. `first`: the header of the first one. `sig`: the signature of the last one."""

    __slots__ = ("_first", "_sig", "columns")

    def __init__(self, first: Header, columns: Columns, sig: bytes) -> None:
        super().__init__(len(columns.ids))
        self._first, self.columns, self._sig = first, columns, sig

    def _make(self, k: int) -> Entry:
        ids, skips, times, totals, hashes, ops = self.columns
        account, writer, log, seq, prev, *_ = self._first
        new = tuple.__new__
        above = ids[k - 1] if k else prev
        header = new(Header, (account, writer, log, seq + k, above, skips[k], times[k], totals[k], hashes[k]))
        return new(Entry, (ids[k], header, ops[k], self._sig if k == len(ids) - 1 else None))
