"""From operations to what each slot shows, and from there to the rows of every view.

`Fold` is given new operations and updates the tables, for all logs of a batch together. An operation that nothing else
concerns (new slot, no tombstone, no cover, content held) is written directly: the usual post. Every other slot is
computed as a whole (`Slots`): its live operations are read and changed, what it shows is computed again and compared
with what it showed, and only differences are written.

So the rows never depend on the order in which entries, covers, tombstones and content arrived: a cover that comes
before its target waits in `COVERS`, a tombstone stays for good. Where entries stop counting that covered and ended
nothing, and were not covered, their slots alone are worked out anew (hooks.py); else the account is folded again from
nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import compress, islice, pairwise, repeat
from operator import eq, itemgetter, not_
from typing import NamedTuple, TypeAlias

from banyan_crdt.columns import Entries
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, Ref, Time
from banyan_crdt.ops import Add, Body, Del, Put, Tomb, decode_body, part_of
from banyan_crdt.parts import content_of
from banyan_crdt.shapes import Puts
from banyan_schema.social import POST
from banyan_storage import tables as t
from banyan_storage.engine import Item, Table, WriteTxn, after_prefix
from banyan_storage.reader import StoreReader
from banyan_storage.slots import (
    CELLS,
    COVER,
    COVERS,
    NUMBERED,
    NUMBERS,
    PER_ACCOUNT,
    POSTS,
    REGISTER,
    SLOT,
    STAMP,
    TIME_BYTES,
    TOMBS,
    SlotContent,
    all_shown,
    place_bytes,
    ref_bytes,
    seeds_of,
    slot_of,
    stamp_bytes,
    that_show,
)
from banyan_storage.viewhook import Append, CountedEntry
from banyan_storage.views.row_changes import RowChanges
from banyan_storage.views.whole_slots import Slots

STEP = 4_096
"""Entries of an account folded at a time."""
WORTH_ASKING = 4
"""From this number of slots of one collection on, one look-up for their whole range is cheaper than one for each."""
_apart, _collection = itemgetter(SLOT.account, SLOT.own), itemgetter(SLOT.begin)


def fold_account(
    txn: WriteTxn,
    reader: StoreReader,
    account: AccountId,
    counted: Iterator[CountedEntry],
    building: Mapping[str, bytes],
) -> int:
    """Folds the `counted` entries of an account that has no rows yet. Returns their number. `building`: see
    `RowChanges`."""
    entries, number = 0, b""
    while block := list(islice(counted, STEP)):
        number = number or numbers_of(txn, {account})[account]
        ops = ((n, at, op) for n, _, body in block for at, op in enumerate(body.ops))
        named = [place_bytes(n, at) for n, at, op in ops if part_of(op) is not None]
        held = dict(txn.get_many(t.PARTS, sorted(named)))
        fold = Fold(txn, reader, building)
        fold.take(number, [(n, e.id, e.header.time, body) for n, e, body in block], map(held.get, named))
        fold.settle()
        entries += len(block)
    return entries


def numbers_of(txn: WriteTxn, accounts: set[AccountId]) -> dict[bytes, bytes]:
    """This store's number for each of the accounts, 4 bytes. An account without one gets one now."""
    wanted = sorted(accounts)
    numbers = dict(txn.get_many(NUMBERS, wanted))
    if len(numbers) < len(wanted):
        last = txn.last(NUMBERED)
        next_one = int.from_bytes(last[0], "big") + 1 if last else 1
        fresh = [account for account in wanted if account not in numbers]
        drawn = [(account, n.to_bytes(4, "big")) for n, account in enumerate(fresh, next_one)]
        txn.put_many(NUMBERS, drawn)
        txn.put_many(NUMBERED, [(number, account) for account, number in drawn])
        numbers.update(drawn)
    return numbers


def clear(txn: WriteTxn, number: bytes, building: Mapping[str, bytes]) -> None:
    """Removes all rows of what an account shows."""
    changes = RowChanges(txn, building)
    changes.touched.add(number)
    for shows in all_shown(txn, number):
        changes.slot(shows, None)
    changes.write()
    for table in PER_ACCOUNT:
        txn.delete(table, number)


