"""What moderation tells accounts of this node: a report to its moderators, a decision to the author, the outcome to who
reported.

It is local: no entry says it. Each has a place among the notifications of the account, behind what arrived at the node
before it, where no operation is: an entry has at most 512 operations, and these places begin at OWN_PLACES.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from banyan_crdt.ids import AccountId
from banyan_storage.local_tables import MODERATION_TOLD, ToldNote
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store
from banyan_storage.tables import part_key

OWN_PLACES, MOST_PLACES = 0x8000, 0xFFFF
KEPT = 200
"""Of one account; the oldest go."""


def tell(store: Store, account: AccountId, told: ToldNote) -> None:
    at = OWN_PLACES
    while at < MOST_PLACES and MODERATION_TOLD.has(store, (account, part_key(store.last_arrival, at))):
        at += 1
    MODERATION_TOLD.put(store, (account, part_key(store.last_arrival, at)), told)
    kept = [*islice(MODERATION_TOLD.keys(store, account), 2 * KEPT)]
    for key in kept[: max(0, len(kept) - KEPT)]:
        MODERATION_TOLD.put(store, key, None)


def forget(store: Store, account: AccountId) -> None:
    for key in [*MODERATION_TOLD.keys(store, account)]:
        MODERATION_TOLD.put(store, key, None)


def told(reader: StoreReader, account: AccountId, before: bytes | None) -> Iterator[tuple[bytes, ToldNote]]:
    """(place, what), the newest first."""
    for (_, place), one in reversed([*MODERATION_TOLD.rows(reader, account)]):
        if before is None or place < before:
            yield place, one
