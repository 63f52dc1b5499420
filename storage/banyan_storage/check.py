"""Checks a store: recomputes everything that can be recomputed, reports differences, and changes nothing.

It checks ids, links, skips and totals against the records, signatures against ids, heads, indexes and grants against
entries, parts against hashes, rows of views against all of it, and what nothing else tells again against its
checksums. A store without problems holds only authentic, linked entries, each in exactly one place and found by its
id, and its views are correct. Which entries should count is not checked here (banyan_crdt.state).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from banyan_crdt.checkpoint import decode_checkpoint
from banyan_crdt.control import Control, resolve_control
from banyan_crdt.entry import Entry, check_link, encode_header, entry_id, skip_seq
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, LogId, WriterKey, is_checkpoint
from banyan_crdt.ops import decode_body
from banyan_crdt.parts import open_part
from banyan_crdt.run import MAX_RUN_BYTES, MAX_RUN_ENTRIES
from banyan_crdt.signing import verify as verify_signature
from banyan_storage import blob_names, charter_acts
from banyan_storage import tables as t
from banyan_storage.blob_names import UNREADABLE, NamedParts
from banyan_storage.due import astray
from banyan_storage.engine import Engine
from banyan_storage.entry_records import decode_record, encode_grants, record_after
from banyan_storage.errors import CorruptStore
from banyan_storage.id_index import indexed
from banyan_storage.local_state import apart, held
from banyan_storage.local_tables import LOCAL, TWICE
from banyan_storage.reader import StoreReader, StoreTotals
from banyan_storage.soundness import row_bytes
from banyan_storage.views.registry import GUARDED
from banyan_storage.views.row_check import RowCheck

Progress: TypeAlias = Callable[[AccountId, int], None]
"""Called before each account with the number of entries checked so far."""


class StoreProblem(NamedTuple):
    """where: the log, entry or table. sentence: what it contains and what it should contain."""

    where: str
    sentence: str


PAGES, VIEWS, LOCAL_STATE = "pages", "views", "local state"
"""Where problems are that lie below the tables; the prefix of those of views, which `store rebuild` fixes; and where
those of rows are that only this node has."""


class Stats(NamedTuple):
    counts: StoreTotals
    forked: int
    """Logs that are forked or frozen."""
    last_arrival: int
    longest: int
    """Counted entries of the longest log."""


class Compaction(NamedTuple):
    """Bytes used by the store and by its compacted copy."""

    before: int
    after: int


def stats(reader: StoreReader) -> Stats:
    """Costs one walk over the heads."""
    forked = longest = 0
    for log, head in reader.all_heads():
        forked += head.flag
        longest = max(longest, 0 if is_checkpoint(log) else head.length)
    return Stats(reader.counts(), forked, reader.last_arrival, longest)


def compact(engine: Engine, path: Path) -> Compaction:
    """Copies the store without free pages to the folder `path`, new or empty. The store stays in use meanwhile."""
    before = engine.sizes().used
    engine.compact(path)
    return Compaction(before, sum(f.stat().st_size for f in path.iterdir() if f.is_file()))


def verify(reader: StoreReader, progress: Progress) -> list[StoreProblem]:
    """All problems by account, then those of parts, of whole tables, and of views; or those of pages alone.

    Views that are being built are not checked.
    """
    if faults := reader.txn.faults():
        return [StoreProblem(PAGES, sentence) for sentence in faults]
    found: list[StoreProblem] = []
    checked = 0
    for account in reader.accounts():
        progress(account, checked)
        for log in reader.logs(account):
            if not is_checkpoint(log):
                checks = _LogCheck(reader, log)
                found += _guarded(checks.name, checks.problems())
                checked += checks.checked
        found += _guarded(f"account {account.hex()[:16]}", _grants(reader, account))
    charters = (StoreProblem("charter", sentence) for sentence in charter_acts.faults(reader.txn, reader.realm))
    for where, problems in (("parts", _parts(reader)), ("tables", _wholes(reader)), ("charter", charters)):
        found += _guarded(where, problems)
    return found + verify_views(reader)


def verify_views(reader: StoreReader) -> list[StoreProblem]:
    """The problems of views and of guarded rows alone."""
    return list(_guarded(VIEWS, _views(reader)))


def _guarded(where: str, problems: Iterator[StoreProblem]) -> Iterator[StoreProblem]:
    """The problems, and last that a row has a form that no row has: whatever reads rows may stumble over it."""
    try:
        yield from problems
    except UNREADABLE as error:
        yield StoreProblem(where, f"a row cannot be read ({error}), so not everything here was checked")


class _LogCheck:
    """Checks the entries of one log against their head, indexes and each other."""

    def __init__(self, reader: StoreReader, log: LogId) -> None:
        self.reader, self.log, self.checked = reader, log, 0
        self.name = f"log {log.log} of writer {log.writer.hex()[:16]} in account {log.account.hex()[:16]}"
        self.ids: list[EntryId] = []
        self.unproved: dict[EntryId, int] = {}

    def problems(self) -> Iterator[StoreProblem]:
        lid, head = t.head_of_value(self.reader.txn.get(t.HEADS, t.log_name(self.log)) or bytes(13))
        name = self.reader.txn.get(t.LOGS, t.u32(lid))
        if name != t.log_name(self.log):
            yield StoreProblem(self.name, f"number {lid} stands for {'nothing' if name is None else 'another log'}")
            return
        yield from self._chain(lid)
        last = self.ids[-1] if self.ids else None
        if (len(self.ids), last) != (head.length, head.id):
            sentence = f"the head says {head.length} entries up to {_short(head.id)}, the chain has {len(self.ids)}"
            yield StoreProblem(self.name, f"{sentence} up to {_short(last)}")
        yield from self._loose(lid)
        for entry, seq in self.unproved.items():
            yield StoreProblem(self.name, f"no signature that is held vouches for entry {seq} ({_short(entry)})")

    def _chain(self, lid: int) -> Iterator[StoreProblem]:
        parent: Entry | None = None
        rows = self.reader.txn.prefix(t.CHAIN, t.u32(lid))
        for seq, n, signed in (place for row in rows for place in _places(t.stretch_of(*row))):
            e = self._read(n)
            if e is None or e.header.seq != seq or seq != len(self.ids):
                yield StoreProblem(
                    self.name, f"the chain has arrival {n} as entry {seq}; it is not there, or not entry {seq}"
                )
                return
            if signed != (e.sig is not None):
                yield StoreProblem(self.name, f"the index has a wrong mark for the signature of entry {seq}")
            target = skip_seq(seq)
            yield from self._entry(n, e, parent, None if target is None else self.ids[target])
            self.ids.append(e.id)
            parent = e

    def _loose(self, lid: int) -> Iterator[StoreProblem]:
        rows = [(key, t.loose_of(key, value).n) for key, value in self.reader.txn.prefix(t.LOOSE, t.u32(lid))]
        held: list[tuple[int, int, Entry]] = []
        for key, n in rows:
            e = self._read(n)
            if e is None or key != t.loose_key(lid, e.header.seq, e.id):
                yield StoreProblem(self.name, f"arrival {n} is held beside the chain under the id of another entry")
            else:
                held.append((e.header.seq, n, e))
        for _, n, e in sorted(held):
            parent = None if e.header.prev is None else _held(self.reader, e.header.prev)
            if parent is None and e.header.prev is not None:
                yield StoreProblem(
                    self.name, f"entry {_short(e.id)} hangs on {_short(e.header.prev)}, which is not held"
                )
                continue
            yield from self._entry(n, e, parent, self._ancestor(e))

    def _ancestor(self, e: Entry) -> EntryId | None:
        """The id that a loose entry's skip must name, found by walking down until its branch meets the chain."""
        target, at = skip_seq(e.header.seq), e
        if target is None:
            return None
        while at.header.seq > target:
            seq, prev = at.header.seq - 1, at.header.prev
            if seq < len(self.ids) and self.ids[seq] == prev:
                return self.ids[target]
            above = None if prev is None else _held(self.reader, prev)
            if above is None:
                return None
            at = above
        return at.id

    def _read(self, n: int) -> Entry | None:
        raw = self.reader.txn.get(t.ENTRIES, t.u48(n))
        if raw is None:
            return None
        try:
            before = self.reader.name_at(n - 1) if record_after(raw) else None
            return decode_record(raw, self.log, None if before is None else before[0])
        except CorruptStore:
            return None

    def _entry(self, n: int, e: Entry, parent: Entry | None, skip: EntryId | None) -> Iterator[StoreProblem]:
        """Checks one entry by itself, against its parent, and in the index of ids."""
        self.checked += 1
        h = e.header
        if entry_id(self.reader.realm, encode_header(h)) != e.id:
            yield StoreProblem(self.name, f"entry {h.seq} is stored as {_short(e.id)}, its bytes hash to another id")
        if self.reader.number_of(e.id) != n:
            yield StoreProblem(self.name, f"entry {h.seq} ({_short(e.id)}) is not found by its id")
        try:
            check_link(e, parent, skip)
            decode_body(e.ops)
            if e.sig is not None:
                verify_signature(self.reader.realm, h.writer, e.id, e.sig)
        except BanyanError as error:
            yield StoreProblem(self.name, f"entry {h.seq}: {error}")
            return
        if e.sig is None:
            self.unproved[e.id] = h.seq
        else:
            self._vouch(e, parent)

    def _vouch(self, e: Entry, parent: Entry | None) -> None:
        """A signature proves the entries below it within one run; in a control log, only its own entry."""
        self.unproved.pop(e.id, None)
        size = row_bytes(e, parent)
        for _ in range(MAX_RUN_ENTRIES - 1 if self.log.log else 0):
            if parent is None or parent.sig is not None:
                return
            below = None if parent.header.prev is None else _held(self.reader, parent.header.prev)
            size += row_bytes(parent, below)
            if size > MAX_RUN_BYTES:
                return
            self.unproved.pop(parent.id, None)
            parent = below


