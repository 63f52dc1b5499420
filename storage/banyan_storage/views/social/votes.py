"""Who voted for what, one vote an account, for the poll as it stands, with numbers; and when polls end."""

from __future__ import annotations

from operator import itemgetter

from banyan_schema.address import Target
from banyan_schema.social.vote import KEY_BYTES, vote_key
from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Counter, Row, View, by_account

BALLOTS = Table("ballots")
"""BALLOT | account number 4 -> nothing"""
ASIDE = Table("ballots_aside")
"""The same, and the cell's key, of votes in another cell than that of the poll; these are not counted."""
BALLOT_COUNTS = Table("ballot_counts")
"""BALLOT -> u32"""
BALLOT = RowLayout("post 48 | ballot 16 | choices 1 | end 8 | of 1 | option 1", whole="post option")
OPTION_END = KEY_BYTES + 1


def _ballot_row(account: bytes, named: bytes, cell: bytes, place: bytes) -> Row:
    if cell != _cell(named):
        return ASIDE, named + account + cell, b""
    return BALLOTS, named + account, b""


def _cell(named: bytes) -> bytes:
    return vote_key(Target.of(named[BALLOT.post]))


BALLOTS_VIEW = View(
    "ballots",
    1,
    (BALLOTS, ASIDE),
    {"ballots": _ballot_row},
    {BALLOTS: OPTION_END, ASIDE: OPTION_END},
    (Counter(BALLOTS, BALLOT_COUNTS, itemgetter(BALLOT.whole)),),
)


# The ends of which an account is to hear: of polls that it asked, and in which it voted.

OWN_POLLS = Table("own_polls")
"""OWN_POLL -> nothing"""
VOTED_POLLS = Table("voted_polls")
"""VOTED_POLL -> nothing"""
OWN_POLL = RowLayout("account 4 | ends_ms 8 | key 16")
VOTED_POLL = RowLayout("account 4 | ends_ms 8 | poll 48 | cell 16")

POLL_ENDS_VIEW = View(
    "poll_ends",
    1,
    (OWN_POLLS, VOTED_POLLS),
    {"own_polls": by_account(OWN_POLLS), "voted_polls": by_account(VOTED_POLLS)},
    {OWN_POLLS: 0, VOTED_POLLS: 0},
)
