"""Who voted for what, and how many: one vote an account, for the poll as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.address import Target
from banyan_schema.social import Poll
from banyan_schema.social.vote import VOTER, tally_key, vote_key

from ...engine import Table
from ..view import Counter, Row, View, count_of

if TYPE_CHECKING:
    from ...queries import Queries

BALLOTS = Table("ballots")
"""post's account 32 | post's key 16 | ballot 16 | choices 1 | end 8 | option 1 | account number 4 -> nothing"""
ASIDE = Table("ballots_aside")
"""The same, and the cell's key, of votes in another cell than that of the poll; these are not counted."""
BALLOT_COUNTS = Table("ballot_counts")
"""post's account 32 | post's key 16 | ballot 16 | choices 1 | end 8 | option 1 -> u32"""


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
    return key[:74]


VIEW = View(
    "ballots",
    1,
    (BALLOTS, ASIDE),
    {"ballots": _row},
    {BALLOTS: 74, ASIDE: 74},
    (Counter(BALLOTS, BALLOT_COUNTS, _option),),
)


def tally(ask: Queries, post: Target, poll: Poll) -> Tally:
    """The votes for a poll as it stands. Raises ViewBuilding."""
    ask.need(VIEW.name)
    begins = tally_key(post, poll)
    counts = {key[73]: count_of(raw) for key, raw in ask.reader.txn.prefix(BALLOT_COUNTS, begins)}
    return Tally(tuple(counts.get(n, 0) for n in range(len(poll.options))), counts.get(VOTER[0], 0))
