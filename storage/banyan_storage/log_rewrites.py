"""Changes of logs other than growth: a log is rewritten or shortened, and entries that do not count come and go.

An entry that stays keeps its arrival number and its content; a dropped entry loses both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId, Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_crdt.ops import decode_body
from banyan_storage import blob_names
from banyan_storage import tables as t
from banyan_storage.batch import stretch_rows
from banyan_storage.content_store import ContentStore
from banyan_storage.engine import Item, Table
from banyan_storage.entry_records import (
    decode_record,
    encode_record,
    is_record,
    record_after,
    record_id,
    record_name,
    record_signed,
)
from banyan_storage.errors import CorruptStore


class _Held(NamedTuple):
    n: int
    raw: bytes
    loose: t.Loose | None
    """Its row if it does not count."""


class RewritingStore(ContentStore):
    """A layer of `Store`."""

    def rewrite(self, log: LogId, chain: Sequence[Entry], loose: Sequence[Entry], head: Head, now_s: int) -> None:
        """Replaces the entries of a granted log. Entries in neither list are dropped with their parts.

        Call `rebuild_views` once after all logs of the account are rewritten.
        """
        if not log.log:
            raise ValueError(f"the control log of {log.account.hex()[:16]} is replaced by put_control")
        self._rewrite(log, chain, loose, head, now_s)
        self._unname_empty(log)

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
        self._replace(t.CHAIN, lid, dict(stretch_rows(lid, [(ns[e.id], e.id in signed) for e in chain])))
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
        counts = {e.id for e in chain}
        if any((was.loose is None) != (entry in counts) for entry, was in old.items()):
            self.note_act("recounted", log.account)

    def _arrive(self, lid: int, e: Entry) -> tuple[int, Item]:
        """Gives the entry the next arrival number. Returns the number and the record."""
        self._last += 1
        self._ids.add({e.id[t.ID.half]: t.u48(self._last)})
        return self._last, (t.u48(self._last), encode_record(lid, e))

    def add_loose(self, log: LogId, entries: Sequence[Entry], kind: int, now_s: int) -> None:
        """Adds entries that do not count. None of them is held yet, and their parents are."""
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
        """Ends what counts of a log at the new head. Entries beyond it are quarantined, with their content.

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
        if loose:
            self.note_act("recounted", log.account)

    def drop_loose(self, log: LogId, entries: Sequence[EntryId]) -> None:
        """Drops entries that do not count. No entry that stays may follow them."""
        self.changes += 1
        lid = self._log(log)[0]
        for entry in entries:
            found = self._record(entry)
            if found is None:
                continue
            n, raw = found
            if not self._write.delete(t.LOOSE, t.loose_key(lid, record_name(raw).seq, entry)):
                raise ValueError(f"entry {entry.hex()[:16]} counts, so it cannot be dropped")
            self._delete(n, entry)
        self._any_loose = None
        self._unname_empty(log)

    def drop_end(self, log: LogId, most: int, look: Callable[[Sequence[int]], None]) -> int:
        """Drops about so many entries from the end of a granted log: first those that do not count, then whole runs, so
        that what is left can be served. look: gets their arrivals before. Returns how many; less than `most` if nothing
        is left."""
        self.changes += 1
        lid, old = self._log(log)
        gone, loose, chain, length = list[int](), list[bytes](), list[bytes](), old.length
        for key, raw in self._write.prefix(t.LOOSE, t.u32(lid), reverse=True):
            row = t.loose_of(key, raw)
            if len(gone) >= most and record_signed(self._write.get(t.ENTRIES, t.u48(row.n)) or b""):
                break
            gone.append(row.n)
            loose.append(key)
        for key, raw in self._write.prefix(t.CHAIN, t.u32(lid), reverse=True) if len(gone) < most else ():
            stretch = t.stretch_of(key, raw)
            if len(gone) >= most and stretch.signed:
                break
            gone += range(stretch.n, stretch.n + stretch.size)
            chain.append(key)
            length = stretch.seq
        if not gone:
            self._unname_empty(log)
            return 0
        last = self.id_at(log, length - 1) if length else None
        look(gone)
        for n in sorted(gone, reverse=True):
            record = self._write.get(t.ENTRIES, t.u48(n))
            if record is not None and is_record(record) and record_name(record).lid == lid:
                self._delete(n, record_id(record))
        for table, keys in ((t.LOOSE, loose), (t.CHAIN, chain)):
            for key in keys:
                self._write.delete(table, key)
        self._any_loose = None
        if length < old.length:
            self._set_head(log, lid, NOTHING if last is None else Head(length, last, old.flag))
        self._unname_empty(log)
        return len(gone)

    def forget_arrivals(self, log: LogId, ns: Collection[int]) -> None:
        """Drops unreadable arrivals of a log, with their content. Then call `put_control` or `rewrite`, and `mend_ids`
        after all unreadable arrivals are dropped."""
        self.changes += 1
        lid = self._log(log)[0]
        for n in ns:
            raw = self._write.get(t.ENTRIES, t.u48(n))
            if raw is None or not is_record(raw):
                self._write.delete(t.ENTRIES, t.u48(n))
                self._delete_parts(n)
            elif (name := record_name(raw)).lid == lid or self._chain_n(name.lid, name.seq) != n:
                self._delete(n, name.id)  # otherwise the index is wrong, and the entry belongs to another log

    def mend_ids(self) -> None:
        """Deletes rows of the index of ids that do not match their entries: unreadable entries had other ids."""
        wrong = [key for key, _ in self._write.scan(t.IDS) if not self._is_of(key)]
        for key in wrong:
            self._write.delete(t.IDS, key)
        self.changes += bool(wrong)

    def _is_of(self, key: bytes) -> bool:
        raw = self._write.get(t.ENTRIES, t.u48(t.n_of_id_key(key)))
        return raw is not None and is_record(raw) and record_id(raw).startswith(key[t.ID_KEY.begin])

    def _held(self, lid: int) -> dict[EntryId, _Held]:
        rows = self._write.prefix(t.CHAIN, t.u32(lid))
        stretches = [t.stretch_of(*row) for row in rows]
        chain = [n for s in stretches for n in range(s.n, s.n + s.size)]
        loose = {row.n: row for row in (t.loose_of(*row) for row in self._write.prefix(t.LOOSE, t.u32(lid)))}
        out = {}
        for key, raw in self._write.get_many(t.ENTRIES, map(t.u48, sorted([*chain, *loose]))):
            n = t.number(key)
            if record_name(raw).lid == lid:  # otherwise the index is wrong, and the entry belongs to another log
                out[record_id(raw)] = _Held(n, raw, loose.get(n))
        return out

    def _part_from_parents(self, log: LogId, lid: int, old: dict[EntryId, _Held], kept: dict[EntryId, int]) -> None:
        """Stores the parent's id in entries whose parent's record is about to be dropped."""
        going = {was.n: entry for entry, was in old.items() if entry not in kept}
        for n in kept.values():
            raw = self._write.get(t.ENTRIES, t.u48(n)) if n - 1 in going else None
            if raw is not None and record_after(raw):
                self._write.put(t.ENTRIES, t.u48(n), encode_record(lid, decode_record(raw, log, going[n - 1])))

    def _replace(self, table: Table, lid: int, rows: dict[bytes, bytes]) -> None:
        """Makes these the rows of a log; writes only those that differ."""
        old = dict(self._write.prefix(table, t.u32(lid)))
        for key in old.keys() - rows.keys():
            self._write.delete(table, key)
        self._write.put_many(table, sorted(rows.items() - old.items()))

    def _delete(self, n: int, entry: EntryId) -> None:
        """Drops an entry. Its erased parts are remembered under its id, in case it comes again."""
        self._ids.remove(entry, n)
        self._recent.pop(n, None)
        self._write.delete(t.ENTRIES, t.u48(n))
        erased = list(self._write.scan(t.WITHHELD, t.part_key(n, 0), t.part_key(n + 1, 0)))
        if erased:
            self._write.put_many(t.ERASED, [(t.erased_key(entry, t.part_place(k)[1]), reason) for k, reason in erased])
            self._any_erased = None
        self._delete_parts(n)

    def _delete_parts(self, n: int) -> None:
        blob_names.unname(self._write, t.part_key(n, 0), t.part_key(n + 1, 0))
        for table in (t.PARTS, t.WITHHELD):
            self._write.delete_range(table, t.part_key(n, 0), t.part_key(n + 1, 0))
        self._unwant(n)

    def set_signature(self, entry: EntryId, sig: bytes) -> None:
        """Adds a verified signature to a held entry, unless it has one."""
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
