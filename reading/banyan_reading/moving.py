"""Moves: where an account went, and which ones it was before. Both accounts must agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice

from banyan_crdt.ids import AccountId
from banyan_reading.queries import Queries
from banyan_storage.engine import Table
from banyan_storage.views.social.moves import MOVE, MOVED_FROM, MOVED_TO, VIEW

LOOKED = 100
"""So many accounts that one says it was are looked at."""


def says_to(ask: Queries, account: AccountId) -> list[AccountId]:
    """Where the account says it moved, whether the other one agrees or not; usually one."""
    return list(islice(_named(ask, MOVED_TO, account), LOOKED))


def says_from(ask: Queries, account: AccountId) -> list[AccountId]:
    """Which accounts it says it was, whether those agree or not."""
    return list(islice(_named(ask, MOVED_FROM, account), LOOKED))


def moved_to(ask: Queries, account: AccountId) -> AccountId | None:
    """Where the account went: the one that it names and that says it was this account. None if there is none, or if
    there are several."""
    agreed = [one for one in says_to(ask, account) if one != account and _says(ask, one, account)]
    return agreed[0] if len(agreed) == 1 else None


def also_was(ask: Queries, account: AccountId) -> list[AccountId]:
    """The accounts that went on as this one, by id."""
    return [one for one in says_from(ask, account) if moved_to(ask, one) == account]


def _says(ask: Queries, account: AccountId, was: AccountId) -> bool:
    number = ask.number(account)
    return number is not None and any(ask.reader.txn.prefix(MOVED_FROM, number + was, limit=1))


def _named(ask: Queries, table: Table, account: AccountId) -> Iterator[AccountId]:
    ask.need(VIEW.name)
    number = ask.number(account)
    rows = ask.reader.txn.prefix(table, number) if number else iter(())
    return (AccountId(one) for one, _ in groupby(key[MOVE.other] for key, _ in rows))
