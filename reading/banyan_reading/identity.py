"""Who an account is: its handles and which platforms confirm them, official channels, moves, and whose a platform's key
is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from banyan_crdt.ids import AccountId, WriterKey
from banyan_reading.answers import ProfileView
from banyan_reading.queries import Queries
from banyan_reading.relations import having
from banyan_schema.social.identity import (
    DOMAIN_FIELD,
    HANDLE_FIELD,
    OFFICIAL_COLLECTION,
    Official,
    domain_of,
    handle_key,
    is_domain,
    is_handle,
)
from banyan_storage.engine import Table
from banyan_storage.slots import NUMBERED, SLOT
from banyan_storage.views.social.identity import (
    CLAIM_BY,
    HANDLE_CLAIMS,
    HANDLES,
    HANDLES_SAID,
    HANDLES_VIEW,
    MOVE,
    MOVED_FROM,
    MOVED_TO,
    MOVES_VIEW,
    OFFICIALS,
    OFFICIALS_VIEW,
    SAID_OF,
)
from banyan_storage.views.view import BY, UNIQUE

LOOKED = 100
"""So many who claim a handle, and so many who confirm one, are looked at: everybody can say so."""
PLATFORMS, LATEST = 200, 300
"""So many accounts that confirm handles, and so many of the newest entries, are looked at to find whose a key is."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A handle as the account claims it. platforms: the accounts that claim its domain and confirm it."""

    handle: str
    platforms: tuple[AccountId, ...]


def handle_of(ask: Queries, account: AccountId, profile: ProfileView | None = None) -> Handle | None:
    """What the account claims in its profile, which is read unless it is given; None if that is no handle. Raises
    ViewBuilding."""
    ask.need(HANDLES_VIEW.name)
    claimed = (profile or ask.profile(account)).texts.get(HANDLE_FIELD, "")
    if not is_handle(claimed):
        return None
    rows = islice(ask.reader.txn.prefix(HANDLES, handle_key(claimed) + account), LOOKED)
    numbers = [number for number, _ in groupby(key[BY] for key, _ in rows)]
    said_by = [AccountId(ask.reader.txn.get(NUMBERED, number) or b"") for number in numbers]
    return Handle(claimed, tuple(sorted(one for one in said_by if _confirms(ask, one, claimed, account))))


def claimants(ask: Queries, handle: str) -> Iterator[tuple[AccountId, Handle]]:
    """Who claims a handle, in the order in which this store met them, with who confirms it."""
    ask.need(HANDLES_VIEW.name)
    if not is_handle(handle):
        return
    rows = islice(ask.reader.txn.prefix(HANDLE_CLAIMS, handle_key(handle)), LOOKED)
    for number, _ in groupby(key[CLAIM_BY] for key, _ in rows):
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
    found = (AccountId(one) for one, _ in groupby(key[SAID_OF] for key, _ in rows))
    return set(islice(found, 2))


def field_of(ask: Queries, account: AccountId, name: str) -> str:
    """A field of a profile, or empty."""
    return ask.profile(account).texts.get(name, "")


def platform_of(ask: Queries, writer: WriterKey) -> AccountId | None:
    """The platform that writes with this key: it lets the key write, and confirms handles; else the only account for
    which the key wrote lately. None if that is not known. Raises ViewBuilding."""
    ask.need(HANDLES_VIEW.name)
    for account in islice(_confirming(ask), PLATFORMS):
        granted = ask.reader.grants(account)
        if granted is not None and granted.voice_of(writer) is not None:
            return account
    last = ask.reader.last_arrival
    rows = ask.reader.arrivals(max(0, last - LATEST), LATEST)
    wrote = {row.log.account for row in rows if row.log.writer == writer and row.log.log}
    return wrote.pop() if len(wrote) == 1 else None


def _confirming(ask: Queries) -> Iterator[AccountId]:
    """Accounts that say of handles whose they are, each once."""
    after = b""
    while (row := next(ask.reader.txn.scan(HANDLES_SAID, after, limit=1), None)) is not None:
        number = row[0][SLOT.account]
        yield AccountId(ask.reader.txn.get(NUMBERED, number) or b"")
        if number == b"\xff" * 4:
            return
        after = (int.from_bytes(number, "big") + 1).to_bytes(4, "big")


# Official channels: which of the platforms that a reader trusts verified an account.


@dataclass(frozen=True, slots=True)
class VerifiedBy:
    """platform: the account that verified it. title: what it speaks for."""

    platform: AccountId
    title: str


def verified(ask: Queries, account: AccountId, trusted: Iterable[AccountId]) -> list[VerifiedBy]:
    """What the trusted accounts say of it; one that claims no domain is no platform, and says nothing. If one says two
    things in two cells, the title in the first cell, by its key, is taken. Raises ViewBuilding."""
    ask.need(OFFICIALS_VIEW.name)
    found = list[VerifiedBy]()
    for platform in trusted:
        number = ask.number(platform)
        row = next(iter(ask.reader.txn.prefix(OFFICIALS, number + account, limit=1)), None) if number else None
        if row is None or platform == account or not is_domain(field_of(ask, platform, DOMAIN_FIELD)):
            continue
        item = next(ask.items(platform, OFFICIAL_COLLECTION, row[0][UNIQUE]), None)
        said = (
            None
            if item is None or OFFICIAL_COLLECTION.layout is None
            else OFFICIAL_COLLECTION.layout.make(*item.values)
        )
        if isinstance(said, Official):
            found.append(VerifiedBy(platform, said.title))
    return found


# Moves: both accounts must agree.


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


def moved(ask: Queries, accounts: Iterable[AccountId]) -> dict[AccountId, AccountId]:
    """The same of many, without those that went nowhere."""
    ask.need(MOVES_VIEW.name)
    known = {number: one for one, number in ask.numbers(accounts).items()}
    perhaps = [known[number] for number in having(ask.reader.txn, MOVED_TO, b"", sorted(known))]
    return {one: to for one in perhaps if (to := moved_to(ask, one)) is not None}


def also_was(ask: Queries, account: AccountId) -> list[AccountId]:
    """The accounts that went on as this one, by id."""
    return [one for one in says_from(ask, account) if moved_to(ask, one) == account]


def _says(ask: Queries, account: AccountId, was: AccountId) -> bool:
    number = ask.number(account)
    return number is not None and any(ask.reader.txn.prefix(MOVED_FROM, number + was, limit=1))


def _named(ask: Queries, table: Table, account: AccountId) -> Iterator[AccountId]:
    ask.need(MOVES_VIEW.name)
    number = ask.number(account)
    rows = ask.reader.txn.prefix(table, number) if number else iter(())
    return (AccountId(one) for one, _ in groupby(key[MOVE.other] for key, _ in rows))
