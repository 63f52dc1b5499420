"""The rules of one number: which content follows an epoch. docs/charter.md argues them.

    epoch n -> applied(content) -> who may sign it (electorate) -> votes lock it -> commits certify it -> epoch n+1

Everything is a function of a set of acts. No rule asks whether an act is absent, because it can arrive later, and none
reads a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import groupby
from typing import NamedTuple, TypeAlias

from banyan_charter.acts import (
    Act,
    Admit,
    Change,
    CharterId,
    Content,
    ContentId,
    EpochCommit,
    EpochVote,
    Expel,
    Founding,
    Proposal,
    Remark,
    Renew,
    Roll,
    RollAnswer,
    SetParameters,
    Sleep,
    Wake,
    join_id,
    present_id,
    renew_id,
)
from banyan_charter.keytree import LEAVES, Signature, check
from banyan_charter.values import MOST_SEATS, ROLL_CALLS, Parameters, Seat, state_root
from banyan_crdt.errors import Malformed, Reject
from banyan_crdt.ids import AccountId
from banyan_crdt.realm import Realm
from banyan_crdt.signing import verify

SignerKey: TypeAlias = tuple[AccountId, bytes, int]
"""(member, root, number): with it the member signs for that number alone."""
Members: TypeAlias = int
"""A set of members: bit k is the k-th of `Electorate.members`."""


class Epoch(NamedTuple):
    """An epoch that stands. `seats` by member, in ascending order."""

    charter: CharterId
    number: int
    id: ContentId
    seats: Mapping[AccountId, Seat]
    parameters: Parameters


class Electorate(NamedTuple):
    """Who may sign a content. `old` and `new`: the votes of the epoch before it and of its own. `keys`: whose bit a
    signature by this key is. `after`: the epoch that it makes."""

    old: Members
    new: Members
    keys: Mapping[SignerKey, Members]
    after: Epoch


class Certificate(NamedTuple):
    """What makes a content stand: its votes and commits in the lowest ballot in which they are enough, and who
    consented up to that."""

    content: ContentId
    ballot: int
    votes: Members
    commits: Members
    consent: Members


@dataclass(frozen=True, slots=True)
class VoteCount:
    """Of one number: the valid contents, the votes that count by (ballot, content), who voted in any ballot, the
    commits, what is locked in which ballots, and the certificates, one of a content. `members`: by bit."""

    members: tuple[AccountId, ...]
    who: dict[ContentId, Electorate]
    voted: dict[tuple[int, ContentId], Members]
    committed: dict[tuple[int, ContentId], Members]
    consent: dict[ContentId, Members]
    locked: set[tuple[int, ContentId]]
    certificates: list[Certificate]

    def named(self, members: Members) -> tuple[AccountId, ...]:
        """Their accounts, ascending."""
        return tuple(m for k, m in enumerate(self.members) if members >> k & 1)


class EpochOutcome(NamedTuple):
    """`content`: what follows, or None. `struck`: who is proved to have signed two histories, None unless there were
    two certificates."""

    content: ContentId | None
    struck: tuple[AccountId, ...] | None
    counted: VoteCount


def enough(signed: Members, total: Members) -> bool:
    """Whether these are more than 2/3 of them."""
    return (signed & total).bit_count() * 3 > total.bit_count() * 2


def signer_key(by: Signature, number: int, seat: Seat) -> bool:
    """Whether this signature is by the key of that seat for that number. The signature itself was checked."""
    return by.leaf == number - seat.since and by.root == seat.root


def first_epoch(f: Founding) -> Epoch:
    """Epoch 0; it stands once all founders signed it (ledger.py)."""
    return Epoch(CharterId(f.id), 0, f.id, {s.member: s for s in f.seats}, f.parameters)


# -- what a content does


class _Draft:
    """The seats of the next epoch, as proposals change them one after the other."""

    def __init__(self, realm: Realm, epoch: Epoch) -> None:
        self.realm, self.was, self.number = realm, epoch, epoch.number + 1
        self.seats, self.parameters = dict(epoch.seats), epoch.parameters

    def seat(self, member: AccountId) -> Seat:
        found = self.seats.get(member)
        if found is None:
            raise Malformed(f"{member.hex()[:16]} has no seat in epoch {self.number - 1}")
        return found

    def present(self, member: AccountId, by: Signature) -> Seat:
        """The seat, after its signature was checked."""
        seat, was = self.seat(member), self.was.seats.get(member)
        if was is None or not signer_key(by, self.number, was):
            raise Malformed(f"it is not signed by the key of {member.hex()[:16]} for number {self.number}")
        check(self.realm, by, present_id(self.was.charter, self.number, member))
        return seat


@singledispatch
def _apply(p: Proposal, d: _Draft) -> None:
    """Changes the draft. Raises Malformed or BadSignature if the proposal may not be adopted."""


@_apply.register
def _admit(p: Admit, d: _Draft) -> None:
    seat = p.seat
    if seat.member in d.seats or seat.member in d.was.seats:  # else who holds its keys would leave as if it stayed
        raise Malformed(f"{seat.member.hex()[:16]} has a seat already")
    if not 0 <= d.number - seat.since < LEAVES:
        raise Malformed(f"the newcomer's keys begin with number {seat.since}, and this is {d.number}")
    verify(d.realm, seat.spare, join_id(d.was.charter, seat), p.sig)
    d.seats[seat.member] = seat


@_apply.register
def _expel(p: Expel, d: _Draft) -> None:
    del d.seats[d.seat(p.member).member]


@_apply.register
def _renew(p: Renew, d: _Draft) -> None:
    seat, was = d.seat(p.member), d.was.seats.get(p.member)
    if was is None or not 0 <= d.number + 1 - p.since < LEAVES:
        raise Malformed(f"the new keys of {p.member.hex()[:16]} have none for number {d.number + 1}")
    if p.root == was.root:  # two of its keys would be good for one number
        raise Malformed(f"the new root of {p.member.hex()[:16]} is its old one")
    what = renew_id(d.was.charter, was, p.root, p.since, p.spare)
    if isinstance(p.by, bytes):
        verify(d.realm, was.spare, what, p.by)
    elif signer_key(p.by, d.number, was):
        check(d.realm, p.by, what)
    else:
        raise Malformed(f"it is not signed by the key of {p.member.hex()[:16]} for number {d.number}")
    d.seats[p.member] = seat._replace(root=p.root, since=p.since, spare=p.spare)


@_apply.register
def _roll(p: Roll, d: _Draft) -> None:
    d.seats = {m: s._replace(missed=s.missed + 1) if s.votes else s for m, s in d.seats.items()}


@_apply.register
def _answer(p: RollAnswer, d: _Draft) -> None:
    seat = d.present(p.member, p.by)
    if not seat.missed:
        raise Malformed(f"{p.member.hex()[:16]} answers, and missed no roll call")
    d.seats[p.member] = seat._replace(missed=0)


@_apply.register
def _wake(p: Wake, d: _Draft) -> None:
    seat = d.present(p.member, p.by)
    if seat.awake:
        raise Malformed(f"{p.member.hex()[:16]} is awake")
    d.seats[p.member] = seat._replace(missed=0, awake=True)


@_apply.register
def _sleep(p: Sleep, d: _Draft) -> None:
    seat = d.seat(p.member)
    if not seat.votes or seat.missed < ROLL_CALLS:
        raise Malformed(f"{p.member.hex()[:16]} missed {seat.missed} roll calls; who missed {ROLL_CALLS} may sleep")
    d.seats[p.member] = seat._replace(awake=False)


@_apply.register
def _change(p: Change, d: _Draft) -> None:
    d.seats[p.member] = d.seat(p.member)._replace(domain=p.domain, kind=p.kind, voting=p.voting)


@_apply.register
def _set_parameters(p: SetParameters, d: _Draft) -> None:
    d.parameters = p.parameters


ORDER = (RollAnswer, Sleep, Wake, Renew, Expel, Admit, Change, SetParameters, Roll, Remark)
"""In which order the kinds of proposals of a content are applied, whatever order it lists them in."""


MOST_ADMITTED = 64
"""Admissions of one content: each seat of it may fill room of its own at every node."""


def next_epoch(realm: Realm, epoch: Epoch, proposals: Iterable[Proposal], id: ContentId) -> Epoch:
    """The epoch that these proposals make. Raises Malformed or BadSignature with a sentence if they may not be adopted.
    `id`: of the content."""
    draft, proposals = _Draft(realm, epoch), sorted(proposals, key=lambda p: ORDER.index(type(p)))
    kinds = Counter(map(type, proposals))
    if kinds[Roll] > 1 or kinds[Admit] > MOST_ADMITTED:
        raise Malformed(f"a content has at most one roll call and {MOST_ADMITTED} admissions")
    for p in proposals:
        _apply(p, draft)
    seats = sorted(draft.seats.values())
    voting = sum(s.voting for s in seats)
    awake = sum(s.votes for s in seats)
    if not awake or awake * 2 < voting:
        raise Malformed(f"{awake} of {voting} seats with a vote would be awake; half is the least")
    votes = [m for m, s in epoch.seats.items() if s.votes]
    lost = sum(m not in draft.seats or not draft.seats[m].votes for m in votes)
    if lost * 3 > len(votes):
        raise Malformed(f"{lost} of {len(votes)} votes would go; a third is the most at once")
    if len(seats) > MOST_SEATS or len({s.domain for s in seats}) < len(seats):
        raise Malformed(f"there are more than {MOST_SEATS} seats, or two of one domain")
    return Epoch(epoch.charter, epoch.number + 1, id, {s.member: s for s in seats}, draft.parameters)


def follows(realm: Realm, epoch: Epoch, x: Content) -> Epoch:
    """The epoch that a content makes. Raises Malformed or BadSignature if it is none that may follow."""
    if (x.charter, x.number, x.prev) != (epoch.charter, epoch.number + 1, epoch.id):
        raise Malformed(f"it does not follow epoch {epoch.number}")
    author = epoch.seats.get(x.author)
    if author is None or not author.votes or not signer_key(x.by, x.number, author):
        raise Malformed(f"its author {x.author.hex()[:16]} has no vote in epoch {epoch.number}")
    after = next_epoch(realm, epoch, x.proposals, x.id)
    if state_root(tuple(after.seats.values()), after.parameters) != x.state:
        raise Malformed("its state root is not what its proposals come to")
    return after


# -- who signed


def electorate(epoch: Epoch, after: Epoch, bits: Callable[[AccountId], Members]) -> Electorate:
    """Who may sign the content that makes `after`. bits: of a member."""
    here, there, number = epoch.seats, after.seats, after.number
    keys: dict[SignerKey, Members] = {}
    old = new = 0
    for m, s in here.items():
        if s.votes:
            old |= bits(m)  # who leaves by it, too
            keys[m, s.root, number - s.since] = bits(m)
    for m, s in there.items():
        if s.votes:
            new |= bits(m)
            mine = here.get(m, s)
            keys[m, mine.root, number - mine.since] = bits(m)
    return Electorate(old, new, keys, after)


def locks(who: Electorate, signed: Members, consent: Members) -> bool:
    """signed: who voted for it in the ballot. consent: who did in that or one before."""
    return enough(signed, who.old) and enough(consent, who.new)


def count(epoch: Epoch, acts: Sequence[Act], after: Mapping[ContentId, Epoch]) -> VoteCount:
    """acts: of the number after the epoch, with good signatures. after: what the valid contents among them make."""
    members = tuple(sorted(set(epoch.seats).union(*(e.seats for e in after.values()))))
    bit = {m: 1 << k for k, m in enumerate(members)}
    who = {x: electorate(epoch, e, bit.__getitem__) for x, e in after.items()}
    votes = sorted((a for a in acts if isinstance(a, EpochVote) and a.content in who), key=lambda v: v.ballot)
    voted: dict[tuple[int, ContentId], Members] = {}
    committed: dict[tuple[int, ContentId], Members] = {}
    consent = dict.fromkeys(who, 0)
    for c in acts:
        if isinstance(c, EpochCommit) and c.content in who:
            at = c.ballot, c.content
            committed[at] = committed.get(at, 0) | signed_by(who[c.content], c)
    locked: set[tuple[int, ContentId]] = set()
    found: dict[ContentId, Certificate] = {}
    for ballot, some in groupby(votes, key=lambda v: v.ballot):
        for v in some:
            consent[v.content] |= signed_by(who[v.content], v)
            if not v.unlock or (v.unlock, v.content) in locked:
                at = ballot, v.content
                voted[at] = voted.get(at, 0) | signed_by(who[v.content], v)
        for x, e in who.items():
            signed, done = voted.get((ballot, x), 0), committed.get((ballot, x), 0)
            if locks(e, signed, consent[x]):
                locked.add((ballot, x))
                if x not in found and enough(done, e.old):
                    found[x] = Certificate(x, ballot, signed, done, consent[x])
    return VoteCount(members, who, voted, committed, consent, locked, list(found.values()))


def attempted(realm: Realm, epoch: Epoch, x: Content) -> Epoch | None:
    """`follows`, or None."""
    try:
        return follows(realm, epoch, x)
    except Reject:
        return None


def signed_by(e: Electorate, a: EpochVote | EpochCommit) -> Members:
    """The bit of its signer, 0 if that may not sign."""
    return e.keys.get((a.member, a.by.root, a.by.leaf), 0)


def supported(signed: Members, total: Members) -> bool:
    """Whether these are more than 1/3 of them: one of them is honest, if less than 1/3 are not."""
    return (signed & total).bit_count() * 3 > total.bit_count()


def lasting(c: VoteCount, acts: Iterable[Act]) -> Iterator[Act]:
    """What the outcome of a number with a certificate follows from: the contents that have one, and what counts for
    them in ballots up to that. Nodes that were offered each other's come to hold the same ones, although each may have
    refused other acts."""
    top = {f.content: f.ballot for f in c.certificates}
    for a in acts:
        x, member, ballot = (a.id, a.author, 0) if isinstance(a, Content) else (a.content, a.member, a.ballot)
        if ballot <= top.get(x, -1) and (member, a.by.root, a.by.leaf) in c.who[x].keys:
            yield a


def double_signers(c: VoteCount, acts: Iterable[Act]) -> Members:
    """Who is proved to have voted twice in a ballot, committed twice in one, or voted against its lock. Both signatures
    are by one key. acts: those that last."""
    signed: dict[SignerKey, list[EpochVote | EpochCommit]] = {}
    for a in acts:
        if not isinstance(a, Content):
            signed.setdefault((a.member, a.by.root, a.by.leaf), []).append(a)
    out = 0
    for mine in signed.values():
        if any(_contradict(a, b) for a in mine for b in mine):
            out |= signed_by(c.who[mine[0].content], mine[0])
    return out


def _contradict(a: EpochVote | EpochCommit, b: EpochVote | EpochCommit) -> bool:
    twice = type(a) is type(b) and a.ballot == b.ballot
    broken = isinstance(a, EpochVote) and isinstance(b, EpochCommit) and a.unlock < b.ballot < a.ballot
    return a.content != b.content and (twice or broken)


def outcome(epoch: Epoch, acts: Sequence[Act], after: Mapping[ContentId, Epoch]) -> EpochOutcome:
    """What follows an epoch by these acts of its next number. after: as for `count`."""
    c = count(epoch, acts, after)
    contents = {f.content for f in c.certificates}
    if len(contents) < 2:
        return EpochOutcome(next(iter(contents), None), None, c)
    out = double_signers(c, lasting(c, acts))
    left = set()
    for f in c.certificates:
        who = c.who[f.content]
        rest = who._replace(old=who.old & ~out, new=who.new & ~out)
        if locks(rest, f.votes & ~out, f.consent) and enough(f.commits & ~out, rest.old):
            left.add(f.content)
    return EpochOutcome(left.pop() if len(left) == 1 else None, c.named(out), c)
