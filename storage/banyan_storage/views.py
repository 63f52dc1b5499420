"""Views: what the counted entries mean, kept in step with them inside the transaction that stores them.

Every hook does two things. It brings `CELLS` up to date (which operations are live in which slot), and then it
refreshes the slots that were touched: what a slot shows is computed anew (view_rows.py) and compared with what it
showed, and only the rows that differ are written. So the rows never depend on the order in which entries, covers,
tombstones and content arrived: a cover that comes before its target waits in `COVERS`, a tombstone stays for good.

Entries stop counting only through `rebuilt`, which folds the account again from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeAlias

from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, CellKey, Coll, Ref
from banyan_crdt.ops import Add, Body, Del, Op, Put, Tomb, decode_body, part_of

from .engine import Item, Table, WriteTxn, after_prefix
from .reader import StoreReader
from .view_rows import (
    CELLS,
    COVERS,
    NUMBERED,
    NUMBERS,
    REGISTER,
    SHOWN,
    TOMBS,
    VIEW_TABLES,
    ref_bytes,
    rows_of,
    seed_of,
    shown,
    slot_of,
    without_salt,
)
from .viewhook import Append, ArrivedPart

__all__ = ["VIEW_TABLES", "SocialViews"]

STEP = 4_096
"""Entries folded at a time in `rebuilt`."""


class _Cover(NamedTuple):
    """`key` is None where a del covers, which may reach any cell of its collection."""

    ref: Ref
    coll: Coll
    key: CellKey | None


Batch: TypeAlias = Iterable[tuple[Entry, Body]]


class SocialViews:
    """Answers the store's hooks (viewhook.Views). Keeps no state of its own: everything is in the tables."""

    def added(self, txn: WriteTxn, reader: StoreReader, batch: Sequence[Append]) -> None:
        contents: dict[Ref, bytes] = {}
        by_account: dict[AccountId, list[tuple[Entry, Body]]] = {}
        for log, entries, bodies, parts, _ in batch:
            by_account.setdefault(log.account, []).extend(zip(entries, bodies, strict=True))
            _contents(entries, bodies, parts, contents)
        touched: set[bytes] = set()
        for account, added in by_account.items():
            touched |= _fold(txn, reader, _number(txn, account), added)
        slots = sorted(touched)
        if not contents:  # only slots that show something can change
            slots = [slot for slot, _ in txn.get_many(SHOWN, slots)]
        _refresh(txn, reader, slots, contents)

    def rebuilt(
        self, txn: WriteTxn, reader: StoreReader, account: AccountId, counted: Iterator[tuple[Entry, Body]]
    ) -> None:
        number = _number(txn, account)
        _clear(txn, number)
        while batch := list(islice(counted, STEP)):
            _refresh(txn, reader, sorted(_fold(txn, reader, number, batch)), {})

    def parts_arrived(self, txn: WriteTxn, reader: StoreReader, arrived: Sequence[ArrivedPart]) -> None:
        """Many at once: cheaper, and the same in effect as one by one in any order."""
        contents: dict[Ref, bytes] = {}
        slots: set[bytes] = set()
        numbers: dict[AccountId, bytes] = {}
        for entry, at, op, content in arrived:
            if isinstance(op, (Put, Add)):
                account = entry.account
                number = numbers.get(account)
                if number is None:
                    number = numbers[account] = _number(txn, account)
                contents[Ref(entry.id, at)] = content
                slots.add(slot_of(number, op))
        _refresh(txn, reader, sorted(slots), contents)

    def part_erased(self, txn: WriteTxn, reader: StoreReader, entry: Entry, op_index: int, op: Op) -> None:
        if isinstance(op, (Put, Add)):
            _refresh(txn, reader, [slot_of(_number(txn, entry.account), op)], {})


