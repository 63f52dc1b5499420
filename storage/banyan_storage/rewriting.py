"""Entries of logs that do not simply go on: a log is rewritten or shortened, entries that do not count come and go.

What stays keeps its arrival number and its content; what goes takes both along.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId, Head, LogId
from banyan_crdt.ops import decode_body

from . import tables as t
from .batch import stretch_rows
from .content_store import ContentStore
from .engine import Item, Table
from .errors import CorruptStore
from .records import decode_record, encode_record, is_record, record_after, record_id, record_name, record_signed


class _Held(NamedTuple):
    n: int
    raw: bytes
    loose: t.Loose | None
    """Its row, where it does not count."""


class RewritingStore(ContentStore):
    """Part of `Store`."""

    def rewrite(self, log: LogId, chain: Sequence[Entry], loose: Sequence[Entry], head: Head, now_s: int) -> None:
        """Replace what a granted log consists of. Entries in neither list go, with their parts; the others keep theirs.

        Call `rebuild_views` once when all logs of the account are rewritten.
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
