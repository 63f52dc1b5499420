"""A vote in a poll: a register of the account, one for each poll.

| op | cell | content |
|---|---|---|
| put | the poll's post, for all to see | [account, key, ballot, choices, closes ms, of, options] |

The key of the cell is not made with the account's salt: it follows from the post alone. So everybody sees that it is
the one vote of the account, and two that it gave on two devices are one: the later. A vote in another cell is not
counted.

A poll can be edited. `ballot` stands for its options, its choices and its end, and only votes for the poll as it
stands are counted. A vote repeats the choices, the end, and how many options there are, so it is judged by itself:
one that was written after the end, chooses two where one is asked for, or what there is not, counts for nothing. The
time is the entry's, by the clock of its author.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from banyan_crdt.codec import encode
from banyan_crdt.ids import CellKey, H, Ref
from banyan_crdt.ops import Put
from banyan_schema.address import Target
from banyan_schema.collection import Collection, Fact, Facts, OpDraft
from banyan_schema.compound import many
from banyan_schema.fields import ACCOUNT, KEY, choice, number
from banyan_schema.layout import Layout
from banyan_schema.notices import names, poll_ends
from banyan_schema.social.post import MAX_OPTIONS, POLL_OF_POST, Poll

KEY_BYTES = 48 + 16 + 1 + 8 + 1
CLOSES = slice(48 + 16 + 1, KEY_BYTES - 1)
"""Where the end of the poll is in a seed."""
VOTER = b"\xff"
"""Stands in the place of an option: the account votes for something."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote in the poll of a post. `ballot`: of the poll, 16 bytes. `of`: how many options it has. `options`: their
    numbers, from 0, rising."""

    poll: Target
    ballot: bytes
    choices: Literal["one", "several"]
    closes_ms: int
    of: int
    options: tuple[int, ...]


LAYOUT = Layout(
    lambda account, key, ballot, choices, closes_ms, of, options: Vote(
        Target(account, key), ballot, choices, closes_ms, of, options
    ),
    lambda said: (*said.poll, said.ballot, said.choices, said.closes_ms, said.of, said.options),
    (
        ACCOUNT,
        KEY,
        KEY,
        choice("the choices of a poll", "one", "several"),
        number("the time at which a poll closes"),
        number("the number of options"),
        many("the options that one votes for", number("an option"), MAX_OPTIONS, 1),
    ),
)


def ballot_of(poll: Poll) -> bytes:
    """What stands for the poll in its votes, 16 bytes."""
    return H("ballot", encode(POLL_OF_POST.plain(poll)))[:16]


def vote_key(poll: Target) -> CellKey:
    """The cell of every account's vote in this poll."""
    return CellKey(H("vote", poll.raw)[:16])


def _seed(time: bytes, values: list[Any]) -> bytes:
    """The post, 48 bytes, the ballot, 16, the choices, the end and the number of options, 1 + 8 + 1, and the options, 1
    byte each; nothing, if the vote does not count."""
    account, key, ballot, choices, closes_ms, of, options = values[:7]
    late = int.from_bytes(time[:6], "big") > closes_ms
    if late or (choices == "one" and len(options) != 1) or list(options) != sorted({*options}):
        return b""
    if not options[-1] < of <= MAX_OPTIONS:
        return b""
    return b"".join((account, key, ballot, _how(choices, closes_ms, of), bytes(options)))


def _how(choices: str, closes_ms: int, of: int) -> bytes:
    return bytes((choices == "several",)) + closes_ms.to_bytes(8, "big") + bytes((of,))


def tally_key(poll: Target, asked: Poll) -> bytes:
    """What the keys of all votes in the poll as it stands begin with, before an option, 1 byte; 74 bytes."""
    begins: bytes = poll.raw + ballot_of(asked)
    return begins + _how(asked.choices, asked.closes_ms, len(asked.options))


def _facts(seed: bytes) -> Facts:
    if not seed:
        return ()
    begins, closes_ms = seed[:KEY_BYTES], int.from_bytes(seed[CLOSES], "big")
    counted = [Fact("ballots", begins + bytes((option,))) for option in seed[KEY_BYTES:] + VOTER]
    return (*counted, poll_ends(closes_ms, seed[:48]), *names(seed))


COLLECTION = Collection(
    "vote", "register", LAYOUT, seed=_seed, kinds=frozenset({"ballots", "voted_polls", "notices"}), facts=_facts
)
VOTE = COLLECTION.id
COLLECTIONS = (COLLECTION,)


def write_vote(poll: Target, asked: Poll, options: Iterable[int], replaces: Iterable[Ref] = ()) -> OpDraft:
    """Votes in a poll. `options`: numbers from 0. `replaces`: the live writes of the cell. Take it back with `undo`."""
    said = Vote(poll, ballot_of(asked), asked.choices, asked.closes_ms, len(asked.options), tuple(sorted({*options})))
    return OpDraft(Put(VOTE, vote_key(poll), tuple(replaces), None), LAYOUT.encode(said))
