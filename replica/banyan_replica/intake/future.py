"""How far ahead of this node's clock what others date or number may be. It is outside validity and state: what is too
far ahead is not yet, and counts when its time has come."""

from __future__ import annotations

from banyan_crdt.ids import Time
from banyan_crdt.realm import Realm

FUTURE_MS = 5 * 60_000
"""How far ahead of our clock an entry may be dated."""


def is_future(time: Time, now_ms: int) -> bool:
    return (time >> 16) > now_ms + FUTURE_MS


def checkpoints_allowed(realm: Realm, now_ms: int) -> int:
    """How far a writer's checkpoints may be numbered by now. So a stolen key neither floods others with them nor uses
    up the numbers: the next day its owner has new ones."""
    return realm.entries_allowed(max(0, now_ms + FUTURE_MS - realm.birth_ms))
