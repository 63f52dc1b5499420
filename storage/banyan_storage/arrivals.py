"""When entries arrived at this store, and from which peer: for people who ask why they see something.

A commit that brought entries has a row, and one more each time that the peer changed within it. Only the newest KEPT
rows are kept, so it takes some 8 MB at most. Nothing else is decided by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from banyan_storage import tables as t
from banyan_storage.engine import Item, ReadTxn, WriteTxn
from banyan_storage.tables import RowLayout

KEPT, LOOK = 100_000, 16
_ROW = RowLayout("time_ms 6 | peer")


class ArrivalSource(NamedTuple):
    """time_ms: when it was written here, by the clock of this machine. peer: that sent it; empty: it was written or
    imported here."""

    time_ms: int
    peer: str


class ArrivalLog:
    """The rows of the pending transaction. The store calls `flush` and `forget`."""

    def __init__(self, write: WriteTxn) -> None:
        self._write = write
        self._parts: list[tuple[int, int, str]] = []
        self.time_ms = 0
        """Of the commit to come."""

    def came(self, first: int, last: int, peer: str) -> None:
        """The entries with these arrival numbers came from a peer."""
        self._parts.append((first, last, peer))

    def flush(self, first: int, last: int) -> None:
        """Called before a commit that brought these arrivals."""
        at, before = first, None
        for start, end, peer in self._parts:
            if start > at and before != "":
                self._put(at, before := "")
            if peer != before:
                self._put(start, before := peer)
            at = end + 1
        if at <= last and before != "":
            self._put(at, "")
        self._parts.clear()
        if first // LOOK < (last + 1) // LOOK and (over := self._write.count(t.ARRIVED) - KEPT) > 0:
            for key, _ in list(self._write.scan(t.ARRIVED, limit=min(over, 4 * LOOK))):  # more go than come
                self._write.delete(t.ARRIVED, key)

    def _put(self, n: int, peer: str) -> None:
        key = t.u48(n)
        self._write.put(t.ARRIVED, key, t.guard(key, t.u48(self.time_ms) + peer.encode()))

    def forget(self) -> None:
        """After a rollback."""
        self._parts.clear()


class Quiet(NamedTuple):
    """A time without arrivals. n: the number of the last arrival before it. since_ms: when that was written."""

    n: int
    since_ms: int


def quiet_at(txn: ReadTxn, time_ms: int) -> Quiet | None:
    """The quiet in which a time fell, by this machine's clock; None if that is not known any more, or before all."""
    first, last = (next(_known(txn, reverse=end), None) for end in (False, True))
    if first is None or last is None or first[1].time_ms > time_ms:
        return None
    low, high = first[0], last[0]
    while low < high:  # the row of `low` is of that time or earlier
        middle = (low + high + 1) // 2
        n, arrival = next(_known(txn, stop=middle + 1, reverse=True))
        if arrival.time_ms <= time_ms:
            low = middle
        else:
            high = max(low, n - 1)
    row, since = next(_known(txn, stop=low + 1, reverse=True))
    return Quiet(_until(txn, row), since.time_ms)


def quiet_ends(txn: ReadTxn, n: int) -> int | None:
    """When the first commit after this arrival was written; None if there was none."""
    found = next(_known(txn, n + 1), None)
    return None if found is None else found[1].time_ms


def _until(txn: ReadTxn, n: int) -> int:
    """The last arrival before the row behind that of `n`, also if that row is damaged."""
    row = next(txn.scan(t.ARRIVED, t.u48(n + 1), limit=1), None)
    if row is not None:
        return t.number(row[0]) - 1
    newest = txn.last(t.ENTRIES)
    return n if newest is None else t.number(newest[0])


def _read(row: Item) -> ArrivalSource | None:
    """None: the row is damaged, or was and is empty since a repair."""
    value = t.guarded(*row)
    return ArrivalSource(t.number(value[_ROW.time_ms]), value[_ROW.peer].decode("utf-8", "replace")) if value else None


def _known(
    txn: ReadTxn, start: int = 0, stop: int = t.MAX_ARRIVAL, reverse: bool = False
) -> Iterator[tuple[int, ArrivalSource]]:
    """The rows that tell something, with their arrival numbers."""
    for row in txn.scan(t.ARRIVED, t.u48(start), t.u48(stop), reverse=reverse):
        arrival = _read(row)
        if arrival is not None:
            yield t.number(row[0]), arrival


def arrival_of(txn: ReadTxn, n: int) -> ArrivalSource | None:
    """How the entry with this arrival number came; None if that is not known any more."""
    row = next(txn.scan(t.ARRIVED, b"", t.u48(n + 1), reverse=True, limit=1), None)
    return None if row is None else _read(row)


def origins(txn: ReadTxn, rows: int) -> dict[str, int]:
    """Of the newest entries, as far back as so many rows go: how many each peer brought. Empty: what was written or
    imported here."""
    found: dict[str, int] = {}
    newest = txn.last(t.ENTRIES)
    end = 1 + (t.number(newest[0]) if newest is not None else 0)
    for row in txn.scan(t.ARRIVED, limit=rows, reverse=True):
        first, arrival = t.number(row[0]), _read(row)
        if arrival is not None:
            found[arrival.peer] = found.get(arrival.peer, 0) + max(0, end - first)
        end = first
    return found