def _grants(reader: StoreReader, account: AccountId) -> Iterator[StoreProblem]:
    """Checks the stored grants and checkpoints against the control log."""
    where = f"account {account.hex()[:16]}"
    row = reader.txn.get(t.ACCOUNTS, account)
    try:
        control = resolve_control(reader.control(account), reader.checkpoints(account))
    except (BanyanError, CorruptStore) as error:
        yield StoreProblem(where, f"its control log cannot be read: {error}")
        return
    if row != (encode_grants(control) if control.path else b""):
        yield StoreProblem(where, "the grants kept beside its control log are not what the log says")
    yield from _checkpoints(reader, account, control)


def _checkpoints(reader: StoreReader, account: AccountId, control: Control) -> Iterator[StoreProblem]:
    """Checks each checkpoint by itself, against its head, and whether its writer may make one."""
    heads = {log.writer: head for log, head in reader.heads(account).items() if is_checkpoint(log)}
    for key, raw in reader.txn.prefix(t.CHECKPOINTS, account):
        writer = WriterKey(key[t.LOG_NAME.writer])
        where = f"checkpoint of writer {writer.hex()[:16]} in account {account.hex()[:16]}"
        try:
            held = decode_checkpoint(reader.realm, raw)
            verify_signature(reader.realm, held.writer, held.id, held.sig)
        except BanyanError as error:
            heads.pop(writer, None)
            yield StoreProblem(where, str(error))
            continue
        if held.account + held.writer != key:
            yield StoreProblem(where, f"another one is stored there, of writer {held.writer.hex()[:16]}")
        if heads.pop(writer, None) != held.head:
            yield StoreProblem(where, f"its head is not number {held.n}, {_short(held.id)}")
        lid = (reader.txn.get(t.HEADS, t.log_name(held.log_id)) or bytes(4))[t.HEAD.lid]
        if reader.txn.get(t.LOGS, lid) != t.log_name(held.log_id):
            yield StoreProblem(where, f"number {t.number(lid)} stands for something else")
        if not control.entitles(held.writer):
            yield StoreProblem(where, "the control log names no such writer")
    for writer in heads:
        where = f"checkpoint of writer {writer.hex()[:16]} in account {account.hex()[:16]}"
        yield StoreProblem(where, "only its head is there")


