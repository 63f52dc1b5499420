"""Official channels: which of the platforms that a reader trusts verified an account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from banyan_crdt.ids import AccountId
from banyan_reading.named import field_of
from banyan_reading.queries import Queries
from banyan_schema.social.handle import DOMAIN_FIELD, is_domain
from banyan_schema.social.official import COLLECTION, Official
from banyan_storage.views.social.officials import OFFICIALS, VIEW
from banyan_storage.views.view import UNIQUE


@dataclass(frozen=True, slots=True)
class VerifiedBy:
    """platform: the account that verified it. title: what it speaks for."""

    platform: AccountId
    title: str


def verified(ask: Queries, account: AccountId, trusted: Iterable[AccountId]) -> list[VerifiedBy]:
    """What the trusted accounts say of it; one that claims no domain is no platform, and says nothing. If one says two
    things in two cells, the title in the first cell, by its key, is taken. Raises ViewBuilding."""
    ask.need(VIEW.name)
    found = list[VerifiedBy]()
    for platform in trusted:
        number = ask.number(platform)
        row = next(iter(ask.reader.txn.prefix(OFFICIALS, number + account, limit=1)), None) if number else None
        if row is None or platform == account or not is_domain(field_of(ask, platform, DOMAIN_FIELD)):
            continue
        item = next(ask.items(platform, COLLECTION, row[0][UNIQUE]), None)
        said = None if item is None or COLLECTION.layout is None else COLLECTION.layout.make(*item.values)
        if isinstance(said, Official):
            found.append(VerifiedBy(platform, said.title))
    return found