Fresh: TypeAlias = tuple[bytes, bytes, EntryId, bytes | None]
"""A new operation: slot, stamp, entry, and the bytes of its part or None. A plain tuple, because there are many."""


Said: TypeAlias = tuple[int, EntryId, Time, Body]
"""An entry: arrival number, id, time, and the ops that count."""


class _Cover(NamedTuple):
    """An operation that is covered. `key` is None if a del covers it, which may name any cell of its collection."""

    number: bytes
    ref: Ref
    coll: Coll
    key: CellKey | None


class _Posts(NamedTuple):
    """Posts of one account as columns, taken in one piece. keys: of their slots."""

    number: bytes
    keys: Sequence[bytes]
    times: Sequence[bytes]
    places: Sequence[bytes]
    ids: Sequence[EntryId]
    parts: Sequence[bytes | None]

    def each(self) -> Iterator[Fresh]:
        start = self.number + POSTS
        for key, time, place, entry, raw in zip(*self[1:], strict=True):
            yield start + key, time + place, entry, raw


class Fold:
    """Collects entries that count now and did not before; `settle` writes what follows from them. `empty`: numbers of
    accounts of which nothing shows yet."""

    def __init__(
        self, txn: WriteTxn, reader: StoreReader, building: Mapping[str, bytes], empty: Set[bytes] = frozenset()
    ) -> None:
        self._txn, self._reader, self._building, self._empty = txn, reader, building, empty
        self._fresh: list[Fresh] = []
        self._posts: list[_Posts] = []
        self._covers: list[_Cover] = []
        self._tombs: set[bytes] = set()
        self.numbers: set[bytes] = set()
        """Of the accounts that something was taken of."""

    def take_puts(self, number: bytes, append: Append, puts: Puts, first: int) -> None:
        """Takes entries of one account that are all puts without refs, as columns: a fifth of the time of `take`.
        `first`: the arrival number of the first entry."""
        self.numbers.add(number)
        entries = append.entries
        if len(entries) == 1:  # what follows, without its lists
            id_, header, _, _ = entries[0]
            slot = number + puts.colls[0] + REGISTER + puts.keys[0]
            self._fresh.append((slot, stamp_bytes(header.time, first << 16), id_, append.parts[0]))
            return
        if isinstance(entries, Entries):
            ids, times = entries.columns.ids, entries.columns.times
        else:
            ids, times = [e.id for e in entries], [e.header.time for e in entries]
        places = range(first << 16, first + len(ids) << 16, 1 << 16)
        if {*puts.colls} == {POST}:
            some = _Posts(number, puts.keys, list(map(t.u64, times)), list(map(t.u64, places)), ids, append.parts)
            self._posts.append(some)
            return
        slots = [number + coll + REGISTER + key for coll, key in zip(puts.colls, puts.keys, strict=True)]
        self._fresh += zip(slots, map(stamp_bytes, times, places), ids, append.parts, strict=True)

    def take_fresh(self, number: bytes, fresh: Iterable[Fresh]) -> None:
        """Takes puts without refs, and adds, of one account."""
        self.numbers.add(number)
        self._fresh += fresh

    def take(self, number: bytes, said: Iterable[Said], parts: Iterator[bytes | None]) -> None:
        """Takes entries of one account. `parts`: one for every operation that names a part, in order; None: not
        held."""
        self.numbers.add(number)
        came = self._fresh.append
        for n, entry, time, body in said:
            for at, op in enumerate(body.ops):
                if isinstance(op, Put):
                    raw = None if op.part is None else next(parts, None)
                    came((number + op.coll + REGISTER + op.key, stamp_bytes(time, n << 16 | at), entry, raw))
                    if op.refs:
                        self._covers += [_Cover(number, ref, op.coll, op.key) for ref in op.refs]
                elif isinstance(op, Add):
                    raw = None if op.part is None else next(parts, None)
                    came((slot_of(number, op), stamp_bytes(time, n << 16 | at), entry, raw))
                elif isinstance(op, Del):
                    self._covers += [_Cover(number, ref, op.coll, None) for ref in op.refs]
                elif isinstance(op, Tomb):
                    self._tombs.add(number + op.coll + op.key)
                elif part_of(op) is not None:
                    next(parts, None)

    def settle(self) -> None:
        """Writes what follows from all entries taken. Commits nothing."""
        slots = Slots(self._txn, self._reader, self._building, self._empty)
        if self._tombs:
            slots.bury(self._tombs)
        changes = slots.changes
        columns = self._plain_posts() if self._posts else []
        fresh = self._without_covered(self._without_dead(self._fresh)) if self._fresh else []
        odd = self._odd(fresh)
        for posts in columns:
            fresh += self._show(posts, changes)
        kind, seed_in, openings = b"", seeds_of(b""), False
        for slot, stamp, _, raw in fresh:
            if slot[SLOT.of] != kind:
                kind = slot[SLOT.of]
                seed_in, openings = seeds_of(kind), kind == POSTS and not changes.building
            seed = None if raw is None or (odd and slot in odd) else seed_in(stamp[STAMP.time], raw)
            if seed is None:
                slots.add(slot, stamp, None if raw is None else content_of(raw))
            elif openings and len(seed) == TIME_BYTES:
                changes.openings.append((slot[SLOT.account], seed, slot[SLOT.key], stamp[STAMP.place]))
            else:
                changes.slot(None, SlotContent(slot, stamp[STAMP.place], seed))
        if self._covers:
            self._cover(slots, {entry + stamp[STAMP.op]: (slot, stamp[STAMP.place]) for slot, stamp, entry, _ in fresh})
        slots.finish()

    def _plain_posts(self) -> list[_Posts]:
        """Those taken as columns that nothing else concerns: their slots are new, and of their accounts nothing is
        covered, ended or written twice. The others join the rest."""
        ranges = sorted(
            [(posts.number, min(posts.keys), max(posts.keys), posts) for posts in self._posts], key=itemgetter(0, 1)
        )
        numbers = sorted({number for number, _, _, _ in ranges})
        busy = {number for table in (TOMBS, COVERS, CELLS) for number, _ in self._txn.get_many(table, numbers)}
        busy.update([slot[SLOT.account] for slot, _, _, _ in self._fresh if slot[SLOT.of] == POSTS])
        busy.update([one[0] for one, after in pairwise(ranges) if after[:2] <= (one[0], one[2])])
        busy.update([posts.number for posts in self._posts if len({*posts.keys}) < len(posts.keys)])
        whole, plain = not (self._building or self._covers or self._tombs), list[_Posts]()
        for number, low, high, posts in ranges:
            shown = all_shown(self._txn, number, POSTS + low, after_prefix(POSTS + high))
            if not whole or number in busy or next(shown, None) is not None:
                self._fresh += posts.each()
            else:
                plain.append(posts)
        return plain

    def _show(self, posts: _Posts, changes: RowChanges) -> Iterable[Fresh]:
        """Shows those that answer nothing and name nobody. Returns the others."""
        seed_in = seeds_of(POSTS)
        seeds = [(raw and seed_in(time, raw)) or b"" for time, raw in zip(posts.times, posts.parts, strict=True)]
        rows = zip(repeat(posts.number), seeds, posts.keys, posts.places, strict=False)
        if {*map(len, seeds)} == {TIME_BYTES}:
            changes.openings += rows
            return ()
        usual = [len(seed) == TIME_BYTES for seed in seeds]
        changes.openings += compress(rows, usual)
        return compress(posts.each(), map(not_, usual))

    def _of_some(self, table: Table, fresh: list[Fresh]) -> list[Fresh]:
        """Those whose accounts have a row in this table."""
        some = {number for number, _ in self._txn.get_many(table, sorted(self.numbers))}
        return [f for f in fresh if f[0][SLOT.account] in some] if some else []

    def _without_dead(self, fresh: list[Fresh]) -> list[Fresh]:
        """Without operations of cells that have a tombstone."""
        asked = sorted({(slot[SLOT.account], _cell(slot)) for slot, _, _, _ in self._of_some(TOMBS, fresh)})
        dead = {(number, cell) for number, cell, _ in self._txn.beginning(TOMBS, asked)} if asked else ()
        return [f for f in fresh if (f[0][SLOT.account], _cell(f[0])) not in dead] if dead else fresh

    def _without_covered(self, fresh: list[Fresh]) -> list[Fresh]:
        """Without operations whose covers arrived before them."""
        gone = set()
        for slot, stamp, entry, _ in self._of_some(COVERS, fresh):
            ref = entry + stamp[STAMP.op]
            rows = self._txn.dups(COVERS, slot[SLOT.account], ref, after_prefix(ref))
            by = {row[COVER.cell] for row in rows}
            if slot[SLOT.coll] in by or (slot[SLOT.kind] == REGISTER and _cell(slot) in by):
                gone.add(stamp)
        return [f for f in fresh if f[1] not in gone] if gone else fresh

    def _odd(self, fresh: list[Fresh]) -> set[bytes]:
        """Slots that must be computed as a whole: written twice, written before, or covered in this batch."""
        slots = sorted([f[0] for f in fresh])
        odd = set(compress(slots, map(eq, slots, islice(slots, 1, None))))
        older = [slot for slot in slots if slot[SLOT.account] not in self._empty] if self._empty else slots
        odd |= that_show(self._txn, self._beside_others(older))
        asked = sorted([_apart(slot) for slot, _, _, _ in self._of_some(CELLS, fresh)])
        odd.update([number + slot for number, slot, _ in self._txn.beginning(CELLS, asked)] if asked else ())
        if self._covers:
            covered = {ref_bytes(cover.ref) for cover in self._covers}
            odd.update([slot for slot, stamp, entry, _ in fresh if entry + stamp[STAMP.op] in covered])
        return odd

    def _beside_others(self, slots: list[bytes]) -> list[bytes]:
        """Without the slots of a collection if nothing shows yet in their range, from the lowest to the highest.

        Keys of posts rise with time, so this saves most of the look-ups. `slots` ascend.
        """
        asked: list[bytes] = []
        at = 0
        while at < len(slots):
            collection, end = slots[at][SLOT.begin], at + 1
            if at + WORTH_ASKING <= len(slots) and slots[at + WORTH_ASKING - 1][SLOT.begin] == collection:
                end = bisect_right(slots, collection, at, key=_collection)
                (number, start), (_, last) = _apart(slots[at]), _apart(slots[end - 1])
                if next(all_shown(self._txn, number, start, after_prefix(last)), None) is None:
                    at = end
                    continue
            asked += slots[at:end]
            at = end
        return asked

    def _cover(self, slots: Slots, fresh: dict[bytes, tuple[bytes, bytes]]) -> None:
        """Removes covered operations from their slots. Covers whose targets are not live wait in COVERS.

        `fresh`: by reference, (slot, place) of the operations of this batch; these need no look-up.
        """
        waiting: set[Item] = set()
        for number, ref, coll, key in self._covers:
            raw = ref_bytes(ref)
            found = fresh.get(raw) or self._in_store(number, ref)
            if found is None or not _reaches(number, coll, key, found[0]) or not slots.remove(*found):
                waiting.add((number, raw + coll + (key or b"")))
        if waiting:
            self._txn.put_many(COVERS, sorted(waiting))

    def _in_store(self, number: bytes, ref: Ref) -> tuple[bytes, bytes] | None:
        """(slot, place) of an operation that is held, or None."""
        n = self._reader.number_of(ref.entry)
        entry = None if n is None else self._reader.at(n)
        if n is None or entry is None:
            return None
        ops = decode_body(entry.ops).ops
        op = ops[ref.op] if ref.op < len(ops) else None
        return (slot_of(number, op), place_bytes(n, ref.op)) if isinstance(op, Put | Add) else None


def _cell(slot: bytes) -> bytes:
    return slot[SLOT.coll] + slot[SLOT.key]


def _reaches(number: bytes, coll: Coll, key: CellKey | None, slot: bytes) -> bool:
    """Whether what `_Cover` says is of this slot."""
    if key is None:
        return slot[SLOT.account] + slot[SLOT.coll] == number + coll
    return slot == number + coll + REGISTER + key