class BadPart(NamedTuple):
    """A part that does not match its entry, or that no entry names (entry: None)."""

    entry: Entry | None
    n: int
    """The arrival number of its entry."""
    op: int
    sentence: str


def bad_parts(reader: StoreReader) -> Iterator[BadPart]:
    """Compares every held part with the hash in its entry."""
    named = NamedParts(reader)
    for key, raw in reader.txn.scan(t.PARTS):
        part, (n, at) = named.part(key), t.part_place(key)
        if part is None:
            yield BadPart(None, n, at, f"{_place(key)} is held, but no entry names it")
            continue
        try:
            open_part(part, raw)
        except BanyanError as error:
            yield BadPart(reader.at(n), n, at, f"{_place(key)}: {error}")


def _parts(reader: StoreReader) -> Iterator[StoreProblem]:
    """Checks parts against the hashes in entries; a part that is lacking or erased must not be held."""
    yield from (StoreProblem("parts", bad.sentence) for bad in bad_parts(reader))
    named = NamedParts(reader)
    for key, raw in reader.txn.scan(t.LACKING):
        if named.part(key) != t.wanted_part(raw):
            yield StoreProblem("lacking", f"{_place(key)} is wanted, but its entry names another part or none")
        if reader.txn.get(t.PARTS, key) is not None:
            yield StoreProblem("lacking", f"{_place(key)} is wanted, but it is held")
    for key, _ in reader.txn.scan(t.WITHHELD):
        if named.part(key) is None:
            yield StoreProblem("withheld", f"{_place(key)} was erased, but no entry names it")
        for table in (t.PARTS, t.LACKING):
            if reader.txn.get(table, key) is not None:
                yield StoreProblem("withheld", f"{_place(key)} was erased, but is in {table.name}")
    yield from (StoreProblem("media", sentence) for sentence in blob_names.faults(reader))


