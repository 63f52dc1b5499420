"""What an honest member signs next. It keeps a `Promise` on disk, written before each signature is given away.

The rules that it obeys: one vote a ballot, in rising ballots; a commit only to a content that it sees locked, in a
ballot not below its last; a vote against its own commit only with the later ballot in which that other content was
locked. So it can never be struck. Which content to favour is a convention: a locked one, else that of the seat whose
turn the ballot is, so that a split vote is left by the next ballot.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_charter.acts import Commit, Content, ContentId, Vote, body_of, id_of
from banyan_charter.keytree import KeyTree, Signature
from banyan_charter.ledger import Ledger
from banyan_charter.rules import Count, locks, signed_by
from banyan_charter.values import Seat
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, EntryId


class Promise(NamedTuple):
    """Of one number: the last ballot that was signed in, and ballot and content of the last commit."""

    number: int
    last: int = 0
    ballot: int = 0
    content: ContentId | None = None


def locked(c: Count) -> dict[ContentId, int]:
    """The contents that are locked, with the highest ballot of each."""
    out: dict[ContentId, int] = {}
    for (ballot, content), signed in c.voted.items():
        if locks(c.who[content], signed, c.consent[content]):
            out[content] = max(ballot, out.get(content, 0))
    return out


def vote(ledger: Ledger, member: AccountId, keys: KeyTree, mine: Promise, content: ContentId) -> tuple[Vote, Promise]:
    """A vote for this content in the open ballot. Raises Refused with a sentence if the member may not sign it."""
    number, c = mine.number, _count(ledger, mine)
    if content not in c.who:
        raise Refused(f"no valid content {content.hex()[:16]} of number {number} is held.")
    found = locked(c)
    unlock = 0
    if mine.content is not None:
        unlock = mine.ballot if content == mine.content else found.get(content, 0)
        if unlock < mine.ballot:
            raise Refused("this member committed to another content, and the one asked for was not locked after that.")
    ballot = open_ballot(ledger, number)
    if ballot <= max(mine.last, unlock):
        raise Refused(
            f"this member signed in ballot {mine.last} already: the next one opens once more of the others have."
        )
    seat = _seat(ledger, number, member, content)
    draft = Vote(EntryId(b""), ledger.charter, number, ballot, content, unlock, member, _UNSIGNED)
    made = EntryId(id_of(ledger.realm, body_of(draft)))
    by = keys.sign(ledger.realm, number - seat.since, made)
    return draft._replace(id=made, by=by), mine._replace(last=ballot)


def open_ballot(ledger: Ledger, number: int) -> int:
    """The ballot in which members vote: the lowest one that more than 2/3 of the votes may still sign in. So members
    that were apart, and are in different ballots, meet."""
    who, last = ledger.counts[number].who, dict[AccountId, int]()
    for a in ledger.acts(number):
        if not isinstance(a, Content) and a.content in who and signed_by(who[a.content], a):
            last[a.member] = max(a.ballot, last.get(a.member, 0))
    votes = sorted((last.get(m, 0) for m, s in ledger.epochs[number - 1].seats.items() if s.votes), reverse=True)
    return votes[(len(votes) - 1) // 3] + 1


def commit(ledger: Ledger, member: AccountId, keys: KeyTree, mine: Promise) -> tuple[Commit, Promise] | None:
    """A commit to what is locked, or None if nothing new is."""
    number, c = mine.number, _count(ledger, mine)
    ballot, content = max(((b, x) for x, b in locked(c).items()), default=(0, None))
    if content is None or ballot < mine.last or ballot <= mine.ballot or member not in ledger.epochs[number - 1].seats:
        return None
    seat = _seat(ledger, number, member, content)
    draft = Commit(EntryId(b""), ledger.charter, number, ballot, content, member, _UNSIGNED)
    made = EntryId(id_of(ledger.realm, body_of(draft)))
    by = keys.sign(ledger.realm, number - seat.since, made)
    return draft._replace(id=made, by=by), mine._replace(last=ballot, ballot=ballot, content=content)


def favourite(ledger: Ledger, mine: Promise) -> ContentId | None:
    """Which content to vote for in the next ballot if its owner has no wish: the one locked last, or that of the seat
    whose turn the ballot is. None: there is none."""
    c = _count(ledger, mine)
    found = locked(c)
    if found:
        return max(found, key=lambda x: (found[x], x))
    seats = sorted(m for m, s in ledger.epochs[mine.number - 1].seats.items() if s.votes)
    turn = open_ballot(ledger, mine.number) % len(seats)

    def rank(x: ContentId) -> tuple[int, bytes]:
        author = next(a.author for a in ledger.contents(mine.number) if a.id == x)
        return (seats.index(author) - turn) % len(seats), x

    return min(c.who, key=rank, default=None)


def _count(ledger: Ledger, mine: Promise) -> Count:
    if mine.number != len(ledger.epochs):
        raise Refused(f"number {mine.number} is not open: the charter stands at epoch {len(ledger.epochs) - 1}.")
    return ledger.counts[mine.number]


def _seat(ledger: Ledger, number: int, member: AccountId, content: ContentId) -> Seat:
    here, there = ledger.epochs[number - 1].seats, ledger.counts[number].who[content].after.seats
    if member not in here and member not in there:
        raise Refused(f"{member.hex()[:16]} has no seat in epoch {number - 1}, and this content gives it none.")
    return here.get(member) or there[member]


_UNSIGNED = Signature(0, b"", b"", b"", b"")  # type: ignore[arg-type]
