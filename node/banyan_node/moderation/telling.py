"""What moderation tells accounts of this node: a report to its moderators, a decision to the author, the outcome to who
reported.

It is local: no entry says it. Each has a place among the notifications of the account, behind what arrived at the node
before it, where no operation is: an entry has at most 512 operations, and these places begin at OWN_PLACES.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal, TypeAlias

import msgspec

from banyan_crdt.ids import AccountId
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store
from banyan_storage.tables import part_key

Tells: TypeAlias = Literal["report", "decision", "outcome"]
_TOLD = b"told by moderation:"
OWN_PLACES, MOST_PLACES = 0x8000, 0xFFFF
KEPT = 200
"""Of one account; the oldest go."""


class ToldNote(msgspec.Struct, frozen=True):
    """what: `report` with the number of a report, `decision` and `outcome` with that of a decision."""

    what: Tells
    number: int
    time_ms: int


def tell(store: Store, account: AccountId, told: ToldNote) -> None:
    at = OWN_PLACES
    while at < MOST_PLACES and store.note(_TOLD + account + part_key(store.last_arrival, at)) is not None:
        at += 1
    store.put_note(_TOLD + account + part_key(store.last_arrival, at), msgspec.json.encode(told))
    kept = [key for key, _ in islice(store.notes(_TOLD + account), 2 * KEPT)]
    for key in kept[: max(0, len(kept) - KEPT)]:
        store.put_note(key, None)


def forget(store: Store, account: AccountId) -> None:
    for key, _ in [*store.notes(_TOLD + account)]:
        store.put_note(key, None)


def told(reader: StoreReader, account: AccountId, before: bytes | None) -> Iterator[tuple[bytes, ToldNote]]:
    """(place, what), the newest first."""
    rows = [(key[-8:], raw) for key, raw in reader.notes(_TOLD + account)]
    for place, raw in reversed(rows):
        if before is None or place < before:
            yield place, msgspec.json.decode(raw, type=ToldNote)
