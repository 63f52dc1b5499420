"""The store: what was judged to count, and what is held besides, written by one thread and made durable by `commit`.

It decides nothing about validity. The caller says which entries extend chains (`append`, the fast path) or what a log
now consists of (`rewrite`, after a fork, a pin, a cut or new grants); the store keeps entries, indexes, parts and views
in step inside one transaction. Arrival numbers only rise and are never given twice, also when entries go.

After a StorageError what was pending is gone: call `rollback` before going on. (`commit` has done so when it raises.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from banyan_crdt.checkpoint import Checkpoint, encode_checkpoint
from banyan_crdt.columns import Entries
from banyan_crdt.control import Control
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Head, LogId, control_log
from banyan_crdt.ops import Body, Op, decode_body, part_of
from banyan_crdt.parts import content_of
from banyan_crdt.state import control_head

from . import due as d
from . import tables as t
from .engine import Item, Table
from .errors import CorruptStore
from .grant_rows import encode_grants
from .pending import PendingStore, snapshot
from .reader import NOTHING
from .records import (
    decode_record,
    encode_record,
    encode_records,
    is_record,
    record_after,
    record_id,
    record_name,
    record_signed,
)
from .viewhook import Append, ArrivedPart, Counted

__all__ = ["Append", "Store", "snapshot"]


class _Held(NamedTuple):
    n: int
    raw: bytes
    loose: t.Loose | None
    """Its row, where it does not count."""


class Store(PendingStore):
    """The writer. One thread makes it and uses it; others take `snapshot()`."""

    # -- entries

    def _log(self, log: LogId) -> tuple[int, Head]:
        """The log's short number and head; a log never heard of gets a number."""
        found = self._find(log)
        if found is None:
            found = self._lids + 1, NOTHING
            self._name_logs([log])
            self._set_head(log, *found)
        return found

    def _name_logs(self, logs: Sequence[LogId]) -> None:
        """Give each of these new logs the next short number."""
        self._write.put_many(t.LOGS, [(t.u32(lid), t.log_name(log)) for lid, log in enumerate(logs, self._lids + 1)])
        accounts = sorted({log.account for log in logs})
        known = {key for key, _ in self._write.get_many(t.ACCOUNTS, accounts)}
        self._write.put_many(t.ACCOUNTS, [(account, b"") for account in accounts if account not in known])
        self._lids += len(logs)

    def _set_head(self, log: LogId, lid: int, head: Head) -> None:
        self._put_heads([(t.log_name(log), t.head_value(lid, head))])
        self._cache(log, (lid, head))

    def _put_heads(self, rows: Sequence[Item]) -> None:
        """The only way to write heads: what moved is noted with them."""
        self._write.put_many(t.HEADS, rows)
        self.moves.take(rows)

    def append(self, batch: Sequence[Append], opened: Sequence[tuple[AccountId, Control]] = ()) -> None:
        """Extend what counts of logs. Several of the batch may continue one log, in their order.

        opened: accounts of which nothing was held. Their control logs are in the batch, whole; no others are.
        Raises ValueError, and has changed nothing, where one does not continue its log.
        """
        rows = _Rows(self._last)
        heads: dict[LogId, tuple[int, Head]] = {}
        unnamed: list[LogId] = []
        firsts = []
        for append in batch:
            log, entries, head = append.log, append.entries, append.head
            found = heads.get(log) or self._find(log)
            if found is None:
                unnamed.append(log)
                found = self._lids + len(unnamed), NOTHING
            lid, old = found
            first = entries[0].header
            if first.seq != old.length or first.prev != old.id or head.length != old.length + len(entries):
                raise ValueError(f"entry {first.seq} to head {head.length} does not continue a log of {old.length}")
            heads[log] = lid, head
            firsts.append(rows.last + 1)
            rows.take(lid, append)
        self.changes += 1
        self._last = rows.last
        self._ids.add(rows.ids)
        self._wanted.update(rows.wanted)
        self._recent.update(rows.recent)
        if unnamed:
            self._name_logs(unnamed)
        if opened:
            self._write.put_many(t.ACCOUNTS, sorted([(account, encode_grants(grants)) for account, grants in opened]))
        self._put_heads(sorted([(t.log_name(log), t.head_value(*at)) for log, at in heads.items()]))
        for log, at in heads.items():
            self._cache(log, at)
        rows.places.sort()
        self._write.put_many(t.ENTRIES, rows.records, append=True)
        self._write.put_many(t.CHAIN, rows.places)
        self._write.put_many(t.PARTS, rows.parts, append=True)
        if opened:  # nothing of a control log shows
            firsts = [first for append, first in zip(batch, firsts, strict=True) if append.log.log]
            batch = [append for append in batch if append.log.log]
        self._views.added(self._write, self, batch, firsts)
        if self.any_erased():
            self._erase_again([e for append in batch for e in append.entries])

    def put_control(self, account: AccountId, control: Control, loose: Sequence[Entry], now_s: int) -> None:
        """Replace the control entries that are held, a path and what is `loose` beside it, and what they grant."""
        self._write.put(t.ACCOUNTS, account, encode_grants(control) if control.path else b"")
        self._rewrite(control_log(account), control.path, loose, control_head(control), now_s)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """The one of its writer that stands from now on."""
        self.changes += 1
        log = checkpoint.log_id
        self._write.put(t.CHECKPOINTS, log.account + log.writer, encode_checkpoint(checkpoint))
        self._set_head(log, self._log(log)[0], checkpoint.head)

    def drop_checkpoint(self, log: LogId) -> None:
        """Its writer may not make one of the account any more."""
        self.changes += 1
        self._write.delete(t.CHECKPOINTS, log.account + log.writer)
        self._set_head(log, self._log(log)[0], NOTHING)

    def rewrite(self, log: LogId, chain: Sequence[Entry], loose: Sequence[Entry], head: Head, now_s: int) -> None:
        """Replace what a granted log consists of. Entries in neither list go, with their parts; the others keep theirs.

        Call `rebuild_views` once when all logs of the account are rewritten.
        """
        if not log.log:
            raise ValueError(f"the control log of {log.account.hex()[:16]} is replaced by put_control")
        self._rewrite(log, chain, loose, head, now_s)
        self._unname_empty(log)

    def _unname_empty(self, log: LogId) -> None:
        """Of a log of which nothing is left (its writer was cut, its account closed) the name goes, too."""
        lid, head = self._log(log)
        if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
            self._unname(log, lid)

    def _unname(self, log: LogId, lid: int) -> None:
        self._write.delete(t.LOGS, t.u32(lid))
        self._write.delete(t.HEADS, t.log_name(log))
        self._write.put(t.META, t.LIDS_KEY, t.u32(self._lids))
        self._names.pop(lid, None)
        self._cache(log, None)

    def reclaim(self, start: bytes, limit: int) -> bytes | None:
        """Take away the names of logs of which nothing is held: older programs kept them. From the log named `start`
        on, `limit` logs at most; where to go on, or None at the end."""
        rows = list(self._write.scan(t.HEADS, start, limit=limit))
        for key, value in rows:
            lid, head = t.head_of_value(value)
            log = t.log_of_name(key)
            if log.log and head == NOTHING and not any(self._write.prefix(t.LOOSE, t.u32(lid), limit=1)):
                self.changes += 1
                self._unname(log, lid)
        return rows[-1][0] + b"\0" if len(rows) == limit else None

    def _rewrite(self, log: LogId, chain: Sequence[Entry], loose: Sequence[Entry], head: Head, now_s: int) -> None:
        self.changes += 1
        lid = self._log(log)[0]
        old = self._held(lid)
        ns: dict[EntryId, int] = {}
        signed: set[EntryId] = set()
        fresh = []
        for e in (*chain, *loose):
            was = old.get(e.id)
            if was is None:
                ns[e.id], record = self._arrive(lid, e)
                fresh.append(record)
            else:
                ns[e.id] = was.n
                if e.sig and not record_signed(was.raw):
                    self._write.put(t.ENTRIES, t.u48(was.n), encode_record(lid, e))
            if e.sig or (was and record_signed(was.raw)):
                signed.add(e.id)
        self._write.put_many(t.ENTRIES, fresh)
        self._part_from_parents(log, lid, old, ns)
        for entry, was in old.items():
            if entry not in ns:
                self._delete(was.n, entry)
        self._replace(t.CHAIN, lid, dict(_stretches(lid, [(ns[e.id], e.id in signed) for e in chain])))
        self._any_loose = None
        rows = {}
        for e in loose:
            was = old.get(e.id)
            row = was.loose if was else None
            if row is None:
                row = t.Loose(e.header.seq, ns[e.id], t.BRANCH if was is None else t.QUARANTINED, now_s)
                self._unwant(row.n)
            rows[t.loose_key(lid, e.header.seq, e.id)] = t.loose_value(row)
        self._replace(t.LOOSE, lid, rows)
        self._set_head(log, lid, head)
        for e in chain:
            was = old.get(e.id)
            if was is None or was.loose is not None:
                self._want(ns[e.id], decode_body(e.ops))
        self._erase_again([e for e in (*chain, *loose) if e.id not in old])

    def _arrive(self, lid: int, e: Entry) -> tuple[int, Item]:
        """The next arrival: its number, and its record."""
        self._last += 1
        self._ids.add({e.id[:16]: t.u48(self._last)})
        return self._last, (t.u48(self._last), encode_record(lid, e))

    def add_loose(self, log: LogId, entries: Sequence[Entry], kind: int, now_s: int) -> None:
        """Hold entries that do not count, besides what is held. None of them is held yet, what they hang on is."""
        self.changes += 1
        lid = self._log(log)[0]
        records, rows = [], []
        for e in entries:
            n, record = self._arrive(lid, e)
            records.append(record)
            rows.append((t.loose_key(lid, e.header.seq, e.id), t.loose_value(t.Loose(e.header.seq, n, kind, now_s))))
        self._write.put_many(t.ENTRIES, records, append=True)
        self._write.put_many(t.LOOSE, sorted(rows))
        self._any_loose = None
        self._erase_again(entries)

    def shorten(self, log: LogId, head: Head, now_s: int) -> None:
        """What counted of a log beyond the new head counts no more: it is quarantined, with its content.

        Call `rebuild_views` afterwards.
        """
        self.changes += 1
        lid, old = self._log(log)
        loose = []
        for stretch in list(self._stretches(lid, head.length, old.length)):
            self._write.delete(t.CHAIN, t.chain_key(lid, stretch.seq))
            kept = max(0, head.length - stretch.seq)
            if kept:
                self._write.put(t.CHAIN, t.chain_key(lid, stretch.seq), t.chain_value(stretch.n, kept, False))
            loose += [t.Loose(stretch.seq + k, stretch.n + k, t.QUARANTINED, now_s) for k in range(kept, stretch.size)]
        rows = []
        for row in loose:
            raw = self._write.get(t.ENTRIES, t.u48(row.n))
            if raw is None:
                raise CorruptStore(f"arrival {row.n} is indexed, but is not there; run a check")
            rows.append((t.loose_key(lid, row.seq, record_id(raw)), t.loose_value(row)))
            self._unwant(row.n)
        self._write.put_many(t.LOOSE, sorted(rows))
        self._any_loose = None
        self._set_head(log, lid, head)

    def drop_loose(self, log: LogId, entries: Sequence[EntryId]) -> None:
        """Forget entries that do not count, and on which nothing that stays hangs."""
        self.changes += 1
        lid = self._log(log)[0]
        for entry in entries:
            found = self._record(entry)
            if found is None:
                continue
            n, raw = found
            if not self._write.delete(t.LOOSE, t.loose_key(lid, record_name(raw).seq, entry)):
                raise ValueError(f"entry {entry.hex()[:16]} counts, so it is not to be dropped")
            self._delete(n, entry)
        self._any_loose = None
        self._unname_empty(log)

    def forget_arrivals(self, log: LogId, ns: Collection[int]) -> None:
        """Arrivals of a log that cannot be read go, with their content. `put_control` or `rewrite` has to follow, and
        once all that is unreadable is gone, `mend_ids`."""
        self.changes += 1
        lid = self._log(log)[0]
        for n in ns:
            raw = self._write.get(t.ENTRIES, t.u48(n))
            if raw is None or not is_record(raw):
                self._write.delete(t.ENTRIES, t.u48(n))
                self._delete_parts(n)
            elif (name := record_name(raw)).lid == lid or self._chain_n(name.lid, name.seq) != n:
                self._delete(n, name.id)  # else the index of this log is wrong, and the entry is of another

    def mend_ids(self) -> None:
        """Ids go out of their index that are not of the entry which is there: what became unreadable had another id."""
        wrong = [key for key, _ in self._write.scan(t.IDS) if not self._is_of(key)]
        for key in wrong:
            self._write.delete(t.IDS, key)
        self.changes += bool(wrong)

    def _is_of(self, key: bytes) -> bool:
        raw = self._write.get(t.ENTRIES, t.u48(t.n_of_id_key(key)))
        return raw is not None and is_record(raw) and record_id(raw).startswith(key[:8])

    def _held(self, lid: int) -> dict[EntryId, _Held]:
        rows = self._write.prefix(t.CHAIN, t.u32(lid))
        stretches = [t.stretch_of(*row) for row in rows]
        chain = [n for s in stretches for n in range(s.n, s.n + s.size)]
        loose = {row.n: row for row in (t.loose_of(*row) for row in self._write.prefix(t.LOOSE, t.u32(lid)))}
        out = {}
        for key, raw in self._write.get_many(t.ENTRIES, map(t.u48, sorted([*chain, *loose]))):
            n = t.number(key)
            out[record_id(raw)] = _Held(n, raw, loose.get(n))
        return out

    def _part_from_parents(self, log: LogId, lid: int, old: dict[EntryId, _Held], kept: dict[EntryId, int]) -> None:
        """Entries that stay say themselves what their parent is, where its record is about to go."""
        going = {was.n: entry for entry, was in old.items() if entry not in kept}
        for n in kept.values():
            raw = self._write.get(t.ENTRIES, t.u48(n)) if n - 1 in going else None
            if raw is not None and record_after(raw):
                self._write.put(t.ENTRIES, t.u48(n), encode_record(lid, decode_record(raw, log, going[n - 1])))

    def _replace(self, table: Table, lid: int, rows: dict[bytes, bytes]) -> None:
        """Make these the rows of a log, touching only those that differ."""
        old = dict(self._write.prefix(table, t.u32(lid)))
        for key in old.keys() - rows.keys():
            self._write.delete(table, key)
        self._write.put_many(table, sorted(rows.items() - old.items()))

    def _delete(self, n: int, entry: EntryId) -> None:
        """The entry goes; what was erased of it is remembered under its id, should it come again."""
        self._ids.remove(entry, n)
        self._recent.pop(n, None)
        self._write.delete(t.ENTRIES, t.u48(n))
        erased = list(self._write.scan(t.WITHHELD, t.part_key(n, 0), t.part_key(n + 1, 0)))
        if erased:
            self._write.put_many(t.ERASED, [(t.erased_key(entry, t.part_place(k)[1]), reason) for k, reason in erased])
            self._any_erased = None
        self._delete_parts(n)

    def _delete_parts(self, n: int) -> None:
        for table in (t.PARTS, t.WITHHELD):
            self._write.delete_range(table, t.part_key(n, 0), t.part_key(n + 1, 0))
        self._unwant(n)

    def set_signature(self, entry: EntryId, sig: bytes) -> None:
        """Add a verified signature to an entry that is held without one. Does nothing where one is held already."""
        self.changes += 1
        found = self._record(entry)
        if found is None or record_signed(found[1]):
            return
        n, raw = found
        lid, seq, _ = record_name(raw)
        self._recent.pop(n, None)
        e = self._decode(n, raw)._replace(sig=sig)
        self._write.put(t.ENTRIES, t.u48(n), encode_record(lid, e, record_after(raw)))
        stretch = next(self._stretches(lid, seq, seq + 1), None)
        if stretch is not None and stretch.n + seq - stretch.seq == n:
            size = seq + 1 - stretch.seq
            rows = [(t.chain_key(lid, stretch.seq), t.chain_value(stretch.n, size, True))]
            if size < stretch.size:
                rest = t.chain_value(n + 1, stretch.size - size, stretch.signed)
                rows.append((t.chain_key(lid, seq + 1), rest))
            self._write.put_many(t.CHAIN, rows)

    def rebuild_views(self, account: AccountId, counted: Iterable[tuple[Entry, Body]]) -> None:
        """Fold the account again. `counted`: every entry that counts of its granted logs, with the ops that count.

        Parts of entries that count as no operations are no longer asked for, those of the others are.
        """
        self.changes += 1
        self._views.rebuilt(self._write, self, account, self._wanting(counted))

    def _wanting(self, counted: Iterable[tuple[Entry, Body]]) -> Iterator[Counted]:
        for e, body in counted:
            n = self.number_of(e.id)
            if n is None:
                raise CorruptStore(f"entry {e.id.hex()[:16]} counts, but is not there; run a check")
            if body.void:
                self._unwant(n)
            else:
                self._want(n, body)
            yield Counted(n, e, body)

    # -- parts

    def _want(self, n: int, body: Body) -> None:
        for at, op in enumerate(body.ops):
            part = part_of(op)
            if part is not None:
                key = t.part_key(n, at)
                if self._write.get(t.PARTS, key) is None and self._write.get(t.WITHHELD, key) is None:
                    self._wanted[key] = t.wanted_value(part)

    def _unwant(self, n: int) -> None:
        self._flush_wanted()
        self._write.delete_range(t.LACKING, t.part_key(n, 0), t.part_key(n + 1, 0))

    def _unlack(self, key: bytes) -> bool:
        """Strike a part off the list of what is lacking, in memory and on disk; whether it was on it."""
        waiting = self._wanted.pop(key, None) is not None
        return self._write.delete(t.LACKING, key) or waiting

    def _erase_again(self, came: Iterable[Entry]) -> None:
        """What was erased here of entries that went and came again stays erased."""
        if not self.any_erased():
            return
        for e in came:
            for key, reason in list(self._write.prefix(t.ERASED, e.id)):
                self._write.delete(t.ERASED, key)
                self.erase_part(e.id, t.erased_op(key), reason or None)
        self._any_erased = None

    def drop_part(self, entry: EntryId, op: int) -> None:
        """A part that is not what its entry names goes, and is asked for again if the entry counts."""
        self.changes += 1
        ops, n = self.ops(entry), self.number_of(entry)
        if ops is None or n is None:
            return
        place, part = t.part_key(n, op), part_of(ops[op])
        self._write.delete(t.PARTS, place)
        if self.is_counted(entry) and part is not None:
            self._wanted[place] = t.wanted_value(part)

    def put_parts(self, items: Sequence[tuple[EntryId, int, bytes]]) -> int:
        """Store parts that the caller has checked against their entries; returns how many were new.

        Only what is lacking is taken: parts of operations that count and that are neither held nor erased here.
        """
        self.changes += 1
        rows: dict[bytes, bytes] = {}
        arrived: list[ArrivedPart] = []
        for entry, at, raw in items:
            n = self.number_of(entry)
            key = b"" if n is None else t.part_key(n, at)
            if n is None or key in rows or not self._unlack(key):
                continue
            e, ops = self._with_ops(n, entry)
            arrived.append(ArrivedPart(n, e, at, ops[at], content_of(raw)))
            rows[key] = raw
        if not rows:
            return 0
        self._write.put_many(t.PARTS, sorted(rows.items()))
        self._views.parts_arrived(self._write, self, arrived)
        return len(rows)

    def put_loose_parts(self, items: Sequence[tuple[EntryId, int, bytes]]) -> None:
        """Store parts, checked against their entries, of entries that do not count, to be at hand if they ever do."""
        self.changes += 1
        rows: dict[bytes, bytes] = {}
        for entry, at, raw in items:
            n = self.number_of(entry)
            key = b"" if n is None else t.part_key(n, at)
            if n is not None and self._write.get(t.WITHHELD, key) is None:
                rows[key] = raw
        self._write.put_many(t.PARTS, sorted(rows.items()))

    def ops(self, entry: EntryId) -> tuple[Op, ...] | None:
        """The operations of an entry that is held: where content is to be put beside them."""
        n = self.number_of(entry)
        if n is None:
            return None
        return self._with_ops(n, entry)[1]

    def _with_ops(self, n: int, entry: EntryId) -> tuple[Entry, tuple[Op, ...]]:
        """The entry and its operations; at hand where it was appended or asked for since the last commit."""
        found = self._recent.get(n)
        if found is None:
            e = self.entry(entry)
            if e is None:
                raise CorruptStore(
                    f"a part of arrival {n} is wanted, but entry {entry.hex()[:16]} is not there; run a check"
                )
            found = self._recent[n] = e, decode_body(e.ops)
        return found[0], found[1].ops

    def erase_part(self, entry: EntryId, op: int, reason: bytes | None) -> bool:
        """Erase a part for good: not kept, not asked for, not taken when offered. False if the entry is not held.

        reason: the signed statement to answer with when somebody asks for it; None where there is none to give.
        """
        self.changes += 1
        found = self._record(entry)
        if found is None:
            return False
        n, raw = found
        e = self._decode(n, raw)
        key = t.part_key(n, op)
        self._unlack(key)
        self._write.delete(t.PARTS, key)
        self._write.put(t.WITHHELD, key, reason or b"")
        self._views.part_erased(self._write, self, e, op, decode_body(e.ops).ops[op])
        return True

    def want_part(self, entry: EntryId, op: int) -> bool:
        """Lift an erasure: the part is asked for again. False where none was in place."""
        self.changes += 1
        n = self.number_of(entry)
        e = self.entry(entry)
        if n is None or e is None or not self._write.delete(t.WITHHELD, t.part_key(n, op)):
            return False
        part = part_of(decode_body(e.ops).ops[op])
        if part is not None and self.is_counted(entry):
            self._wanted[t.part_key(n, op)] = t.wanted_value(part)
        return True

    def set_due(self, work: d.Work, key: bytes, at_ms: int) -> None:
        """That is due then, and at no other time."""
        self.changes += 1
        d.set_due(self._write, work, key, at_ms)

    def postpone(self, work: d.Work, prefix: bytes, at_ms: int) -> None:
        """What begins so and is due sooner is due then."""
        self.changes += 1
        d.postpone(self._write, work, prefix, at_ms)

    def drop_due(self, work: d.Work, key: bytes) -> None:
        self.changes += 1
        d.drop_due(self._write, work, key)

    def put_note(self, key: bytes, value: bytes | None) -> None:
        """Remember something local; None forgets it. Keys have at most 500 bytes."""
        self.changes += 1
        if value is None:
            self._write.delete(t.META, t.NOTE + key)
        else:
            self._write.put(t.META, t.NOTE + key, value)


