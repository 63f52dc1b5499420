"""The index of ids: from the first bytes of an id to the arrival numbers of entries that may have it.

Ids are hashes, so their index is the only random one. Its cost is the number of pages that a commit touches: with a
million ids, nearly one page per id. So it is written late. The ids of the newest arrivals are held in memory; a restart
reads them from the entries, which are in order of arrival. When there are YOUNG_IDS of them, they move into the table
in the order of the ids, with each commit twice as many as came. Then neighbours share pages, and all commits take about
the same time.

Invariant: the table has the ids of all held entries up to an arrival number (IDS_KEY), and may have later ones. Numbers
are hints: a reader compares the id in the record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import NamedTuple, TypeAlias

from banyan_crdt.ids import EntryId
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn
from banyan_storage.entry_records import is_record, record_id

YOUNG_IDS = 1 << 16
"""Ids held in memory: 10 MB. With a million ids in the table, eight of them share a page."""
LEAST = 256
"""The least number of ids that a commit moves, so that small commits also finish the move."""


Ids: TypeAlias = Mapping[bytes, bytes]
"""Arrival numbers (6 bytes, as in keys) by the first 16 bytes of the id."""


class Late(NamedTuple):
    """The ids of all entries that came after arrival `after`."""

    after: int
    ids: tuple[Ids, ...]

    def get(self, half: bytes) -> bytes | None:
        for ids in self.ids:
            if (arrival := ids.get(half)) is not None:
                return arrival
        return None


Offer: TypeAlias = Callable[[], Sequence[Late]]
"""Returns what the writer holds in memory, for readers in this process. Each Late is complete by itself."""


def nothing() -> Sequence[Late]:
    """The offer to a reader without a writer beside it."""
    return ()


def indexed(txn: ReadTxn) -> int:
    """The last arrival up to which all ids are in the table."""
    return t.number(txn.get(t.META, t.IDS_KEY) or b"")


def late(txn: ReadTxn, offer: Offer) -> Late:
    """The ids that a snapshot needs in addition to the table: from the writer, or else read from the entries.

    The writer's ids cover every earlier commit, unless they have moved into the table meanwhile.
    """
    after = indexed(txn)
    return next((held for held in offer() if held.after <= after), None) or Late(after, (_read(txn, after),))


def candidates(txn: ReadTxn, late: Late, entry: bytes) -> Iterator[int]:
    """Arrival numbers of entries whose ids may start with these bytes (at least 16)."""
    if (arrival := late.get(entry[t.ID.half])) is not None:
        yield t.number(arrival)
    for key, _ in txn.prefix(t.IDS, entry[t.ID.begin]):
        yield t.n_of_id_key(key)


def _read(txn: ReadTxn, after: int) -> dict[bytes, bytes]:
    rows = txn.scan(t.ENTRIES, t.u48(after + 1))
    return {record_id(raw)[t.ID.half]: key for key, raw in rows if is_record(raw)}


class LateIds:
    """The late ids, for readers in a process that does not write: read from the entries once, and then followed. Any
    thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._after = self._upto = -1
        self._ids: dict[bytes, bytes] = {}

    def of(self, txn: ReadTxn) -> Late:
        """Those of a snapshot, and perhaps some that came later."""
        after = indexed(txn)
        with self._lock:
            if after < self._after:  # a snapshot from before the last move, which is rare
                return Late(after, (_read(txn, after),))
            if after > self._after:
                self._ids = {half: arrival for half, arrival in self._ids.items() if t.number(arrival) > after}
                self._after, self._upto = after, max(self._upto, after)
            for arrival, raw in txn.scan(t.ENTRIES, t.u48(self._upto + 1)):
                self._ids[record_id(raw)[t.ID.half]] = arrival
                self._upto = t.number(arrival)
            return Late(after, (self._ids,))


