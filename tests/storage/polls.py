"""Who voted for what: a file of storage/banyan_storage/views/social/, as a developer who adds polls would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from banyan_schema.address import Target
from banyan_storage.engine import Table
from banyan_storage.views.view import Counter, View, by_target, count_of

if TYPE_CHECKING:
    from banyan_reading.queries import Queries

VOTES = Table("poll_votes")
"""poll account 32 | poll key 16 | option 8 | account number 4 | cell key and element 32 -> nothing"""
VOTE_COUNTS = Table("poll_vote_counts")
"""poll account 32 | poll key 16 | option 8 -> u32: accounts"""


def _option(key: bytes) -> bytes:
    return key[:56]


def _and_account(key: bytes) -> bytes:
    return key[:60]


VIEW = View(
    "polls",
    1,
    (VOTES,),
    {"votes": by_target(VOTES)},
    {VOTES: 56},
    (Counter(VOTES, VOTE_COUNTS, _option, _and_account),),
)


def tally(ask: Queries, poll: Target) -> dict[int, int]:
    """How many accounts vote for each option. Raises ViewBuilding."""
    ask.need(VIEW.name)
    rows = ask.reader.txn.prefix(VOTE_COUNTS, poll.raw)
    return {int.from_bytes(key[48:], "big"): count_of(raw) for key, raw in rows}