def _contents(
    entries: Sequence[Entry], bodies: Sequence[Body], parts: Sequence[bytes | None], into: dict[Ref, bytes]
) -> None:
    """Takes the content at hand of an append by its operations."""
    left = iter(parts)
    for entry, body in zip(entries, bodies, strict=True):
        for at, op in enumerate(body.ops):
            raw = None if part_of(op) is None else next(left, None)
            if raw is not None:
                into[Ref(entry.id, at)] = without_salt(raw)


def _number(txn: WriteTxn, account: AccountId) -> bytes:
    """This store's four bytes for the account; drawn now where it has none."""
    number = txn.get(NUMBERS, account)
    if number is None:
        last = txn.last(NUMBERED)
        number = ((int.from_bytes(last[0], "big") if last else 0) + 1).to_bytes(4, "big")
        txn.put(NUMBERS, account, number)
        txn.put(NUMBERED, number, account)
    return number


def _clear(txn: WriteTxn, number: bytes) -> None:
    for slot, value in list(txn.prefix(SHOWN, number)):
        for table, key, _ in rows_of(slot, value[:42], value[42:]):
            txn.delete(table, key)
    for table in (CELLS, TOMBS, COVERS, SHOWN):
        txn.delete_range(table, number, after_prefix(number))


# --- which operations are live ---------------------------------------------------------------------------------------


def _fold(txn: WriteTxn, reader: StoreReader, number: bytes, batch: Batch) -> set[bytes]:
    """Takes newly counted entries into CELLS, TOMBS and COVERS; returns the slots whose live operations changed."""
    fresh: list[Item] = []
    covers: list[_Cover] = []
    tombs: set[bytes] = set()
    for entry, body in batch:
        if not body.ops:
            continue
        stamp = entry.header.time.to_bytes(8, "big") + entry.id
        for i, op in enumerate(body.ops):
            if isinstance(op, Put):
                fresh.append((number + op.coll + b"\x01" + op.key, stamp + i.to_bytes(2, "big")))
                if op.refs:
                    covers.extend([_Cover(ref, op.coll, op.key) for ref in op.refs])
            elif isinstance(op, Add):
                fresh.append((slot_of(number, op), stamp + i.to_bytes(2, "big")))
            elif isinstance(op, Del):
                covers.extend([_Cover(ref, op.coll, None) for ref in op.refs])
            elif isinstance(op, Tomb):
                tombs.add(number + op.coll + op.key)
    touched = _bury(txn, tombs)
    fresh = _without_dead(txn, number, _without_covered(txn, number, fresh))
    fresh.sort()
    txn.put_many(CELLS, fresh)
    touched.update([slot for slot, _ in fresh])
    if covers:
        touched |= _cover(txn, reader, number, covers, {stamp[8:]: slot for slot, stamp in fresh})
    return touched


def _bury(txn: WriteTxn, tombs: set[bytes]) -> set[bytes]:
    """Ends cells; returns the slots that were live in them."""
    touched: set[bytes] = set()
    for tomb in sorted(tombs):
        txn.put(TOMBS, tomb, b"")
        for kind in (b"\x01", b"\x02"):
            cell = tomb[:12] + kind + tomb[12:]
            touched.update([slot for slot, _ in txn.prefix(CELLS, cell)])
            txn.delete_range(CELLS, cell, after_prefix(cell))
    return touched


def _any(txn: WriteTxn, table: Table, prefix: bytes) -> bool:
    return next(txn.prefix(table, prefix, limit=1), None) is not None


def _without_dead(txn: WriteTxn, number: bytes, fresh: list[Item]) -> list[Item]:
    """Without operations of cells that a tombstone ended."""
    if not fresh or not _any(txn, TOMBS, number):
        return fresh
    cells = sorted({slot[:12] + slot[13:29] for slot, _ in fresh})
    dead = {cell for cell, _ in txn.get_many(TOMBS, cells)}
    return [item for item in fresh if item[0][:12] + item[0][13:29] not in dead]


