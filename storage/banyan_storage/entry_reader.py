"""What the store answers of logs and their entries: heads, chains by place, entries by id or arrival number.

A log's entries are of two kinds. Those that count form one chain from seq 0 and are found by number. Those that are
held and do not count (branches of a fork, tails beyond a cut) are loose and found by id. Which is which was judged
above this room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_crdt.realm import Realm
from banyan_crdt.shapes import ops_in
from banyan_storage import id_index
from banyan_storage import tables as t
from banyan_storage.engine import Item, ReadTxn
from banyan_storage.entry_records import (
    RunLine,
    decode_line,
    decode_record,
    record_after,
    record_id,
    record_name,
    record_time,
)
from banyan_storage.errors import CorruptStore

NAMES = 100_000
"""Cached names of logs."""
FIRST_STEP, STEP = 4, 1_024
"""Entries read at a time when a log is walked: at first, and at most; each time twice as many. An entry can have 512
operations, and a step of a fold (views/large_accounts.py) takes two of these."""


COUNTED = 64
"""Entries read at a time when operations are counted: these may be 2 MB."""


class ArrivedEntry(NamedTuple):
    """An entry, counted or loose. n: its number in the order in which this store got entries."""

    n: int
    log: LogId
    seq: int
    id: EntryId
    record: bytes


class EntryReader:
    """The lower layer of `StoreReader` (reader.py). late_ids: those of the writer, if this process has one."""

    def __init__(self, txn: ReadTxn, realm: Realm, late_ids: id_index.Offer = id_index.nothing) -> None:
        self.realm = realm
        self._txn = txn
        self._late_ids = late_ids
        self._late: id_index.Late | None = None
        self._names: dict[int, LogId] = {}
        self.decoded = 0
        """Entries that were read whole since this reader began: what a question has cost."""

    @property
    def txn(self) -> ReadTxn:
        """The transaction, for views, queries and checks, which read tables themselves."""
        return self._txn

    # -- heads

    def _find(self, log: LogId) -> tuple[int, Head] | None:
        raw = self._txn.get(t.HEADS, t.log_name(log))
        return None if raw is None else t.head_of_value(raw)

    def head(self, log: LogId) -> Head:
        """The head of the log; NOTHING if no entry of it counts."""
        found = self._find(log)
        return found[1] if found else NOTHING

    def _heads(self, rows: Iterable[Item]) -> Iterator[tuple[LogId, Head]]:
        for key, value in rows:
            head = t.head_of_value(value)[1]
            if head.length or head.flag:
                yield t.log_of_name(key), head

    def heads(self, account: AccountId) -> dict[LogId, Head]:
        """The account's frontier, its control log first, without logs of which nothing counts."""
        return dict(self._heads(self._txn.prefix(t.HEADS, account)))

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]:
        """The frontier in the order of LogId: the logs with start <= name < stop. Both may be prefixes of names."""
        return self._heads(self._txn.scan(t.HEADS, start or b"", stop))

    def logs(self, account: AccountId) -> list[LogId]:
        """Every log of the account with held entries, counted or not."""
        return [t.log_of_name(key) for key, _ in self._txn.prefix(t.HEADS, account)]

    def digest(self) -> bytes:
        """The frontier in 32 bytes; equal digests mean equal states."""
        return frontier_digest(self.all_heads())

    def account_digest(self, account: AccountId) -> bytes:
        """As `digest`, of one account: that of a store that holds nothing else."""
        return frontier_digest(self.heads(account).items())

    def accounts(self, start: AccountId | None = None) -> Iterator[AccountId]:
        """The accounts in order, from `start` on."""
        return (AccountId(key) for key, _ in self._txn.scan(t.ACCOUNTS, start or b""))

    # -- entries

    def _candidates(self, entry: bytes) -> Iterator[int]:
        """Arrival numbers of entries whose ids may start with these bytes (at least 16)."""
        if self._late is None:
            self._late = id_index.late(self._txn, self._late_ids)
        return id_index.candidates(self._txn, self._late, entry)

    def _record(self, entry: bytes) -> tuple[int, bytes] | None:
        """(arrival number, record) of the entry whose id starts with these bytes (at least 16)."""
        for n in self._candidates(entry):
            raw = self._txn.get(t.ENTRIES, t.u48(n))
            if raw is not None and record_id(raw).startswith(entry):
                return n, raw
        return None

    def number_of(self, entry: EntryId) -> int | None:
        """The arrival number of an entry, or None if it is not held."""
        found = self._record(entry)
        return None if found is None else found[0]

    def _name(self, lid: int) -> LogId:
        name = self._names.get(lid)
        if name is None:
            raw = self._txn.get(t.LOGS, t.u32(lid))
            if raw is None:
                raise CorruptStore(f"log number {lid} is used but has no name; run a check, then sync again from peers")
            if len(self._names) >= NAMES:
                self._names.clear()
            name = self._names[lid] = t.log_of_name(raw)
        return name

    def _decode(self, n: int, raw: bytes, log: LogId | None = None) -> Entry:
        before = self._txn.get(t.ENTRIES, t.u48(n - 1)) if record_after(raw) else None
        return decode_record(
            raw, log or self._name(record_name(raw).lid), None if before is None else record_id(before)
        )

    def _records(self, ns: Sequence[int], log: LogId) -> list[Entry]:
        """The entries with these arrival numbers, in that order."""
        entries: list[Entry] = []
        self.decoded += len(ns)
        last = -1
        for key, raw in self._txn.get_many(t.ENTRIES, map(t.u48, ns)):
            n = t.number(key)
            if entries and n == last + 1:
                entries.append(decode_record(raw, log, entries[-1].id))
            else:
                entries.append(self._decode(n, raw, log))
            last = n
        if len(entries) != len(ns):
            raise CorruptStore(f"{len(ns)} entries are indexed, {len(entries)} are there; run a check, then sync again")
        return entries

    def at(self, n: int) -> Entry | None:
        """The entry with arrival number n, if it is held."""
        raw = self._txn.get(t.ENTRIES, t.u48(n))
        return None if raw is None else self._decode(n, raw)

    def name_at(self, n: int) -> tuple[EntryId, bytes] | None:
        """(id, time as 8 bytes) of the entry with arrival number n."""
        raw = self._txn.get(t.ENTRIES, t.u48(n))
        return None if raw is None else (record_id(raw), record_time(raw))

    def has(self, entry: EntryId) -> bool:
        return self._record(entry) is not None

    def entry(self, entry: EntryId) -> Entry | None:
        """The entry, counted or loose."""
        found = self._record(entry)
        return None if found is None else self._decode(*found)

    def written(self, entry: EntryId) -> bytes | None:
        """Its time, 8 bytes."""
        found = self._record(entry)
        return None if found is None else record_time(found[1])

    def line(self, entry: EntryId) -> RunLine | None:
        """Its fields that need no other row."""
        found = self._record(entry)
        return None if found is None else decode_line(*found)

    def by_half(self, half: bytes) -> Entry | None:
        """The entry whose id starts with these 16 bytes: the gossip's name for a message."""
        found = self._record(half)
        return None if found is None else self._decode(*found)

    def place(self, entry: EntryId) -> tuple[LogId, int] | None:
        """(log, seq) of an entry, or None if it is not held."""
        found = self._record(entry)
        if found is None:
            return None
        name = record_name(found[1])
        return self._name(name.lid), name.seq

    def is_counted(self, entry: EntryId) -> bool:
        found = self._record(entry)
        if found is None:
            return False
        name = record_name(found[1])
        return self._chain_n(name.lid, name.seq) == found[0]

    def _stretches(self, lid: int, first: int, stop: int) -> Iterator[t.Stretch]:
        """The stretches with any of the counted entries first .. stop-1, in order."""
        if first:
            for row in self._txn.scan(t.CHAIN, t.chain_key(lid, 0), t.chain_key(lid, first), reverse=True, limit=1):
                stretch = t.stretch_of(*row)
                if stretch.seq + stretch.size > first:
                    yield stretch
        for row in self._txn.scan(t.CHAIN, t.chain_key(lid, first), t.chain_key(lid, max(first, stop))):
            yield t.stretch_of(*row)

    def _chain_n(self, lid: int, seq: int) -> int | None:
        """The arrival number of counted entry `seq`."""
        stretch = next(self._stretches(lid, seq, seq + 1), None)
        return None if stretch is None else stretch.n + seq - stretch.seq

    def _chain_ns(self, lid: int, first: int, stop: int) -> list[int]:
        """The arrival numbers of counted entries first .. stop-1."""
        ns: list[int] = []
        for seq, n, size, _ in self._stretches(lid, first, stop):
            ns += range(n + max(first - seq, 0), n + min(stop - seq, size))
        return ns

    def chain(self, log: LogId, first: int = 0, stop: int | None = None) -> list[Entry]:
        """Counted entries first .. stop-1, as many as there are."""
        found = self._find(log)
        if found is None:
            return []
        lid, head = found
        ns = self._chain_ns(lid, first, head.length if stop is None else min(stop, head.length))
        return self._records(ns, log)

    def lines(self, log: LogId, first: int, stop: int) -> list[RunLine]:
        """Counted entries first .. stop-1, with only the fields that a run needs."""
        found = self._find(log)
        if found is None:
            return []
        ns = self._chain_ns(found[0], first, min(stop, found[1].length))
        lines = [decode_line(t.number(key), raw) for key, raw in self._txn.get_many(t.ENTRIES, map(t.u48, ns))]
        if len(lines) != len(ns):
            raise CorruptStore(f"{len(ns)} entries are indexed, {len(lines)} are there; run a check, then sync again")
        return lines

    def operations(self, account: AccountId, most: int) -> int:
        """How many operations the counted entries of its logs have, at least one each; once there are more than `most`,
        no more are read."""
        heads = [(log, head.length) for log, head in self.heads(account).items() if log.log]
        found = sum(length for _, length in heads)
        for log, length in heads:
            for first in range(0, length, COUNTED):
                if found > most:
                    return found
                found += sum(max(1, ops_in(line.ops)) - 1 for line in self.lines(log, first, first + COUNTED))
        return found

    def walk(self, log: LogId, first: int = 0) -> Iterator[Entry]:
        """Counted entries from `first` on, a block at a time. The first blocks are small: many readers soon stop."""
        size = FIRST_STEP
        while block := self.chain(log, first, first + size):
            yield from block
            first, size = first + len(block), min(2 * size, STEP)

    def counted_arrivals(self, log: LogId) -> Iterator[int]:
        """The arrival numbers of its counted entries, in order."""
        found = self._find(log)
        stretches = self._stretches(found[0], 0, found[1].length) if found else ()
        return (n for s in stretches for n in range(s.n, s.n + s.size))

    def arrival_at(self, log: LogId, seq: int) -> int | None:
        """The arrival number of counted entry `seq`."""
        found = self._find(log)
        return None if found is None or seq >= found[1].length else self._chain_n(found[0], seq)

    def first_arrival(self, log: LogId, first: int) -> int | None:
        """The lowest arrival number of its counted entries from `first` on: mostly that of `first`, but entries that
        once did not count may have come before it."""
        found = self._find(log)
        stretches = self._stretches(found[0], first, found[1].length) if found else ()
        return min((s.n + max(first - s.seq, 0) for s in stretches), default=None)

    def sizes(self, ns: Sequence[int]) -> list[int]:
        """Bytes of the records with these arrival numbers."""
        return [len(raw) for _, raw in self._txn.get_many(t.ENTRIES, map(t.u48, ns))]

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id of counted entry `seq`."""
        found = self._find(log)
        if found is None or not 0 <= seq < found[1].length:
            return None
        if seq == found[1].length - 1:
            return found[1].id
        n = self._chain_n(found[0], seq)
        name = None if n is None else self.name_at(n)
        return None if name is None else name[0]

    def next_signed(self, log: LogId, seq: int) -> int | None:
        """The first counted entry at or after `seq` that has a signature: a run may end there."""
        found = self._find(log)
        if found is None:
            return None
        ends = (s.seq + s.size - 1 for s in self._stretches(found[0], seq, found[1].length) if s.signed)
        return next(ends, None)

    def arrivals(self, after: int, limit: int) -> list[ArrivedEntry]:
        """Held entries that came after arrival number `after`, oldest first. A peer may send any number as `after`."""
        rows = self._txn.scan(t.ENTRIES, t.u48(min(after + 1, t.MAX_ARRIVAL)), limit=limit)
        named = ((t.number(key), record_name(value), value) for key, value in rows)
        return [ArrivedEntry(n, self._name(name.lid), name.seq, name.id, value) for n, name, value in named]
