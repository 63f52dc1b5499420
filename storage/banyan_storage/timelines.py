"""The timelines of many accounts, merged, newest first."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from banyan_crdt.ids import AccountId

from .engine import ReadTxn, after_prefix
from .view_rows import NUMBERS
from .views.social.timeline import TIMELINE

Line: TypeAlias = tuple[bytes, AccountId, bytes, bytes, bytes]
"""Account number, account, key, time, place of a post."""


def newest(txn: ReadTxn, accounts: Iterable[AccountId], before: bytes | None) -> Iterator[Line]:
    """The merged timelines of the accounts. The newest row of each is read in one pass; further rows are read only
    from timelines whose row was used. So the cost grows only with the number of accounts and of rows."""
    named = txn.get_many(NUMBERS, sorted(dict.fromkeys(accounts)))
    accounts_of = {number: AccountId(account) for account, number in named}
    stops = _stops(sorted(accounts_of.items()), before)
    rows = [(_place(accounts_of[number], row), number, row) for number, row in txn.ending(TIMELINE, stops)]
    rows.sort()
    walks: dict[bytes, Iterator[bytes]] = {}
    while rows:
        _, number, row = rows.pop()
        account = accounts_of[number]
        yield number, account, row[8:24], row[:8], row[24:]
        walk = walks.get(number)
        if walk is None:
            walk = walks[number] = txn.dups(TIMELINE, number, b"", row, reverse=True)
        row = next(walk, b"")
        if row:
            insort(rows, (_place(account, row), number, row))


def _place(account: AccountId, row: bytes) -> bytes:
    """Orders rows of timelines as their cursors do."""
    return row[:8] + account + row[8:24]


def _stops(accounts: Iterable[tuple[bytes, AccountId]], before: bytes | None) -> Iterator[tuple[bytes, bytes | None]]:
    """Where the timeline of each account, given as (number, account), stops below a cursor."""
    if before is None:
        return ((number, None) for number, _ in accounts)
    time, author, key = before[:8], before[8:40], before[40:]
    after = after_prefix(time)
    return ((n, time + key if a == author else after if a < author else time) for n, a in accounts)
