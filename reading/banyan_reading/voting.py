"""How many voted for what in a poll, and what one account did."""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.ids import AccountId
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social import Poll
from banyan_schema.social.vote import KEY_BYTES, VOTE, VOTER, tally_key, vote_key
from banyan_storage.views.social.ballots import BALLOT_COUNTS, VIEW
from banyan_storage.views.view import count_of

PLACE_BYTES = 8


class Tally(NamedTuple):
    """How many accounts voted for each option, and for any."""

    options: tuple[int, ...]
    voters: int


def tally(ask: Queries, post: Target, poll: Poll) -> Tally:
    """The votes for a poll as it stands. Raises ViewBuilding."""
    ask.need(VIEW.name)
    begins = tally_key(post, poll)
    counts = {key[KEY_BYTES]: count_of(raw) for key, raw in ask.reader.txn.prefix(BALLOT_COUNTS, begins)}
    return Tally(tuple(counts.get(n, 0) for n in range(len(poll.options))), counts.get(VOTER[0], 0))


def vote_of(ask: Queries, account: AccountId, post: Target, poll: Poll) -> list[int]:
    """The options that an account's vote counts for. Raises ViewBuilding."""
    ask.need()
    begins = tally_key(post, poll)
    seed = ask.seed(Target(account, vote_key(post)), VOTE)
    return [*seed[KEY_BYTES:]] if seed.startswith(begins) else []
