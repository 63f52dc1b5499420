"""How far ahead of this node's clock others may date entries and number checkpoints. This is no rule of validity: what
is too far ahead is "not yet", and is accepted later."""

from __future__ import annotations

from banyan_crdt.ids import Time
from banyan_crdt.realm import Realm

FUTURE_MS = 5 * 60_000
"""How far ahead of our clock an entry may be dated."""


def is_future(time: Time, now_ms: int) -> bool:
    return (time >> 16) > now_ms + FUTURE_MS


def checkpoints_allowed(realm: Realm, now_ms: int) -> int:
    """The highest number that a writer's checkpoint may have by now. So the thief of a key can neither flood others nor
    use up all numbers: the owner has new ones the next day."""
    return realm.entries_allowed(max(0, now_ms + FUTURE_MS - realm.birth_ms))
