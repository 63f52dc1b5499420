"""What people do with a post of others: react, repost, hide an answer or a quote. A reaction is an element of a set:
the cell is the post, the element is the emoji.

| op | cell | element | content |
|---|---|---|---|
| add | the post | the emoji | [account, key, emoji] |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import CellKey
from banyan_crdt.ops import Add
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.fields import ACCOUNT, KEY, normal, text
from banyan_schema.layout import Layout
from banyan_schema.notices import names, notice

MAX_EMOJI = 64
"""The most bytes of UTF-8 of an emoji."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """A reaction to the post `target`. `emoji`: at most MAX_EMOJI bytes of UTF-8."""

    target: Target
    emoji: str


REACTION_LAYOUT = Layout(
    lambda account, key, emoji: Reaction(Target(account, key), emoji),
    lambda said: (*said.target, said.emoji),
    (ACCOUNT, KEY, text("an emoji", MAX_EMOJI)),
)


def _reaction_seed(time: bytes, values: list[Any]) -> bytes:
    """The post, 48 bytes, and the emoji."""
    account, key, emoji = values[:3]
    return bytes(account + key + emoji.encode())


def _reaction_facts(seed: bytes) -> Facts:
    return Fact("reactions", seed[:48] + bytes((len(seed) - 48,)) + seed[48:]), notice("reaction", seed)


REACTION_COLLECTION = Collection(
    "reaction",
    "set",
    REACTION_LAYOUT,
    limits={"emoji": MAX_EMOJI},
    seed=_reaction_seed,
    kinds=frozenset({"reactions", "notices"}),
    facts=_reaction_facts,
)
REACTION = REACTION_COLLECTION.id


def react(salt: bytes, target: Target, emoji: str) -> OpDraft:
    """Reacts to a post. `salt`: the account's, 32 bytes. Raises ValueError past the limit; take it back with `undo`."""
    raw = normal("an emoji", emoji, MAX_EMOJI)
    op = Add(REACTION, cell_key(salt, b"reaction", *target), cell_key(salt, b"reaction", raw), None)
    return OpDraft(op, REACTION_LAYOUT.encode(Reaction(target, emoji)))


# A repost: an element of the account's one set of reposts.
#
# | op | cell | element | content |
# |---|---|---|---|
# | add | one for the account | the post | [account, key] |


@dataclass(frozen=True, slots=True)
class Repost:
    """A repost of the post `target`."""

    target: Target


REPOST_LAYOUT = Layout(lambda account, key: Repost(Target(account, key)), lambda said: said.target, (ACCOUNT, KEY))


def _repost_seed(time: bytes, values: list[Any]) -> bytes:
    """The post, 48 bytes, and the time at which it was reposted, 8 bytes."""
    return bytes(values[0] + values[1]) + time


def _repost_facts(seed: bytes) -> Facts:
    return Fact("reposts", seed[:48]), Fact("shares", seed[48:]), notice("repost", seed)


REPOST_COLLECTION = Collection(
    "repost",
    "set",
    REPOST_LAYOUT,
    seed=_repost_seed,
    seeds=2,
    kinds=frozenset({"reposts", "shares", "notices"}),
    facts=_repost_facts,
)
REPOST = REPOST_COLLECTION.id
REPOST_COLLECTIONS = (REPOST_COLLECTION,)


def repost(salt: bytes, target: Target) -> OpDraft:
    """Reposts a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(REPOST, cell_key(salt, b"repost"), cell_key(salt, b"repost", *target), None)
    return OpDraft(op, REPOST_LAYOUT.encode(Repost(target)))


# An answer that the author of a conversation hides from it, or a quote that the author of what it quotes hides: an
# element of that author's one set of these.
#
# | op | cell | element | content |
# |---|---|---|---|
# | add | one for the account | both posts | [key, account, key] |
#
# The first key is of a post of the account itself, below which nothing of the other post is shown.


@dataclass(frozen=True, slots=True)
class Hidden:
    """below: the key of a post of the same account. post: what is hidden there."""

    below: CellKey
    post: Target


def _hidden_seed(time: bytes, values: list[Any]) -> bytes:
    """The key, 16 bytes, and the other post, 48."""
    return bytes(b"".join(values[:3]))


def _hidden_facts(seed: bytes) -> Facts:
    return Fact("hidden", seed), *names(seed[16:])


HIDDEN_COLLECTION = Collection(
    "hidden",
    "set",
    Layout(
        lambda below, account, key: Hidden(below, Target(account, key)),
        lambda said: (said.below, *said.post),
        (KEY, ACCOUNT, KEY),
    ),
    seed=_hidden_seed,
    kinds=frozenset({"hidden", "notices"}),
    facts=_hidden_facts,
)
HIDDEN = HIDDEN_COLLECTION.id
HIDDEN_COLLECTIONS = (HIDDEN_COLLECTION,)


def hide(salt: bytes, said: Hidden) -> OpDraft:
    """Hides a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(HIDDEN, cell_key(salt, b"hidden"), cell_key(salt, b"hidden", said.below, *said.post), None)
    return OpDraft(op, HIDDEN_COLLECTION.encode(said))


COLLECTIONS = (REACTION_COLLECTION, *REPOST_COLLECTIONS, *HIDDEN_COLLECTIONS)
