"""What the store answers: heads, chains, entries, parts; the same methods on a snapshot and on what is pending.

A log's entries are of two kinds. Those that count form one chain from seq 0 and are found by number. Those that are
held and do not count (branches of a fork, tails beyond a cut) are loose and found by id. Which is which was judged
above this room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.frontier import frontier_digest
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.ops import Part
from banyan_crdt.realm import Realm

from . import tables as t
from .engine import Item, ReadTxn
from .errors import CorruptStore
from .records import Line, decode_line, decode_record, record_name

NOTHING = Head(0, None, 0)
STEP = 1_024
"""Entries read at a time where a whole log is walked."""


class Counts(NamedTuple):
    """Totals. entries: held, counted or not. lacking: parts that are wanted and not held."""

    accounts: int
    logs: int
    entries: int
    counted: int
    parts: int
    lacking: int
    withheld: int


class Arrival(NamedTuple):
    """An entry, counted or loose, in the order in which this store got it."""

    n: int
    log: LogId
    seq: int
    id: EntryId


class Lack(NamedTuple):
    """A part that counts, is wanted and is not held. `cursor` goes into the next `lacking` call."""

    cursor: bytes
    entry: EntryId
    op: int
    part: Part


class StoreReader:
    """Reads of one state of the store, on the thread that opened it."""

    def __init__(self, txn: ReadTxn, realm: Realm) -> None:
        self.realm = realm
        self._txn = txn
        self._names: dict[int, LogId] = {}

    @property
    def txn(self) -> ReadTxn:
        """The transaction itself, for what else in this room reads tables: views, queries, checks."""
        return self._txn

    # -- heads

    def _find(self, log: LogId) -> tuple[int, Head] | None:
        raw = self._txn.get(t.HEADS, t.log_name(log))
        return None if raw is None else t.head_of_value(raw)

    def head(self, log: LogId) -> Head:
        """Where the log stands; Head(0, None, 0) where nothing of it counts."""
        found = self._find(log)
        return found[1] if found else NOTHING

    def _heads(self, rows: Iterable[Item]) -> Iterator[tuple[LogId, Head]]:
        for key, value in rows:
            head = t.head_of_value(value)[1]
            if head.length or head.flag:
                yield t.log_of_name(key), head

    def heads(self, account: AccountId) -> dict[LogId, Head]:
        """The account's frontier, its control log first; logs of which nothing counts are left out."""
        return dict(self._heads(self._txn.prefix(t.HEADS, account)))

    def all_heads(self, start: AccountId | None = None) -> Iterator[tuple[LogId, Head]]:
        """The whole frontier from account `start` on, in the order of LogId."""
        return self._heads(self._txn.scan(t.HEADS, start or b""))

    def logs(self, account: AccountId) -> list[LogId]:
        """Every log of the account that was ever held, also those of which nothing counts."""
        return [t.log_of_name(key) for key, _ in self._txn.prefix(t.HEADS, account)]

    def digest(self) -> bytes:
        """The frontier in 32 bytes: equal digests are equal states."""
        return frontier_digest(self.all_heads())

    def accounts(self, start: AccountId | None = None) -> Iterator[AccountId]:
        """In order, from `start` on."""
        return (AccountId(key) for key, _ in self._txn.scan(t.ACCOUNTS, start or b""))

    def counts(self) -> Counts:
        tables = (t.ACCOUNTS, t.LOGS, t.ENTRIES, t.CHAIN, t.PARTS, t.LACKING, t.WITHHELD)
        return Counts(*(self._txn.count(table) for table in tables))

    # -- entries

    def _n_of(self, entry: EntryId) -> int | None:
        raw = self._txn.get(t.IDS, t.id_key(entry))
        return None if raw is None else t.number(raw)

    def _name(self, lid: int) -> LogId:
        name = self._names.get(lid)
        if name is None:
            raw = self._txn.get(t.LOGS, t.u32(lid))
            if raw is None:
                raise CorruptStore(f"log number {lid} is used but has no name; run a check, then sync again from peers")
            name = self._names[lid] = t.log_of_name(raw)
        return name

    def _record(self, entry: EntryId) -> tuple[int, bytes] | None:
        """(arrival number, record), where that very entry is held."""
        n = self._n_of(entry)
        raw = None if n is None else self._txn.get(t.ENTRIES, t.u64(n))
        if n is None or raw is None or record_name(raw).id != entry:
            return None
        return n, raw

    def _records(self, ns: list[int], log: LogId) -> list[Entry]:
        found = self._txn.get_many(t.ENTRIES, map(t.u64, ns))
        entries = [decode_record(raw, log) for _, raw in found]
        if len(entries) != len(ns):
            raise CorruptStore(f"{len(ns)} entries are indexed, {len(entries)} are there; run a check, then sync again")
        return entries

    def has(self, entry: EntryId) -> bool:
        return self._record(entry) is not None

    def entry(self, entry: EntryId) -> Entry | None:
        """Counted or loose."""
        found = self._record(entry)
        return None if found is None else decode_record(found[1], self._name(record_name(found[1]).lid))

    def by_half(self, half: bytes) -> Entry | None:
        """The entry whose id begins with these 16 bytes, which is how gossip names messages."""
        n = self._n_of(EntryId(half.ljust(32, b"\0")))
        raw = None if n is None else self._txn.get(t.ENTRIES, t.u64(n))
        return None if raw is None else decode_record(raw, self._name(record_name(raw).lid))

    def place(self, entry: EntryId) -> tuple[LogId, int] | None:
        """(log, seq) of an entry that is held."""
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
        place = self._txn.get(t.CHAIN, t.chain_key(name.lid, name.seq))
        return place is not None and t.chain_place(place)[0] == found[0]

    def chain(self, log: LogId, first: int = 0, stop: int | None = None) -> list[Entry]:
        """Counted entries first .. stop-1, as many as there are."""
        found = self._find(log)
        if found is None:
            return []
        lid, head = found
        stop = head.length if stop is None else min(stop, head.length)
        rows = self._txn.scan(t.CHAIN, t.chain_key(lid, first), t.chain_key(lid, max(first, stop)))
        return self._records([t.chain_place(value)[0] for _, value in rows], log)

    def lines(self, log: LogId, first: int, stop: int) -> list[Line]:
        """Counted entries first .. stop-1 as far as a run names them."""
        found = self._find(log)
        if found is None:
            return []
        lid, head = found
        rows = self._txn.scan(t.CHAIN, t.chain_key(lid, first), t.chain_key(lid, max(first, min(stop, head.length))))
        ns = [t.chain_place(value)[0] for _, value in rows]
        lines = [decode_line(t.number(key), raw) for key, raw in self._txn.get_many(t.ENTRIES, map(t.u64, ns))]
        if len(lines) != len(ns):
            raise CorruptStore(f"{len(ns)} entries are indexed, {len(lines)} are there; run a check, then sync again")
        return lines

    def contents(self, ns: Sequence[int]) -> dict[int, list[tuple[int, bytes]]]:
        """The parts held of the entries of these arrival numbers (ascending): (op index, bytes), ascending."""
        out: dict[int, list[tuple[int, bytes]]] = {}
        at = 0
        while at < len(ns):
            end = at + 1
            while end < len(ns) and ns[end] == ns[end - 1] + 1:
                end += 1
            for key, raw in self._txn.scan(t.PARTS, t.part_key(ns[at], 0), t.part_key(ns[end - 1] + 1, 0)):
                n, op = t.part_place(key)
                out.setdefault(n, []).append((op, raw))
            at = end
        return out

    def walk(self, log: LogId, first: int = 0) -> Iterator[Entry]:
        """Counted entries from `first` on, a block at a time."""
        while block := self.chain(log, first, first + STEP):
            yield from block
            first += len(block)

    def loose(self, log: LogId) -> list[Entry]:
        """Held and not counted, in order of seq and id."""
        found = self._find(log)
        if found is None:
            return []
        ns = sorted(t.number(value) for _, value in self._txn.prefix(t.LOOSE, t.u32(found[0])))
        return sorted(self._records(ns, log), key=lambda e: (e.header.seq, e.id))

    def held(self, log: LogId) -> tuple[list[Entry], list[Entry]]:
        """(chain, loose)."""
        return self.chain(log), self.loose(log)

    def control(self, account: AccountId) -> tuple[Entry, ...]:
        """The control entries that are kept: the path, then its branches."""
        chain, loose = self.held(control_log(account))
        return (*chain, *loose)

    def id_at(self, log: LogId, seq: int) -> EntryId | None:
        """The id of counted entry `seq`."""
        found = self._find(log)
        if found is None or not 0 <= seq < found[1].length:
            return None
        if seq == found[1].length - 1:
            return found[1].id
        place = self._txn.get(t.CHAIN, t.chain_key(found[0], seq))
        raw = None if place is None else self._txn.get(t.ENTRIES, t.u64(t.chain_place(place)[0]))
        return None if raw is None else record_name(raw).id

    def next_signed(self, log: LogId, seq: int) -> int | None:
        """The first counted entry at or after `seq` that holds a signature: where a run may end."""
        found = self._find(log)
        if found is None:
            return None
        lid, head = found
        for key, value in self._txn.scan(t.CHAIN, t.chain_key(lid, seq), t.chain_key(lid, max(seq, head.length))):
            if t.chain_place(value)[1]:
                return t.seq_of_chain_key(key)
        return None

    def arrivals(self, after: int, limit: int) -> list[Arrival]:
        """What came after arrival number `after` and is still held, counted or loose, oldest first."""
        rows = self._txn.scan(t.ENTRIES, t.u64(after + 1), limit=limit)
        named = ((t.number(key), record_name(value)) for key, value in rows)
        return [Arrival(n, self._name(name.lid), name.seq, name.id) for n, name in named]

    @property
    def last_arrival(self) -> int:
        """0 when nothing ever came."""
        return t.number(self._txn.get(t.META, t.LAST_KEY) or b"")

    # -- parts

    def part(self, entry: EntryId, op: int) -> bytes | None:
        """The part's bytes, salt and framing included."""
        found = self._record(entry)
        return None if found is None else self._txn.get(t.PARTS, t.part_key(found[0], op))

    def has_part(self, entry: EntryId, op: int) -> bool:
        n = self._n_of(entry)
        return n is not None and self._txn.get(t.PARTS, t.part_key(n, op)) is not None

    def withheld(self, entry: EntryId, op: int) -> bytes | None:
        """The signed reason why the part was erased here, empty where none was given; None where it was not erased."""
        found = self._record(entry)
        return None if found is None else self._txn.get(t.WITHHELD, t.part_key(found[0], op))

    def lacking(self, after: bytes, limit: int) -> list[Lack]:
        """Parts wanted and not held, oldest entry first. Begin with b"", go on with the last cursor."""
        out = []
        for key, value in self._txn.scan(t.LACKING, after + b"\0" if after else b"", limit=limit):
            n, op = t.part_place(key)
            raw = self._txn.get(t.ENTRIES, t.u64(n))
            if raw is not None:
                out.append(Lack(key, record_name(raw).id, op, t.wanted_part(value)))
        return out

    # -- the store itself

    @property
    def store_id(self) -> bytes:
        """16 random bytes, drawn when the store was made."""
        return self._txn.get(t.META, t.STORE_ID_KEY) or b""

    def note(self, key: bytes) -> bytes | None:
        """Something local that no peer is told: own log numbers, cursors, anchors."""
        return self._txn.get(t.META, t.NOTE + key)

    def notes(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        start = t.NOTE + prefix
        return ((key[len(t.NOTE) :], value) for key, value in self._txn.prefix(t.META, start))
