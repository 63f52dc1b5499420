"""Relations between accounts: follow, block, mute, each a collection of its own with one set per account; and whom a
locked account accepts.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the target | [account] |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from banyan_crdt.ids import AccountId, Coll
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.fields import ACCOUNT, choice
from banyan_schema.layout import Layout
from banyan_schema.notices import names, notice

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


RELATION_COLLECTIONS = (
    _collection("follow", {"follows", "followers", "notices"}, _follow),
    _collection("block", {"blocks"}, lambda seed: (Fact("blocks", seed),)),
    _collection("mute", {"mutes"}, lambda seed: (Fact("mutes", seed),)),
)
FOLLOW, BLOCK, MUTE = (collection.id for collection in RELATION_COLLECTIONS)
RELATIONS: dict[Coll, Relation] = {FOLLOW: "follow", BLOCK: "block", MUTE: "mute"}
_OF: dict[Relation, Collection[Relate]] = dict(zip(RELATIONS.values(), RELATION_COLLECTIONS, strict=True))


def relate(salt: bytes, relation: Relation, target: AccountId) -> OpDraft:
    """Follows, blocks or mutes `target`. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name, of = relation.encode(), _OF[relation]
    op = Add(of.id, cell_key(salt, name), cell_key(salt, name, target), None)
    return OpDraft(op, of.encode(Relate(relation, target)))


# Whom a locked account accepts as a follower: an element of its own one set for each follower that it answered.
#
# | op | cell | element | content |
# |---|---|---|---|
# | add | one for the account | the follower | [account, answer] |
#
# An account is locked while its profile's field `locked` is `yes`. The answers of an account that is not locked say
# nothing. docs/social.md has the rules.

Answer = Literal["accept", "refuse"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""By number, in content and in rows."""


@dataclass(frozen=True, slots=True)
class FollowAnswer:
    """What the account answers to a follow by `follower`."""

    follower: AccountId
    answer: Answer


def _answer_seed(time: bytes, values: list[Any]) -> bytes:
    """The answer, 1 byte, and the follower, 32."""
    return bytes((ANSWERS.index(values[1]),)) + bytes(values[0])


def _facts(seed: bytes) -> Facts:
    said = Fact("follow_answers", seed)
    return (said, notice("follow_accept", seed[1:])) if ANSWERS[seed[0]] == "accept" else (said, *names(seed[1:]))


FOLLOW_ANSWER_COLLECTION = Collection(
    "follow.answer",
    "set",
    Layout(
        FollowAnswer, lambda said: (said.follower, said.answer), (ACCOUNT, choice("the answer to a follow", *ANSWERS))
    ),
    seed=_answer_seed,
    kinds=frozenset({"follow_answers", "notices"}),
    facts=_facts,
)
FOLLOW_ANSWER = FOLLOW_ANSWER_COLLECTION.id
LOCKED_COLLECTIONS = (FOLLOW_ANSWER_COLLECTION,)


def answer_follow(salt: bytes, said: FollowAnswer) -> OpDraft:
    """Answers; another answer is the same element. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"follow.answer"
    op = Add(FOLLOW_ANSWER, cell_key(salt, name), cell_key(salt, name, said.follower), None)
    return OpDraft(op, FOLLOW_ANSWER_COLLECTION.encode(said))


COLLECTIONS = (*RELATION_COLLECTIONS, *LOCKED_COLLECTIONS)