def _without_covered(txn: WriteTxn, number: bytes, fresh: list[Item]) -> list[Item]:
    """Without operations whose covers came before them."""
    if not fresh or not _any(txn, COVERS, number):
        return fresh
    targets = sorted({number + stamp[8:] for _, stamp in fresh})
    waiting = {target: set(txn.dups(COVERS, target)) for target, _ in txn.get_many(COVERS, targets)}

    def covered(slot: bytes, stamp: bytes) -> bool:
        by = waiting.get(number + stamp[8:], ())
        return slot[4:12] in by or (slot[12:13] == REGISTER and slot[4:12] + slot[13:29] in by)

    return [(slot, stamp) for slot, stamp in fresh if not covered(slot, stamp)]


def _cover(
    txn: WriteTxn, reader: StoreReader, number: bytes, covers: list[_Cover], fresh: dict[bytes, bytes]
) -> set[bytes]:
    """Takes covered operations out of CELLS; covers whose targets are not live there wait. Returns the slots touched.

    `fresh`: reference -> slot of the operations of this batch, which need not be looked up.
    """
    touched: set[bytes] = set()
    waiting: set[Item] = set()
    for cover in covers:
        ref = ref_bytes(cover.ref)
        slot = fresh.get(ref)
        gone = slot is not None and _take(txn, slot, ref, cover)
        if not gone and cover.key is not None:
            slot = number + cover.coll + REGISTER + cover.key
            gone = _take(txn, slot, ref, cover)
        if not gone:
            slot = _slot_in_store(reader, number, cover.ref)
            gone = slot is not None and _take(txn, slot, ref, cover)
        if gone and slot is not None:
            touched.add(slot)
        else:
            waiting.add((number + ref, cover.coll + (cover.key or b"")))
    txn.put_many(COVERS, sorted(waiting))
    return touched


def _take(txn: WriteTxn, slot: bytes, ref: bytes, cover: _Cover) -> bool:
    """Removes the operation from its slot if it is live there and the cover reaches that cell."""
    if slot[4:12] != cover.coll or (cover.key is not None and slot[12:29] != REGISTER + cover.key):
        return False
    for stamp in list(txn.dups(CELLS, slot)):
        if stamp[8:] == ref:
            return txn.delete(CELLS, slot, stamp)
    return False


def _slot_in_store(reader: StoreReader, number: bytes, ref: Ref) -> bytes | None:
    entry = reader.entry(ref.entry)
    if entry is None:
        return None
    ops = decode_body(entry.ops).ops
    op = ops[ref.op] if ref.op < len(ops) else None
    return slot_of(number, op) if isinstance(op, (Put, Add)) else None


# --- what the slots show ---------------------------------------------------------------------------------------------


def _refresh(txn: WriteTxn, reader: StoreReader, slots: Sequence[bytes], contents: dict[Ref, bytes]) -> None:
    """Brings SHOWN and the rows in line with CELLS and the content held. `slots` ascend; `contents` are at hand."""

    def content_of(ref: Ref) -> bytes | None:
        found = contents.get(ref)
        if found is None:
            raw = reader.part(ref.entry, ref.op)
            found = None if raw is None else without_salt(raw)
        return found

    before = dict(txn.get_many(SHOWN, slots))
    puts: dict[Table, list[Item]] = {}
    for slot in slots:
        was = before.get(slot, b"")
        show = shown(slot, list(txn.dups(CELLS, slot)), content_of)
        now = b"" if show is None else show.stamp + seed_of(show)
        if was == now:
            continue
        old = rows_of(slot, was[:42], was[42:]) if was else []
        new = rows_of(slot, now[:42], now[42:]) if now else []
        for row in old:
            if row not in new:
                txn.delete(row[0], row[1])
        for row in new:
            if row not in old:
                puts.setdefault(row[0], []).append(row[1:])
        if now:
            puts.setdefault(SHOWN, []).append((slot, now))
        else:
            txn.delete(SHOWN, slot)
    for table, items in puts.items():
        items.sort()
        txn.put_many(table, items)
