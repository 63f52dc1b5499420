"""Who voted for what, and how many: one vote an account, for the poll as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.social import Poll
from banyan_schema.social.vote import KEY_BYTES, VOTE, VOTER, tally_key, vote_key

from ...engine import Table
from ...slots import shown_at
from ...view_rows import register_slot
from ..view import Counter, Row, View, count_of

if TYPE_CHECKING:
    from ...queries import Queries

BALLOTS = Table("ballots")
"""post's account 32 | post's key 16 | ballot 16 | choices 1 | end 8 | of 1 | option 1 | account number 4 -> nothing"""
ASIDE = Table("ballots_aside")
"""The same, and the cell's key, of votes in another cell than that of the poll; these are not counted."""
BALLOT_COUNTS = Table("ballot_counts")
"""post's account 32 | post's key 16 | ballot 16 | choices 1 | end 8 | of 1 | option 1 -> u32"""


PLACE_BYTES = 8
OPTION_END = KEY_BYTES + 1


class Tally(NamedTuple):
    """How many accounts voted for each option, and for any."""

    options: tuple[int, ...]
    voters: int


def _row(account: bytes, named: bytes, cell: bytes, place: bytes) -> Row:
    if cell != _cell(named):
        return ASIDE, named + account + cell, b""
    return BALLOTS, named + account, b""


def _cell(named: bytes) -> bytes:
    return vote_key(Target(AccountId(named[:32]), CellKey(named[32:48])))


def _option(key: bytes) -> bytes:
    return key[:OPTION_END]


VIEW = View(
    "ballots",
    1,
    (BALLOTS, ASIDE),
    {"ballots": _row},
    {BALLOTS: OPTION_END, ASIDE: OPTION_END},
    (Counter(BALLOTS, BALLOT_COUNTS, _option),),
)


def tally(ask: Queries, post: Target, poll: Poll) -> Tally:
    """The votes for a poll as it stands. Raises ViewBuilding."""
    ask.need(VIEW.name)
    begins = tally_key(post, poll)
    counts = {key[KEY_BYTES]: count_of(raw) for key, raw in ask.reader.txn.prefix(BALLOT_COUNTS, begins)}
    return Tally(tuple(counts.get(n, 0) for n in range(len(poll.options))), counts.get(VOTER[0], 0))


def vote_of(ask: Queries, account: AccountId, post: Target, poll: Poll) -> list[int]:
    """The options that an account's vote counts for. Raises ViewBuilding."""
    ask.need()
    number, begins = ask.number(account), tally_key(post, poll)
    shown = shown_at(ask.reader.txn, register_slot(number, VOTE, vote_key(post))) if number else b""
    seed = shown[PLACE_BYTES:]
    return [*seed[KEY_BYTES:]] if seed.startswith(begins) else []
