"""Polls and votes: a file of schema/banyan_schema/social/ as somebody who wants them would write it.

Nothing else is touched: neither the kernel nor the store nor what peers say to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Draft, Fact, Facts, cell_key
from banyan_schema.fields import ACCOUNT, KEY, Field, Json, NotContent, number, text
from banyan_schema.layout import Layout

OPTION = text("an option of a poll", 200)
MAX_OPTIONS = 10


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


def _plain(options: tuple[str, ...]) -> list[Any]:
    if not 0 < len(options) <= MAX_OPTIONS:
        raise ValueError(f"a poll has {len(options)} options; 1 to {MAX_OPTIONS} are possible")
    return [OPTION.plain(option) for option in options]


def _read(value: Any) -> tuple[str, ...]:
    if type(value) is not list or not 0 < len(value) <= MAX_OPTIONS:
        raise NotContent
    return tuple([OPTION.read(option) for option in value])


def _step(raw: bytes, at: int) -> tuple[tuple[str, ...], int]:
    count = raw[at] - 0x80
    if not 0 < count <= MAX_OPTIONS:
        raise NotContent
    at, options = at + 1, list[str]()
    for _ in range(count):
        option, at = OPTION.step(raw, at)
        options.append(option)
    return tuple(options), at


def _take(value: Any) -> tuple[str, ...]:
    if type(value) is not list:
        raise ValueError(f"the options of a poll are a list, not {value!r:.60}")
    return tuple([OPTION.json.take(option) for option in value])


OPTIONS = Field(_plain, _read, _step, json=Json("a list of texts", list, _take))
POLL = Collection(
    "vn.example.poll",
    "register",
    Layout(Poll, lambda said: (said.question, said.options), (text("a question", 300), OPTIONS)),
    seed=lambda time, values: time,
    kinds=frozenset({"timeline"}),
    facts=lambda seed: (Fact("timeline", seed),),
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


def write_poll(key: CellKey, poll: Poll, replaces: tuple[Ref, ...] = ()) -> Draft:
    """A poll, or a new wording of it. `replaces`: the writes that it covers."""
    return Draft(Put(POLL.id, key, replaces, None), POLL.encode(poll))


def vote(salt: bytes, poll: Target, option: int) -> Draft:
    """A vote. `salt`: of the account that votes, 32 bytes; take it back with `undo`."""
    cell, elem = cell_key(salt, b"vote", *poll), cell_key(salt, b"vote", bytes((option,)))
    return Draft(Add(VOTE.id, cell, elem, None), VOTE.encode(Vote(poll, option)))
