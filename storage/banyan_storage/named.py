"""Handles: who claims one, and which platforms confirm that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from banyan_crdt.ids import AccountId
from banyan_schema.social.handle import DOMAIN_FIELD, HANDLE_FIELD, domain_of, handle_key, is_handle

from .queries import Queries
from .view_rows import NUMBERED
from .views.social.handles import HANDLE_CLAIMS, HANDLES, HANDLES_SAID, VIEW

LOOKED = 100
"""So many who claim a handle, and so many who confirm one, are looked at: everybody can say so."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle as the account claims it. platforms: the accounts that claim its domain and confirm it."""

    handle: str
    platforms: tuple[AccountId, ...]


def handle_of(ask: Queries, account: AccountId) -> Handle | None:
    """What the account claims in its profile; None if that is no handle. Raises ViewBuilding."""
    ask.need(VIEW.name)
    claimed = field_of(ask, account, HANDLE_FIELD)
    if not is_handle(claimed):
        return None
    rows = islice(ask.reader.txn.prefix(HANDLES, handle_key(claimed) + account), LOOKED)
    numbers = [number for number, _ in groupby(key[-36:-32] for key, _ in rows)]
    said_by = [AccountId(ask.reader.txn.get(NUMBERED, number) or b"") for number in numbers]
    return Handle(claimed, tuple(sorted(one for one in said_by if _confirms(ask, one, claimed, account))))


def claimants(ask: Queries, handle: str) -> Iterator[tuple[AccountId, Handle]]:
    """Who claims a handle, in the order in which this store met them, with who confirms it."""
    ask.need(VIEW.name)
    if not is_handle(handle):
        return
    rows = islice(ask.reader.txn.prefix(HANDLE_CLAIMS, handle_key(handle)), LOOKED)
    for number, _ in groupby(key[-20:-16] for key, _ in rows):
        account = AccountId(ask.reader.txn.get(NUMBERED, number) or b"")
        found = handle_of(ask, account)
        if found is not None and found.handle == handle:
            yield account, found


def _confirms(ask: Queries, platform: AccountId, handle: str, account: AccountId) -> bool:
    """Whether the platform claims the handle's domain, and names no other account for the handle: one that says two
    things says nothing."""
    return field_of(ask, platform, DOMAIN_FIELD) == domain_of(handle) and names(ask, platform, handle) == {account}


def names(ask: Queries, platform: AccountId, handle: str) -> set[AccountId]:
    """The accounts that a platform names for a handle; two are enough to know."""
    number, name = ask.number(platform), handle_key(handle)
    rows = ask.reader.txn.prefix(HANDLES_SAID, number + name) if number else iter(())
    found = (AccountId(one) for one, _ in groupby(key[-64:-32] for key, _ in rows))
    return set(islice(found, 2))


def field_of(ask: Queries, account: AccountId, name: str) -> str:
    """A field of a profile, or empty."""
    return next((f.value for f in ask.profile(account).fields if f.field == name), "")