class IdIndex:
    """The writer's index: ids in memory, of which `flush` moves some into the table before each commit."""

    def __init__(self, txn: WriteTxn) -> None:
        self._txn = txn
        self._after = indexed(txn)
        self._young = _read(txn, self._after)
        self._moving: dict[bytes, bytes] = {}
        """Ids that are being moved into the table: those of arrivals up to `_until`."""
        self._until = self._after
        self._queue: list[bytes] = []
        """Their keys in the table, sorted."""
        self._again: set[bytes] = set()
        """Ids among them whose entries were dropped and came again."""
        self._done = self._ready = 0
        """How much of the queue is in the table: durably, and with the pending transaction."""
        self._gone: set[bytes] = set()
        """Ids of dropped entries. Their numbers stay here for older snapshots."""
        self._undo: dict[bytes, tuple[bytes | None, bool]] = {}
        """For a rollback: (arrival, whether it was gone) of ids that changed, as of the last commit."""
        self._fresh: list[Ids] = []
        """Ids that came since the last commit."""
        self._offered: tuple[Late, ...] = ()
        self._offer()

    def offer(self) -> Sequence[Late]:
        return self._offered

    def find(self, entry: bytes) -> Iterator[int]:
        """`candidates` in the pending transaction."""
        return candidates(self._txn, self._offered[0], entry)

    def add(self, ids: Ids) -> None:
        """Entries came."""
        for half in self._known(ids.keys()):
            self._keep(half)
            self._gone.discard(half)
            self._again.add(half)
        self._fresh.append(ids)
        self._young.update(ids)

    def remove(self, entry: EntryId, n: int) -> None:
        """An entry goes."""
        for half in self._known({entry[t.ID.half]}):
            self._keep(half)
            self._gone.add(half)
        self._txn.delete(t.IDS, t.id_key(entry, n))

    def flush(self) -> None:
        """Called last before a commit."""
        came = sum(map(len, self._fresh))
        if came and self._queue:
            keys = self._queue[self._ready : self._ready + max(LEAST, 2 * came)]
            self._ready += len(keys)
            if stay := self._gone | (self._again & self._young.keys()):
                without = {half[t.ID.begin] + self._moving[half] for half in stay & self._moving.keys()}
                keys = [key for key in keys if key not in without]
            self._txn.put_many(t.IDS, [(key, b"") for key in keys])
            if self._ready == len(self._queue):
                self._txn.put(t.META, t.IDS_KEY, t.u48(self._until))

    def committed(self) -> None:
        """The pending transaction is durable."""
        self._undo.clear()
        self._fresh.clear()
        self._done = self._ready
        self._offered = self._offered[:1]
        if self._queue and self._done == len(self._queue):
            self._gone &= self._young.keys()
            self._after, self._moving, self._queue, self._again = self._until, {}, [], set()
            self._done = self._ready = 0
            self._offer()
        if not self._queue and len(self._young) >= YOUNG_IDS:
            self._moving, self._young = self._young, {}
            self._until = t.number(max(self._moving.values()))
            self._queue = sorted([half[t.ID.begin] + arrival for half, arrival in self._moving.items()])
            self._offer()

    def rolled_back(self) -> None:
        """The pending transaction was rolled back."""
        for half in chain.from_iterable(self._fresh):
            self._young.pop(half, None)
            self._gone.discard(half)
        for half, (arrival, gone) in self._undo.items():
            self._gone.discard(half)
            if gone:
                self._gone.add(half)
            if arrival is None or t.number(arrival) <= self._until:
                self._young.pop(half, None)
            else:
                self._young[half] = arrival
        self._undo.clear()
        self._fresh.clear()
        self._ready = self._done

    def _known(self, halves: AbstractSet[bytes]) -> AbstractSet[bytes]:
        return (halves & self._young.keys()) | (halves & self._moving.keys())

    def _keep(self, half: bytes) -> None:
        if not any(half in ids for ids in self._fresh):
            self._undo.setdefault(half, (self._offered[0].get(half), half in self._gone))

    def _offer(self) -> None:
        before = [held for held in self._offered if held.after < self._after]
        self._offered = Late(self._after, (self._young, self._moving)), *before
