"""Views are built again while the store goes on being written: account by account, and never ahead of themselves.

The cursor of a view is account 32 | rest of a slot: everything up to there has its rows, nothing beyond it has. What is
written meanwhile up to the cursor is kept in step as always; what is written beyond it is passed over, for the
builder comes there later and reads it. A step and its cursor are in one transaction, so a crash resumes.

What is shown is folded from the log, an account at a time, and then all other views are built with it. Any other view
is built from what is shown, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId
from banyan_crdt.state import counted_entries

from .. import tables as t
from ..engine import ReadTxn, WriteTxn, after_prefix
from ..errors import CorruptStore
from ..reader import StoreReader
from ..view_rows import NUMBERS, SHOWN, slot_size
from ..viewhook import CountedEntry
from .changes import Changes
from .refolding import Refolding
from .registry import BUILDING, NAMES, SHOWN_NAME, VERSIONS, rows_of, tables_of, version_of
from .standing import WHOLE, cursors
from .view import Showing

STEP = 512
"""Entries, or rows of what is shown, that one step takes: some 20 ms."""
QUIET_ACCOUNTS = 256
"""Accounts with little in them that one step passes at most."""


def note_versions(txn: WriteTxn, versions: Mapping[str, int]) -> None:
    txn.put_many(VERSIONS, sorted((name.encode(), t.u32(version)) for name, version in versions.items()))


def opened(txn: WriteTxn, fresh: bool) -> list[str]:
    """Compares the views of a store with those of this program; what differs is to be built from now on. Names it.

    fresh: the store is new, and so all that it holds is in its views. Commits nothing.
    """
    if fresh:
        note_versions(txn, {name: version_of(name) for name in NAMES})
        return []
    held = {name.decode(): t.number(raw) for name, raw in txn.scan(VERSIONS)}
    begun = {name.decode(): t.number(raw[:4]) for name, raw in txn.scan(BUILDING)}
    for name in [name for name in {**held, **begun} if name not in NAMES]:  # a later program may have it again
        txn.delete(VERSIONS, name.encode())
        txn.delete(BUILDING, name.encode())
    stale = [name for name in NAMES if version_of(name) != held.get(name, begun.get(name))]
    return begin(txn, stale) if stale else []


def begin(txn: WriteTxn, names: Iterable[str]) -> list[str]:
    """These views are built from nothing; all are, where what is shown is among them. Names them. Commits nothing."""
    wanted = set(names)
    if SHOWN_NAME in cursors(txn):
        wanted.add(SHOWN_NAME)  # what is built with it has one cursor
    chosen = [name for name in NAMES if name in wanted or SHOWN_NAME in wanted]
    for name in chosen:
        for table in tables_of(name):
            txn.delete_range(table, b"", None)
        txn.delete(VERSIONS, name.encode())
        txn.put(BUILDING, name.encode(), t.u32(version_of(name)))
    return chosen


def step(txn: WriteTxn, reader: StoreReader, size: int = STEP) -> bool:
    """Builds a little of what is to be built. Whether more is left. Commits nothing."""
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
    return cursor is not None or len(group) < len(at)


def _move(txn: WriteTxn, name: str, cursor: bytes | None) -> None:
    if cursor is None:
        txn.delete(BUILDING, name.encode())
        note_versions(txn, {name: version_of(name)})
    else:
        txn.put(BUILDING, name.encode(), t.u32(version_of(name)) + cursor)


def _accounts(reader: StoreReader, cursor: bytes) -> Iterator[AccountId]:
    """From the one on in which the cursor stands."""
    start = AccountId(cursor[:32])
    if len(cursor) > 32 and cursor[32:] == WHOLE:
        after = after_prefix(cursor[:32])
        if after is None:
            return iter(())
        start = AccountId(after)
    return reader.accounts(start)


def _step_shown(txn: WriteTxn, reader: StoreReader, cursor: bytes, size: int) -> bytes | None:
    """Folds accounts from the log until `size` entries are read. The new cursor; None at the end."""
    folding, read, last = Refolding(txn, reader), 0, None
    accounts = list(islice(_accounts(reader, cursor), QUIET_ACCOUNTS))
    for account in accounts:
        read, last = read + folding.take(account), account
        if read >= size:
            break
    folding.settle()
    return None if last is None or (read < size and len(accounts) < QUIET_ACCOUNTS) else last + WHOLE


def counted(reader: StoreReader, account: AccountId) -> Iterator[CountedEntry]:
    """Every entry of its granted logs that counts, with the ops that count; of a log that cannot be read, what can."""
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
    """Makes the rows of some views out of what is shown, `size` slots at most. The new cursor; None at the end."""
    accounts = list(islice(_accounts(reader, cursor), QUIET_ACCOUNTS))
    changes = Changes(txn, {})
    left, last = size, None
    for account in accounts:
        after = cursor[32:] if account == cursor[:32] else b""
        number = txn.get(NUMBERS, account)
        last = account + WHOLE
        for showing in _shown(txn, number, after) if number else ():
            changes.come(rows_of(showing, group.__contains__))
            left -= 1
            if not left:
                last = account + showing.slot[4:]
                break
        if not left:
            break
    changes.write()
    return last if not left or len(accounts) == QUIET_ACCOUNTS else None


def _shown(txn: ReadTxn, number: bytes, after: bytes) -> Iterator[Showing]:
    """What an account shows, behind a slot."""
    for value in txn.dups(SHOWN, number, after_prefix(after) or b""):
        size = slot_size(number + value) - 4
        yield Showing(number + value[:size], value[size : size + 8], value[size + 8 :])
