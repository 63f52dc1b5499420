"""Rebuilds views, account by account, while the store is written.

The cursor of a view is account 32 | rest of a slot. Everything up to the cursor has its rows; nothing beyond it has. A
write up to the cursor updates the view at once. A write beyond it is ignored, because the builder reads it later.
A step and its cursor are in one transaction, so after a crash the builder continues.

"What is shown" is folded from the log, one account at a time, and all other views are built with it. Any other view
alone is built from what is shown, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId
from banyan_crdt.state import counted_entries
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn, after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.view_rows import NUMBERS, SHOWN, SLOT, Showing, showing
from banyan_storage.viewhook import CountedEntry
from banyan_storage.views import journal, large_accounts, touched
from banyan_storage.views.changes import Changes
from banyan_storage.views.progress import CURSOR, WHOLE, cursors
from banyan_storage.views.refolding import Refolding
from banyan_storage.views.registry import (
    BUILDING,
    BUILDING_ROW,
    NAMES,
    SHOWN_NAME,
    VERSIONS,
    rows_of,
    tables_of,
    version_of,
)
from banyan_storage.views.social.timeline import TIMELINE

STEP = 512
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
    touched.note_all(txn)
    for name in chosen:
        for table in tables_of(name):
            txn.delete_range(table, b"", None)
        txn.delete(VERSIONS, name.encode())
        txn.put(BUILDING, name.encode(), t.u32(version_of(name)))
    return chosen


def step(txn: WriteTxn, reader: StoreReader, size: int = STEP) -> bool:
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
    folding, read, last = Refolding(txn, reader), 0, None
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
    changes = Changes(txn, {})
    left, last = size, None
    for account in accounts:
        after = cursor[CURSOR.own] if account == cursor[CURSOR.account] else b""
        number = txn.get(NUMBERS, account)
        last = account + WHOLE
        for shows in _shown(txn, number, after) if number else ():
            changes.come(rows_of(shows, group.__contains__))
            left -= 1
            if not left:
                last = account + shows.slot[SLOT.own]
                break
        if not left:
            break
    changes.write()
    return last if not left or len(accounts) == QUIET_ACCOUNTS else None


def _shown(txn: ReadTxn, number: bytes, after: bytes) -> Iterator[Showing]:
    """What the slots of an account show, after the slot `after`."""
    for value in txn.dups(SHOWN, number, after_prefix(after) or b""):
        yield showing(number, value)
