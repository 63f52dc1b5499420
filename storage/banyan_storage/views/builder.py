"""Rebuilds views, account by account, while the store is written; and folds accounts again from their logs.

The cursor of a view is account 32 | rest of a slot. Everything up to the cursor has its rows; nothing beyond it has. A
write up to the cursor updates the view at once. A write beyond it is ignored, because the builder reads it later.
A step and its cursor are in one transaction, so after a crash the builder continues.

"What is shown" is folded from the log, one account at a time, and all other views are built with it. Any other view
alone is built from what is shown, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, EntryId, LogId
from banyan_crdt.logs import PathGrant, counted_body
from banyan_crdt.ops import MAX_OPS, decode_body, part_of
from banyan_crdt.shapes import PUT, ops_in, read_single
from banyan_crdt.state import counted_entries
from banyan_storage import tables as t
from banyan_storage.engine import WriteTxn, after_prefix
from banyan_storage.entry_records import RunLine
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.slots import ELEMENT, NUMBERS, REGISTER, SLOT, STAMP, TIMELINE, all_shown, place_bytes, stamp_bytes
from banyan_storage.viewhook import CountedEntry
from banyan_storage.views import invalidation, journal, large_accounts
from banyan_storage.views.fold import STEP, Fold, Fresh, Said, numbers_of
from banyan_storage.views.large_accounts import goes_on
from banyan_storage.views.registry import (
    BUILDING,
    BUILDING_ROW,
    CURSOR,
    NAMES,
    SHOWN_NAME,
    VERSIONS,
    WHOLE,
    cursors,
    rows_of,
    tables_of,
    version_of,
)
from banyan_storage.views.row_changes import RowChanges

# Accounts are folded many at a time, so that what they show is written table by table. Most entries are one put without
# refs, or one add (`read_single`), and are read by position, without making an entry or a body. The order of operations
# in a block does not matter to the fold.

LARGE = 8_192
"""Operations of one account that are folded together: 0.1 to 0.4 s."""


class _Read(NamedTuple):
    """Of one account. `plain`: slot, stamp and id of what is taken field by field."""

    number: bytes
    plain: list[tuple[bytes, bytes, EntryId]]
    others: list[Said]


class Refold:
    """Takes accounts of which nothing shows yet. What they show is written by `settle`, and now and then before it.

    If a log cannot be read to its end, the rest of it is left out; `store verify` names it.
    """

    def __init__(self, txn: WriteTxn, reader: StoreReader) -> None:
        self._txn, self._reader = txn, reader
        self._waiting: list[_Read] = []
        self._ops = 0
        self._empty: set[bytes] = set()

    def take(self, account: AccountId) -> int:
        """Reads an account; how many operations. Of a large one the steps read the rest (large_accounts.py)."""
        grants, read, ops = self._reader.grants(account), None, 0
        for log in [log for log in self._reader.heads(account) if log.log]:
            granted = None if grants is None else grants.grant_of(log.writer, log.log)
            if granted is None:
                continue
            if read is None:
                read = _Read(numbers_of(self._txn, {account})[account], [], [])
                self._empty.add(read.number)
                self._waiting.append(read)
            try:
                seq = 0
                for below, lines in _blocks(self._reader, log):
                    taken, seq = _take(read, granted, below, lines), seq + len(lines)
                    ops += taken
                    self._ops += taken
                    if ops >= LARGE and goes_on(self._txn, self._reader, log, seq):
                        return ops
                    if self._ops >= STEP:
                        self.settle()
                        read = _Read(read.number, [], [])
                        self._waiting.append(read)
            except (BanyanError, CorruptStore):
                continue
        return ops

    def settle(self) -> None:
        """Writes what the accounts show that were taken."""
        waiting, empty, self._waiting, self._empty, self._ops = self._waiting, self._empty, [], set(), 0
        try:
            self._fold(waiting, empty)
        except (BanyanError, CorruptStore):  # nothing of a slot was written: each alone, so that only one is left out
            for read in waiting:
                try:
                    self._fold([read], empty)
                except (BanyanError, CorruptStore):
                    continue

    def _fold(self, waiting: Iterable[_Read], empty: set[bytes]) -> None:
        fold, places = Fold(self._txn, self._reader, {}, empty), list[bytes]()
        for _, plain, others in waiting:
            places += [stamp[STAMP.place] for _, stamp, _ in plain]
            ops = ((n, at, op) for n, _, _, body in others for at, op in enumerate(body.ops))
            places += [place_bytes(n, at) for n, at, op in ops if part_of(op) is not None]
        places.sort()
        held = dict(self._txn.get_many(t.PARTS, places))
        for number, plain, others in waiting:
            fresh: list[Fresh] = [(slot, stamp, entry, held.get(stamp[STAMP.place])) for slot, stamp, entry in plain]
            fold.take_fresh(number, fresh)
            ops = ((n, at, op) for n, _, _, body in others for at, op in enumerate(body.ops))
            fold.take(number, others, (held.get(place_bytes(n, at)) for n, at, op in ops if part_of(op) is not None))
        fold.settle()


def _blocks(reader: StoreReader, log: LogId) -> Iterator[tuple[int, list[RunLine]]]:
    """The counted entries of a log in blocks of about so many operations, each with the log's total before it (bytes).
    An entry can have 512 operations, so the next block is as long as the last one allows."""
    first, below, size = 0, 0, max(1, STEP // MAX_OPS)
    while lines := reader.lines(log, first, first + size):
        yield below, lines
        first, below = first + len(lines), lines[-1].total
        size = max(1, min(2 * size, STEP * len(lines) // sum(ops_in(line.ops) + 1 for line in lines)))


def _take(read: _Read, granted: PathGrant, below: int, lines: list[RunLine]) -> int:
    """All of them or, where one cannot be read, none. Returns how many operations they have."""
    number, anything = read.number, granted.grant.colls is None
    plain: list[tuple[bytes, bytes, EntryId]] = []
    others: list[Said] = []
    for n, entry, time, total, _, ops in lines:
        declared, below = total - below - len(ops), total
        one = read_single(ops) if anything else None
        if one is None or one[5] > declared:
            others.append((n, entry, time, counted_body(decode_body(ops), granted, declared)))
            continue
        code, coll, key, elem, _, _ = one
        slot = number + coll + REGISTER + key if code == PUT else number + coll + ELEMENT + key + elem
        plain.append((slot, stamp_bytes(time, n << 16), entry))
    read.plain.extend(plain)
    read.others.extend(others)
    return len(plain) + sum(max(1, len(body.ops)) for _, _, _, body in others)


# -- rebuilding views

BUILD_STEP = 512
"""Operations, or rows of what is shown, that one step reads: about 20 ms."""
QUIET_ACCOUNTS = 256
"""The most accounts of one step; they may have few entries."""


def note_versions(txn: WriteTxn, versions: Mapping[str, int]) -> None:
    """Notes that these views are built, in these versions. Commits nothing."""
    txn.put_many(VERSIONS, sorted((name.encode(), t.u32(version)) for name, version in versions.items()))


def opened(txn: WriteTxn, fresh: bool) -> list[str]:
    """Compares the views of a store with those of this program, and begins to build those that differ. Returns their
    names.

    fresh: the store is new, so its views are complete. Commits nothing.
    """
    if fresh:
        note_versions(txn, {name: version_of(name) for name in NAMES})
        return []
    held = {name.decode(): t.number(raw) for name, raw in txn.scan(VERSIONS)}
    begun = {name.decode(): t.number(raw[BUILDING_ROW.version]) for name, raw in txn.scan(BUILDING)}
    for name in [name for name in {**held, **begun} if name not in NAMES]:  # a later program may have it again
        txn.delete(VERSIONS, name.encode())
        txn.delete(BUILDING, name.encode())
    stale = [name for name in NAMES if version_of(name) != held.get(name, begun.get(name))]
    return begin(txn, stale) if stale else []


def begin(txn: WriteTxn, names: Iterable[str]) -> list[str]:
    """Empties these views, to be built again; if "what is shown" is among them, empties all. Returns their names.
    Commits nothing."""
    wanted = set(names)
    if SHOWN_NAME in cursors(txn):
        wanted.add(SHOWN_NAME)  # all views that are built with it share one cursor
    chosen = [name for name in NAMES if name in wanted or SHOWN_NAME in wanted]
    if SHOWN_NAME in chosen:
        large_accounts.all_views_begin(txn)
    if TIMELINE in {table for name in chosen for table in tables_of(name)}:
        journal.note_all(txn)
    invalidation.note_all(txn)
    for name in chosen:
        for table in tables_of(name):
            txn.delete_range(table, b"", None)
        txn.delete(VERSIONS, name.encode())
        txn.put(BUILDING, name.encode(), t.u32(version_of(name)))
    return chosen


def step(txn: WriteTxn, reader: StoreReader, size: int = BUILD_STEP) -> bool:
    """One step of building, about `size` operations or rows. Returns whether more is left, here or to the steps of
    large accounts. Commits nothing."""
    at = cursors(txn)
    if not at:
        return False
    if SHOWN_NAME in at:
        group = dict.fromkeys(at, at[SHOWN_NAME])
        cursor = _step_shown(txn, reader, at[SHOWN_NAME], size)
    else:
        least = min(at.values())
        group = {name: cursor for name, cursor in at.items() if cursor == least}
        cursor = _step_rows(txn, reader, group, least, size)
    for name in group:
        _move(txn, name, cursor)
    return cursor is not None or len(group) < len(at) or bool(large_accounts.waiting(txn))


def _move(txn: WriteTxn, name: str, cursor: bytes | None) -> None:
    if cursor is None:
        txn.delete(BUILDING, name.encode())
        note_versions(txn, {name: version_of(name)})
    else:
        txn.put(BUILDING, name.encode(), t.u32(version_of(name)) + cursor)


def _accounts(reader: StoreReader, cursor: bytes) -> Iterator[AccountId]:
    """The accounts from the cursor's on; its own account is left out if the cursor is at its end."""
    start = AccountId(cursor[CURSOR.account])
    if cursor[CURSOR.own] == WHOLE:
        after = after_prefix(cursor[CURSOR.account])
        if after is None:
            return iter(())
        start = AccountId(after)
    return reader.accounts(start)


