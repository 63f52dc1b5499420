"""Writes content: which parts are wanted, stored, dropped and erased.

A part is wanted from when its entry counts until it comes or is erased. An erased part stays erased, even if its entry
is dropped and comes again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId
from banyan_crdt.ops import Body, Op, decode_body, part_of
from banyan_crdt.parts import content_of
from banyan_storage import blob_names
from banyan_storage import tables as t
from banyan_storage.engine import Item
from banyan_storage.errors import CorruptStore
from banyan_storage.transaction import LogStore
from banyan_storage.viewhook import ArrivedPart


class ContentStore(LogStore):
    """A layer of `Store`."""

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
        """Removes a part from the list of lacking parts, in memory and on disk. Returns whether it was there."""
        waiting = self._wanted.pop(key, None) is not None
        return self._write.delete(t.LACKING, key) or waiting

    def _erase_again(self, came: Iterable[Entry]) -> None:
        """Erases the parts that were erased before, of entries that were dropped and came again."""
        if not self.any_erased():
            return
        for e in came:
            for key, reason in list(self._write.prefix(t.ERASED, e.id)):
                self._write.delete(t.ERASED, key)
                self.erase_part(e.id, t.erased_op(key), reason or None)
        self._any_erased = None

    def drop_part(self, entry: EntryId, op: int) -> None:
        """Drops a part that does not match its entry. If the entry counts, the part is asked for again."""
        self.changes += 1
        ops, n = self.ops(entry), self.number_of(entry)
        if ops is None or n is None:
            return
        place, part = t.part_key(n, op), part_of(ops[op])
        self._delete_part(place)
        if self.is_counted(entry) and part is not None:
            self._wanted[place] = t.wanted_value(part)

    def put_parts(self, items: Sequence[tuple[EntryId, int, bytes]]) -> int:
        """Stores parts that the caller has checked against their entries; returns how many were new.

        Only lacking parts are stored: those of operations that count and that are neither held nor erased here.
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
        named = [blob_names.row_of_op(key, a.op, rows[key]) for key, a in zip(rows, arrived, strict=True)]
        blob_names.name(self._write, [row for row in named if row is not None])
        self._views.parts_arrived(self._write, self, arrived)
        for one in [one for one in arrived if one.n <= self._noted]:  # readers may have been told its entry
            self.note_act("late", one.entry.account, t.erased_key(one.entry.id, one.op_index))
        return len(rows)

    def put_loose_parts(self, items: Sequence[tuple[EntryId, int, bytes]]) -> None:
        """Stores checked parts of entries that do not count, in case they count later."""
        self.changes += 1
        rows: dict[bytes, bytes] = {}
        named: list[Item] = []
        for entry, at, raw in items:
            n = self.number_of(entry)
            key = b"" if n is None else t.part_key(n, at)
            if n is not None and self._write.get(t.WITHHELD, key) is None:
                rows[key] = raw
                ops = self.ops(entry) or ()
                if at < len(ops) and (row := blob_names.row_of_op(key, ops[at], raw)) is not None:
                    named.append(row)
        self._write.put_many(t.PARTS, sorted(rows.items()))
        blob_names.name(self._write, named)

    def _delete_part(self, key: bytes) -> None:
        """Removes the bytes of a part, and what they name."""
        self._write.delete(t.PARTS, key)
        blob_names.unname(self._write, key, key + b"\0")

    def ops(self, entry: EntryId) -> tuple[Op, ...] | None:
        """The operations of a held entry."""
        n = self.number_of(entry)
        if n is None:
            return None
        return self._with_ops(n, entry)[1]

    def _with_ops(self, n: int, entry: EntryId) -> tuple[Entry, tuple[Op, ...]]:
        """The entry and its operations, cached until the next commit."""
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
        """Erases a part for ever: it is never asked for or accepted again. False if the entry is not held.

        reason: the signed statement for peers that ask for it, or None.
        """
        self.changes += 1
        found = self._record(entry)
        if found is None:
            return False
        n, raw = found
        e = self._decode(n, raw)
        key = t.part_key(n, op)
        self._unlack(key)
        self._delete_part(key)
        self._write.put(t.WITHHELD, key, reason or b"")
        self._views.part_erased(self._write, self, e, op, decode_body(e.ops).ops[op])
        return True

    def want_part(self, entry: EntryId, op: int) -> bool:
        """Ends an erasure, so that the part is asked for again. False if there was none."""
        self.changes += 1
        n = self.number_of(entry)
        e = self.entry(entry)
        if n is None or e is None or not self._write.delete(t.WITHHELD, t.part_key(n, op)):
            return False
        part = part_of(decode_body(e.ops).ops[op])
        if part is not None and self.is_counted(entry):
            self._wanted[t.part_key(n, op)] = t.wanted_value(part)
        return True