class _Rows:
    """The rows of entries that are appended, gathered over a batch so that each table is written once."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.records: list[Item] = []
        self.places: list[Item] = []
        self.parts: list[Item] = []
        self.ids: dict[bytes, bytes] = {}
        self.wanted: dict[bytes, bytes] = {}
        self.recent: dict[int, tuple[Entry, Body]] = {}
        self._end: EntryId | None = None

    def take(self, lid: int, append: Append) -> None:
        """The entries of one log: the next arrivals."""
        entries, first = append.entries, self.last + 1
        if len(entries) == 1:
            self._take_one(lid, append, first)
            return
        arrivals = list(map(t.u48, range(first, first + len(entries))))
        after = self._end is not None and entries[0].header.prev == self._end
        if isinstance(entries, Entries):
            records, ids = encode_records(lid, entries, after), entries.columns.ids
            signed = [len(ids)]
        else:
            records, ids = (
                [encode_record(lid, e, k > 0 or after) for k, e in enumerate(entries)],
                [e.id for e in entries],
            )
            signed = [k for k, e in enumerate(entries, 1) if e.sig is not None]
        self.records += zip(arrivals, records, strict=True)
        self.ids.update(zip([id_[:16] for id_ in ids], arrivals, strict=True))
        if append.puts:
            raws = [raw for raw in append.parts if raw is not None]
            self.parts += zip([arrival + b"\0\0" for arrival in arrivals], raws, strict=True)
        else:
            self._take_parts(append, first)
        seq, before = entries[0].header.seq, 0
        self.last, self._end = first + len(ids) - 1, ids[-1]
        for end in signed:
            self.places += _cut(lid, seq + before, first + before, end - before, True)
            before = end
        self.places += _cut(lid, seq + before, first + before, len(ids) - before, False)

    def _take_one(self, lid: int, append: Append, n: int) -> None:
        """What `take` would do, without its lists."""
        e, arrival = append.entries[0], t.u48(n)
        prev = e.header.prev
        self.records.append((arrival, encode_record(lid, e, prev is not None and prev == self._end)))
        self.ids[e.id[:16]] = arrival
        if append.puts and (raw := append.parts[0]) is not None:
            self.parts.append((arrival + b"\0\0", raw))
        else:
            self._take_parts(append, n)
        self.places.append((t.chain_key(lid, e.header.seq), t.chain_value(n, 1, e.sig is not None)))
        self.last, self._end = n, e.id

    def _take_parts(self, append: Append, first: int) -> None:
        left = iter(append.parts)
        for n, (e, body) in enumerate(zip(append.entries, append.bodies, strict=True), first):
            for at, op in enumerate(body.ops):
                part = part_of(op)
                if part is None:
                    continue
                raw = next(left, None)
                if raw is not None:
                    self.parts.append((t.part_key(n, at), raw))
                else:
                    self.wanted[t.part_key(n, at)] = t.wanted_value(part)
                    self.recent[n] = e, body


def _stretches(lid: int, places: Iterable[tuple[int, bool]]) -> Iterator[Item]:
    """The rows of a whole chain, given the arrival number of each entry and whether it is signed."""
    seq, first, size, was_signed = 0, 0, 0, True
    for n, signed in places:
        if was_signed or n != first + size:
            yield from _cut(lid, seq, first, size, was_signed)
            seq, first, size = seq + size, n, 0
        size, was_signed = size + 1, signed
    yield from _cut(lid, seq, first, size, was_signed)


def _cut(lid: int, seq: int, first: int, size: int, signed: bool) -> Iterator[Item]:
    """One stretch as rows: more than one where it is longer than a row can say."""
    while size > t.MAX_STRETCH:
        yield t.chain_key(lid, seq), t.chain_value(first, t.MAX_STRETCH, False)
        seq, first, size = seq + t.MAX_STRETCH, first + t.MAX_STRETCH, size - t.MAX_STRETCH
    if size:
        yield t.chain_key(lid, seq), t.chain_value(first, size, signed)
