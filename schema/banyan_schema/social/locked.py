"""Whom a locked account accepts as a follower: an element of its own one set for each follower that it answered.

| op | cell | element | content |
|---|---|---|---|
| add | one for the account | the follower | [account, answer] |

An account is locked while its profile's field `locked` is `yes`. The answers of an account that is not locked say
nothing. docs/social.md has the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT, choice
from banyan_schema.layout import Layout
from banyan_schema.notices import names, notice

Answer = Literal["accept", "refuse"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
"""By number, in content and in rows."""


@dataclass(frozen=True, slots=True)
class FollowAnswer:
    """What the account answers to a follow by `follower`."""

    follower: AccountId
    answer: Answer


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The answer, 1 byte, and the follower, 32."""
    return bytes((ANSWERS.index(values[1]),)) + bytes(values[0])


def _facts(seed: bytes) -> Facts:
    said = Fact("follow_answers", seed)
    return (said, notice("follow_accept", seed[1:])) if ANSWERS[seed[0]] == "accept" else (said, *names(seed[1:]))


COLLECTION = Collection(
    "follow.answer",
    "set",
    Layout(
        FollowAnswer,
        lambda said: (said.follower, said.answer),
        (ACCOUNT, choice("the answer to a follow", *ANSWERS)),
    ),
    seed=_seed,
    kinds=frozenset({"follow_answers", "notices"}),
    facts=_facts,
)
FOLLOW_ANSWER = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def answer_follow(salt: bytes, said: FollowAnswer) -> Draft:
    """Answers; another answer is the same element. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"follow.answer"
    op = Add(FOLLOW_ANSWER, cell_key(salt, name), cell_key(salt, name, said.follower), None)
    return Draft(op, COLLECTION.encode(said))