def _views(reader: StoreReader) -> Iterator[StoreProblem]:
    """Checks views and what is guarded, unless the store has no views (as in the simulator)."""
    try:
        proof = RowCheck(reader)
    except KeyError:
        return
    for view, account, sentence in proof.faults():
        of = "" if account is None else f" of account {account.hex()[:16]}"
        yield StoreProblem(f"{VIEWS}: {view}{of}", sentence)
    for table in GUARDED:
        if damaged := sum(t.guarded(*row) is None for row in reader.txn.scan(table)):
            yield StoreProblem(table.name, f"rows whose checksums do not match: {damaged}")


def _held(reader: StoreReader, entry: EntryId) -> Entry | None:
    """An entry by its id; None also if it cannot be read."""
    try:
        return reader.entry(entry)
    except CorruptStore:
        return None


def _wholes(reader: StoreReader) -> Iterator[StoreProblem]:
    """Checks that each entry is in one place. Every row was checked above, so it is enough to compare their numbers."""
    rows = {table: reader.txn.count(table) for table in (t.ENTRIES, t.LOOSE, t.LOGS, t.HEADS)}
    counted = sum(t.stretch_of(*row).size for row in reader.txn.scan(t.CHAIN))
    if rows[t.ENTRIES] != counted + rows[t.LOOSE]:
        placed = f"{counted} count and {rows[t.LOOSE]} are loose"
        yield StoreProblem("entries", f"{rows[t.ENTRIES]} entries are held, of which {placed}")
    after = indexed(reader.txn)
    ids = [t.n_of_id_key(key) for key, _ in reader.txn.scan(t.IDS)]
    early, late = sum(n <= after for n in ids), sum(1 for _ in reader.txn.scan(t.ENTRIES, t.u48(after + 1)))
    if early + late != rows[t.ENTRIES]:
        sentence = f"{rows[t.ENTRIES] - late} entries up to arrival {after} are held, {early} ids of them are indexed"
        yield StoreProblem("ids", sentence)
    if any(reader.at(n) is None for n in ids if n > after):
        yield StoreProblem("ids", f"an id is indexed of an arrival after {after} that is not held")
    if rows[t.LOGS] != rows[t.HEADS]:
        yield StoreProblem("logs", f"{rows[t.LOGS]} logs have numbers, {rows[t.HEADS]} have heads")
    yield from _due(reader)
    for one in held(reader, LOCAL).values():
        yield from (StoreProblem(LOCAL_STATE, row.sentence) for row in one.damaged)
    for name, raw, copy in apart(reader.txn, TWICE):
        says = (
            "is lost" if raw is None else "has no copy that is sound" if copy is None else "is not what its copy says"
        )
        yield StoreProblem(LOCAL_STATE, f"the row {repr(name[:80])[1:]} {says}")
    last = reader.txn.last(t.ENTRIES)
    if last is not None and t.number(last[0]) > reader.last_arrival:
        yield StoreProblem("entries", f"arrival {t.number(last[0])} is held, the counter says {reader.last_arrival}")


def _due(reader: StoreReader) -> Iterator[StoreProblem]:
    """Checks that each key is stored once by time and once by name."""
    for work, key, _ in sorted(astray(reader.txn)):
        yield StoreProblem("due", f"work {work[0]} of {key.hex()[:32]} has different times in the two orders")


def _places(stretch: t.Stretch) -> Iterator[tuple[int, int, bool]]:
    """(seq, arrival number, whether it is signed) of each entry of a stretch."""
    last = stretch.size - 1
    return ((stretch.seq + k, stretch.n + k, stretch.signed and k == last) for k in range(stretch.size))


def _short(entry: EntryId | None) -> str:
    return "none" if entry is None else entry.hex()[:16]


def _place(key: bytes) -> str:
    n, at = t.part_place(key)
    return f"the part of operation {at} of arrival {n}"
