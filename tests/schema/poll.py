"""Polls and votes: a file of schema/banyan_schema/social/ as somebody who wants them would write it.

Nothing else is touched: neither the kernel nor the store nor what peers say to each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.compound import many
from banyan_schema.fields import ACCOUNT, KEY, number, text
from banyan_schema.layout import Layout
from banyan_schema.social.post import OPENING

MAX_OPTIONS = 10
OPTIONS = many("the options of a poll", text("an option of a poll", 200), MAX_OPTIONS, 1)


@dataclass(frozen=True, slots=True)
class Poll:
    """A question, and what can be voted for."""

    question: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """For option number `option` of a poll."""

    poll: Target
    option: int


POLL = Collection(
    "vn.example.poll",
    "register",
    Layout(Poll, lambda said: (said.question, said.options), (text("a question", 300), OPTIONS)),
    seed=lambda time, values: time,
    kinds=frozenset({"recent"}),
    facts=lambda seed: (Fact("recent", OPENING + seed),),
)


def _votes(seed: bytes) -> Facts:
    return (Fact("votes", seed),)


VOTE = Collection(
    "vn.example.vote",
    "set",
    Layout(
        lambda account, key, option: Vote(Target(account, key), option),
        lambda said: (*said.poll, said.option),
        (ACCOUNT, KEY, number("an option")),
    ),
    seed=lambda time, values: bytes(values[0] + values[1] + values[2].to_bytes(8, "big")),
    kinds=frozenset({"votes"}),
    facts=_votes,
)
COLLECTIONS = (POLL, VOTE)


def write_poll(key: CellKey, poll: Poll, replaces: tuple[Ref, ...] = ()) -> OpDraft:
    """A poll, or a new wording of it. `replaces`: the writes that it covers."""
    return OpDraft(Put(POLL.id, key, replaces, None), POLL.encode(poll))


def vote(salt: bytes, poll: Target, option: int) -> OpDraft:
    """A vote. `salt`: of the account that votes, 32 bytes; take it back with `undo`."""
    cell, elem = cell_key(salt, b"vote", *poll), cell_key(salt, b"vote", bytes((option,)))
    return OpDraft(Add(VOTE.id, cell, elem, None), VOTE.encode(Vote(poll, option)))
