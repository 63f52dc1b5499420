"""Relations between accounts: follow, block, mute. Each is a collection of its own, with one set per account.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the target | [account] |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from banyan_crdt.ids import AccountId, Coll
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT
from banyan_schema.layout import Layout
from banyan_schema.notices import notice

Relation = Literal["follow", "block", "mute"]


@dataclass(frozen=True, slots=True)
class Relate:
    """A follow, a block or a mute of `target`."""

    relation: Relation
    target: AccountId


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The target, 32 bytes."""
    return bytes(values[0])


def _follow(seed: bytes) -> Facts:
    return Fact("follows", seed), Fact("followers", seed), notice("follow", seed)


def _collection(relation: Relation, kinds: set[str], facts: Callable[[bytes], Facts]) -> Collection[Relate]:
    layout = Layout(lambda account: Relate(relation, account), lambda said: (said.target,), (ACCOUNT,))
    return Collection(relation, "set", layout, seed=_seed, kinds=frozenset(kinds), facts=facts)


COLLECTIONS = (
    _collection("follow", {"follows", "followers", "notices"}, _follow),
    _collection("block", {"blocks"}, lambda seed: (Fact("blocks", seed),)),
    _collection("mute", {"mutes"}, lambda seed: (Fact("mutes", seed),)),
)
FOLLOW, BLOCK, MUTE = (collection.id for collection in COLLECTIONS)
RELATIONS: dict[Coll, Relation] = {FOLLOW: "follow", BLOCK: "block", MUTE: "mute"}
_OF: dict[Relation, Collection[Relate]] = dict(zip(RELATIONS.values(), COLLECTIONS, strict=True))


def relate(salt: bytes, relation: Relation, target: AccountId) -> Draft:
    """Follows, blocks or mutes `target`. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name, of = relation.encode(), _OF[relation]
    op = Add(of.id, cell_key(salt, name), cell_key(salt, name, target), None)
    return Draft(op, of.encode(Relate(relation, target)))
