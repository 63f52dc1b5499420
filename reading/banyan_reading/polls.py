"""Polls: how many voted for what, and those that ended, as an account hears of them that asked or voted.

No entry says that a poll ended, so its place among notifications, which stand in the order of arrival, is behind the
last arrival before its end. A poll that ended before all of which the arrival is known is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId
from banyan_reading.answers import PollTally
from banyan_reading.notifications import Heard, Notification, Wanted, noticed
from banyan_schema.address import Target
from banyan_schema.social import Poll
from banyan_schema.social.vote import KEY_BYTES, VOTE, VOTER, tally_key, vote_key
from banyan_storage.arrivals import quiet_at, quiet_ends
from banyan_storage.engine import ReadTxn
from banyan_storage.slots import place_bytes
from banyan_storage.tables import number as number_of
from banyan_storage.tables import part_place, u64
from banyan_storage.views.social.votes import (
    BALLOT_COUNTS,
    BALLOTS_VIEW,
    OWN_POLL,
    OWN_POLLS,
    POLL_ENDS_VIEW,
    VOTED_POLL,
    VOTED_POLLS,
)
from banyan_storage.views.view import count_of

if TYPE_CHECKING:
    from banyan_reading.view_reader import ViewReader

BEHIND = 1 << 15
"""Added to the rank of a poll among those that ended after the same arrival, to stand in the place of an operation. No
entry has so many."""


def all_notices(
    ask: ViewReader,
    account: AccountId,
    before: bytes | None,
    wanted: Wanted,
    tellers: Iterable[AccountId] = (),
    now_ms: int = 0,
) -> Iterator[Heard]:
    """All that an account hears of: see notifications.py, and the polls that ended by now. before: the cursor of the
    last one read. Raises ViewBuilding."""
    ask.need("notices", "moves")
    found = noticed(ask.reader.txn, ask.reader, account, before, wanted, tellers)
    return merge(found, ended(ask, account, before, wanted, now_ms), key=itemgetter(0), reverse=True)


def ended(ask: ViewReader, account: AccountId, before: bytes | None, wanted: Wanted, now_ms: int) -> Iterator[Heard]:
    """Like `noticed`: (cursor, what it hears of), the last to end first. None in the place of what is not wanted, or
    ends at another time since it was edited. Raises ViewBuilding."""
    ask.need(POLL_ENDS_VIEW.name)
    txn, number, until = ask.reader.txn, ask.number(account), now_ms + 1
    if number is None:
        return
    if before is not None:
        ends = quiet_ends(txn, part_place(before)[0])
        until = until if ends is None else min(until, ends)
    while (last := next(_ends(txn, account, number, 0, until, reverse=True), None)) is not None:
        quiet = quiet_at(txn, last[0])
        if quiet is None:
            return
        together = islice(_ends(txn, account, number, quiet.since_ms, until), BEHIND)
        for rank, (ends_ms, poll) in reversed([*enumerate(together, BEHIND)]):
            place = place_bytes(quiet.n, rank)
            if before is None or place < before:
                yield place, _told(ask, poll, ends_ms, wanted)
        until = quiet.since_ms


def _ends(
    txn: ReadTxn, account: AccountId, number: bytes, since_ms: int, until_ms: int, reverse: bool = False
) -> Iterator[tuple[int, Target]]:
    """(end, poll) of those that end in since_ms <= end < until_ms, each once."""
    start, stop = number + u64(since_ms), number + u64(until_ms)
    own = ((key[OWN_POLL.ends_ms], account + key[OWN_POLL.key]) for key, _ in txn.scan(OWN_POLLS, start, stop, reverse))
    rows = txn.scan(VOTED_POLLS, start, stop, reverse)
    voted = ((key[VOTED_POLL.ends_ms], key[VOTED_POLL.poll]) for key, _ in rows)
    for (ends, poll), _ in groupby(merge(own, voted, reverse=reverse)):
        yield number_of(ends), Target.of(poll)


def _told(ask: ViewReader, poll: Target, ends_ms: int, wanted: Wanted) -> Notification | None:
    if not wanted("poll_ended", poll.account):
        return None
    view = ask.post(poll)
    if view is None or view.post.poll is None or view.post.poll.closes_ms != ends_ms:
        return None
    return Notification("poll_ended", poll.account, ends_ms, poll, None, None, False, ask.ref(view.write))


# Votes: what the rows say (questions.py).

PLACE_BYTES = 8


def tally(ask: ViewReader, post: Target, poll: Poll) -> PollTally:
    ask.need(BALLOTS_VIEW.name)
    begins = tally_key(post, poll)
    counts = {key[KEY_BYTES]: count_of(raw) for key, raw in ask.reader.txn.prefix(BALLOT_COUNTS, begins)}
    return PollTally(tuple(counts.get(n, 0) for n in range(len(poll.options))), counts.get(VOTER[0], 0))


def vote_of(ask: ViewReader, account: AccountId, post: Target, poll: Poll) -> list[int]:
    ask.need()
    begins = tally_key(post, poll)
    seed = ask.seed(Target(account, vote_key(post)), VOTE)
    return [*seed[KEY_BYTES:]] if seed.startswith(begins) else []