def _step_shown(txn: WriteTxn, reader: StoreReader, cursor: bytes, size: int) -> bytes | None:
    """Folds accounts from the log until `size` operations are read. Returns the new cursor, or None at the end."""
    folding, read, last = Refold(txn, reader), 0, None
    accounts = list(islice(_accounts(reader, cursor), QUIET_ACCOUNTS))
    for account in accounts:
        read, last = read + folding.take(account), account
        if read >= size:
            break
    folding.settle()
    return None if last is None or (read < size and len(accounts) < QUIET_ACCOUNTS) else last + WHOLE


def counted(reader: StoreReader, account: AccountId) -> Iterator[CountedEntry]:
    """Every counted entry of the account's granted logs, with the ops that count. If a log cannot be read to its end,
    the entries before the fault."""
    grants = reader.grants(account)
    if grants is None:
        return
    for log in [log for log in reader.heads(account) if log.log]:
        try:
            entries = counted_entries(grants, log, reader.walk(log))
            for n, (entry, body) in zip(reader.counted_arrivals(log), entries, strict=False):
                yield CountedEntry(n, entry, body)
        except (BanyanError, CorruptStore):
            continue  # `store verify` names it


def _step_rows(
    txn: WriteTxn, reader: StoreReader, group: Mapping[str, bytes], cursor: bytes, size: int
) -> bytes | None:
    """Makes the rows of some views from what is shown, at most `size` slots. Returns the new cursor, or None at the
    end."""
    accounts = list(islice(_accounts(reader, cursor), QUIET_ACCOUNTS))
    changes = RowChanges(txn, {})
    left, last = size, None
    for account in accounts:
        after = cursor[CURSOR.own] if account == cursor[CURSOR.account] else b""
        number = txn.get(NUMBERS, account)
        last = account + WHOLE
        for shows in all_shown(txn, number, after_prefix(after) or b"") if number else ():
            changes.come(rows_of(shows, group.__contains__))
            left -= 1
            if not left:
                last = account + shows.slot[SLOT.own]
                break
        if not left:
            break
    changes.write()
    return last if not left or len(accounts) == QUIET_ACCOUNTS else None
