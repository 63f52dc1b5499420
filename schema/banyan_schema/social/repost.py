"""A repost: an element of the account's one set of reposts.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the post | [account, key] |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ops import Add
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT, KEY
from banyan_schema.layout import Layout
from banyan_schema.notices import notice


@dataclass(frozen=True, slots=True)
class Repost:
    """A repost of the post `target`."""

    target: Target


LAYOUT = Layout(lambda account, key: Repost(Target(account, key)), lambda said: said.target, (ACCOUNT, KEY))


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The post, 48 bytes, and the time at which it was reposted, 8 bytes."""
    return bytes(values[0] + values[1]) + time


def _facts(seed: bytes) -> Facts:
    return Fact("reposts", seed[:48]), Fact("shares", seed[48:]), notice("repost", seed)


COLLECTION = Collection(
    "repost",
    "set",
    LAYOUT,
    seed=_seed,
    seeds=2,
    kinds=frozenset({"reposts", "shares", "notices"}),
    facts=_facts,
)
REPOST = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def repost(salt: bytes, target: Target) -> Draft:
    """Reposts a post. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    op = Add(REPOST, cell_key(salt, b"repost"), cell_key(salt, b"repost", *target), None)
    return Draft(op, LAYOUT.encode(Repost(target)))
