"""The posts that an account pins to its profile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.pinned import COLLECTION

SHOWN = 16
"""So many are shown, those that were pinned last."""
LOOKED = 200
"""So many are looked at: a pinned post may be deleted, and a liar may pin what there is not."""


def pinned(ask: Queries, account: AccountId) -> list[PostView]:
    """At most SHOWN posts, the one that was pinned last first."""
    latest = sorted(islice(ask.items(account, COLLECTION), LOOKED), key=lambda item: -item.time_ms)
    return list(islice(_shown(ask, account, [item.values[0] for item in latest]), SHOWN))


def _shown(ask: Queries, account: AccountId, keys: list[CellKey]) -> Iterator[PostView]:
    for key in keys:
        view = ask.post(Target(account, key))
        if view is not None:
            yield view
