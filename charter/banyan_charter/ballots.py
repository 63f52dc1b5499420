"""What an honest member signs next. It keeps a `Promise` on disk, written before each signature is given away.

The rules that it obeys: one vote a ballot, in rising ballots; a commit only to a content that it sees locked, in a
ballot not below its last; a vote against its own commit only with the later ballot in which that other content was
locked. So it can never be struck. In which ballot to vote, and for which content if its owner wants any, are
conventions, so that a split vote is left by the next ballot.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from banyan_charter.acts import ContentId, EpochCommit, EpochVote
from banyan_charter.ledger import MOST_BALLOTS, ActLedger
from banyan_charter.rules import VoteCount, enough, supported
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Seat
from banyan_crdt.codec import uint
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, H


class Promise(NamedTuple):
    """Of one number: the last ballot that was signed in, and ballot and content of the last commit."""

    number: int
    last: int = 0
    ballot: int = 0
    content: ContentId | None = None


def locked(c: VoteCount) -> dict[ContentId, int]:
    """The contents that are locked, with the highest ballot of each."""
    return {content: ballot for ballot, content in sorted(c.locked)}


def _locked_last(c: VoteCount) -> tuple[int, ContentId] | None:
    """The lock of the highest ballot."""
    return max(c.locked, default=None)


def vote(ledger: ActLedger, mine: Promise, keys: SeatSigner, content: ContentId) -> tuple[EpochVote, Promise]:
    """A vote for this content in the ballot that is open to the member. Raises Refused with a sentence if it may not
    sign one now."""
    number, c = mine.number, _count(ledger, mine)
    if content not in c.who:
        raise Refused(f"no valid content {content.hex()[:16]} of number {number} is held.")
    _check_seat(ledger, number, keys.member, content)
    unlock = 0
    if mine.content is not None:
        unlock = mine.ballot if content == mine.content else locked(c).get(content, 0)
        if unlock < mine.ballot:
            raise Refused("this member committed to another content, and the one asked for was not locked after that.")
    last = max(mine.last, unlock)
    ballot = next(_winnable(ledger, number, last, content))
    if not _is_open(ledger, number, ballot, content):
        raise Refused(f"this member signed in ballot {last}: the next one opens once more of the others signed in it.")
    if ballot > MOST_BALLOTS:
        raise Refused(f"number {number} had {MOST_BALLOTS} ballots, and no node takes more.")
    return keys.vote(number, ballot, content, unlock), mine._replace(last=ballot)


def waits(ledger: ActLedger, mine: Promise, member: AccountId, content: ContentId) -> bool:
    """Whether the member voted for this content in its last ballot, and others can still decide that one by voting.
    An owner who votes for it again then opens one ballot after the other, and of these there are `MOST_BALLOTS`."""
    c = _count(ledger, mine)
    me = 1 << c.members.index(member) if member in c.members else 0
    voted = c.voted.get((mine.last, content), 0) & me
    return bool(voted) and next(_winnable(ledger, mine.number, mine.last - 1, content)) == mine.last


def commit(ledger: ActLedger, mine: Promise, keys: SeatSigner) -> tuple[EpochCommit, Promise] | None:
    """A commit to what is locked, or None if nothing new is."""
    number, c = mine.number, _count(ledger, mine)
    if (found := _locked_last(c)) is None or has_no(ledger.epochs[number - 1].seats.get(keys.member)):
        return None
    ballot, content = found
    if ballot < mine.last or ballot <= mine.ballot:
        return None
    return keys.commit(number, ballot, content), mine._replace(last=ballot, ballot=ballot, content=content)


def favourite(ledger: ActLedger, mine: Promise) -> ContentId | None:
    """Which content to vote for next, for an owner who wants any of them to be adopted: the one locked last; else of
    those that can be adopted soonest the one with the most votes there, if more than 1/3; else that of the seat whose
    turn that ballot is, of several of its own now one, now another.
    None: there is none."""
    number, c = mine.number, _count(ledger, mine)
    if (found := _locked_last(c)) is not None:
        return found[1]
    seats, authors = sorted(ledger.votes(number)), {x.id: x.author for x in ledger.contents(number)}

    def rank(x: ContentId) -> tuple[int, int, int, bytes]:
        ballot = next(_winnable(ledger, number, mine.last, x))
        voters, old = c.voted.get((ballot, x), 0), c.who[x].old
        joint = (voters & old).bit_count() if supported(voters, old) else 0  # else a cheat that votes first leads all
        return ballot, -joint, (seats.index(authors[x]) - ballot) % len(seats), H("charter/turn", uint(ballot), x)

    return min(c.who, key=rank, default=None)


def _winnable(ledger: ActLedger, number: int, last: int, x: ContentId) -> Iterator[int]:
    """The ballots above `last` in which this content may still be certified: who voted for it there or may still sign
    there are more than 2/3 of the votes, and so are who committed to it there or may still do so. So members that vote
    one after the other, or that were apart, meet."""
    c, reached = ledger.counts[number], ledger.reached(number)
    who, bits = c.who[x], {m: 1 << k for k, m in enumerate(c.members)}
    for ballot in count(last + 1):
        may_vote = sum(bits[m] for m, b in reached.items() if b < ballot)
        may_commit = sum(bits[m] for m, b in reached.items() if b <= ballot)
        votes = c.voted.get((ballot, x), 0) | may_vote
        commits = c.committed.get((ballot, x), 0) | may_commit
        if ballot > max(reached.values()) or (enough(votes, who.old) and enough(commits, who.old)):
            yield ballot


def _is_open(ledger: ActLedger, number: int, ballot: int, x: ContentId) -> bool:
    """Whether members vote in this ballot already: what they favour can be certified in none before, or more than 2/3
    of the votes signed in the one before or a later one, or a third in this or a later one, or for this content. A
    cheat alone opens none."""
    c, reached = ledger.counts[number], sorted(ledger.reached(number).values(), reverse=True)
    favoured = [*c.who] if (found := _locked_last(c)) is None else [found[1]]
    closed, lowest = reached[len(reached) * 2 // 3], min(next(_winnable(ledger, number, 0, y)) for y in favoured)
    return ballot <= max(closed + 1, lowest, ledger.joint(number)) or supported(
        c.voted.get((ballot, x), 0), c.who[x].old
    )


def _count(ledger: ActLedger, mine: Promise) -> VoteCount:
    if mine.number != len(ledger.epochs):
        raise Refused(f"number {mine.number} is not open: the charter stands at epoch {len(ledger.epochs) - 1}.")
    return ledger.counts[mine.number]


def has_no(seat: Seat | None) -> str:
    """What a member lacks that may not vote: its seat, or its vote. Empty if it may."""
    if seat is None:
        return "no seat"
    return "" if seat.votes else "no vote" if seat.awake else "no vote while it is asleep (`answer` wakes it)"


def _check_seat(ledger: ActLedger, number: int, member: AccountId, content: ContentId) -> None:
    """A signature without a vote counts for nothing, and its member would believe that it voted."""
    here, there = ledger.epochs[number - 1].seats.get(member), ledger.counts[number].who[content].after.seats
    if (lacks := has_no(here)) and has_no(there.get(member)):
        who = member.hex()[:16] if here is None else here.domain.decode()
        raise Refused(f"{who} has {lacks} in epoch {number - 1}, and this content gives it none.")
