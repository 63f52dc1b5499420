"""What a slot tells views: which of them, and by what key each is to find it. The only place here that knows what
collections there are; a collection that is new says so here, and views that know the name take it."""

from __future__ import annotations

from banyan_crdt.social import BLOCK, FOLLOW, MUTE, POST, REACTION, REPOST

Sayings = tuple[tuple[str, bytes], ...]
"""(what is said, key): `timeline`, `replies`, `reactions`, `reposts`, `follows`, `followers`, `blocks`, `mutes`."""


def sayings(slot: bytes, seed: bytes) -> Sayings:
    """Of the seed of what a slot shows (view_rows.py)."""
    coll = slot[4:12]
    if coll == POST:
        time, parent = seed[:8], seed[8:]
        return (("timeline", time), ("replies", parent + time)) if parent else (("timeline", time),)
    if coll == REACTION:
        emoji = seed[48:]
        return (("reactions", seed[:48] + bytes((len(emoji),)) + emoji),)
    if coll == REPOST:
        return (("reposts", seed),)
    if coll == FOLLOW:
        return ("follows", seed), ("followers", seed)
    if coll == BLOCK:
        return (("blocks", seed),)
    if coll == MUTE:
        return (("mutes", seed),)
    return ()  # a profile is a handful of fields, read from its slots
