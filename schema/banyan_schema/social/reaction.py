"""A reaction: an element of a set. The cell is the post, the element is the emoji.

| op | cell | element | content |
|---|---|---|---|
| add | the post | the emoji | [account, key, emoji] |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ops import Add
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT, KEY, normal, text
from banyan_schema.layout import Layout
from banyan_schema.notices import notice

MAX_EMOJI = 64
"""The most bytes of UTF-8 of an emoji."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """A reaction to the post `target`. `emoji`: at most MAX_EMOJI bytes of UTF-8."""

    target: Target
    emoji: str


LAYOUT = Layout(
    lambda account, key, emoji: Reaction(Target(account, key), emoji),
    lambda said: (*said.target, said.emoji),
    (ACCOUNT, KEY, text("an emoji", MAX_EMOJI)),
)


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The post, 48 bytes, and the emoji."""
    account, key, emoji = values[:3]
    return bytes(account + key + emoji.encode())


def _facts(seed: bytes) -> Facts:
    return Fact("reactions", seed[:48] + bytes((len(seed) - 48,)) + seed[48:]), notice("reaction", seed)


COLLECTION = Collection(
    "reaction",
    "set",
    LAYOUT,
    limits={"emoji": MAX_EMOJI},
    seed=_seed,
    kinds=frozenset({"reactions", "notices"}),
    facts=_facts,
)
REACTION = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def react(salt: bytes, target: Target, emoji: str) -> Draft:
    """Reacts to a post. `salt`: the account's, 32 bytes. Raises ValueError past the limit; take it back with `undo`."""
    raw = normal("an emoji", emoji, MAX_EMOJI)
    op = Add(REACTION, cell_key(salt, b"reaction", *target), cell_key(salt, b"reaction", raw), None)
    return Draft(op, LAYOUT.encode(Reaction(target, emoji)))
