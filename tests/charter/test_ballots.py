"""What honest members sign: never two histories, and a split vote ends."""

from __future__ import annotations

import random

import pytest

from banyan_charter.acts import Act, Content, ContentId
from banyan_charter.ballots import Promise, commit, favourite, vote, waits
from banyan_charter.ledger import AHEAD, ActLedger, state_of
from banyan_crdt.errors import Refused
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge
from tests.model import charter_spec as spec
from tests.needs import numbers


class Voter:
    """A member with its own ledger, keys and promise."""

    def __init__(self, bridge: Bridge, member: int) -> None:
        self.keys = bridge.signer(member, 0)
        self.ledger = state_of(TEST, bridge.founding, bridge.founded())
        self.promise = Promise(1)

    def hear(self, acts: list[Act]) -> None:
        for act in sorted(acts, key=lambda a: not isinstance(a, Content)):
            if self.ledger.why_not(act) is None:
                self.ledger.add(act)
            if isinstance(act, Content):
                self.ledger.settle()
        self.ledger.settle()

    def vote(self, content: ContentId) -> list[Act]:
        made, self.promise = vote(self.ledger, self.promise, self.keys, content)
        return [made]

    def commit(self) -> list[Act]:
        found = commit(self.ledger, self.promise, self.keys)
        if found is None:
            return []
        made, self.promise = found
        return [made]


def bridged(size: int, contents: int = 2) -> tuple[Bridge, list[Voter], list[Act]]:
    genesis = spec.Content(0, 0, -1, tuple(map(spec.Seat, range(size))))
    bridge = Bridge(genesis)
    made = [bridge.act(spec.Content(k + 1, 1, 0, genesis.seats, (("note", k),))) for k in range(contents)]
    return bridge, [Voter(bridge, m) for m in range(size)], made


def round_of(voters: list[Voter], said: list[Act]) -> None:
    """All hear all, vote for their favourite, hear all, and commit."""
    for v in voters:
        v.hear(said)
    for step in ("vote", "commit"):
        new: list[Act] = []
        for v in voters:
            if len(v.ledger.epochs) > 1:
                continue
            content = favourite(v.ledger, v.promise)
            assert content is not None
            if step == "commit":
                new += v.commit()
            else:
                try:
                    new += v.vote(content)
                except Refused:
                    pass
        said += new
        for v in voters:
            v.hear(said)


@pytest.mark.parametrize("n", numbers(40))
def test_members_that_were_apart_and_split_agree_within_as_many_ballots_as_seats(n: int) -> None:
    rng = random.Random(f"split/{n}")
    size = rng.randrange(4, 8)
    _, voters, contents = bridged(size, rng.choice((2, 3)))
    said = list(contents)
    for v in voters:
        v.hear(contents)
    for _ in range(rng.randrange(4)):  # apart: some hear some, and vote as they like
        for v in rng.sample(voters, rng.randrange(1, size + 1)):
            v.hear(rng.sample(said, rng.randrange(len(said) + 1)))
            found = v.commit() if rng.random() < 0.5 else []
            if not found and len(v.ledger.epochs) == 1:
                try:
                    found = v.vote(ContentId(bytes(rng.choice(contents).id)))
                except Refused:
                    found = []
            said += found
            v.hear(found)
    for _ in range(size + 2):
        round_of(voters, said)
        if all(len(v.ledger.epochs) == 2 for v in voters):
            break
    assert len({v.ledger.epochs[-1].id for v in voters}) == 1
    assert all(len(v.ledger.epochs) == 2 and not v.ledger.struck for v in voters)


def test_one_vote_of_half_stands_nowhere_and_the_next_ballot_decides() -> None:
    _, voters, contents = bridged(4)
    said = list(contents)
    for v in voters:
        v.hear(contents)
    for k, v in enumerate(voters):
        said += v.vote(ContentId(bytes(contents[k % 2].id)))
    for v in voters:
        v.hear(said)
        assert v.commit() == []
    round_of(voters, said)
    assert all(len(v.ledger.epochs) == 2 for v in voters)


@pytest.mark.parametrize("k", range(4))
def test_a_cheat_that_votes_first_for_what_its_newcomers_never_consent_to_leads_nobody(k: int) -> None:
    bridge, voters, contents = bridged(7, 1)
    crowd: tuple[spec.Proposal, ...] = (*(("admit", m, 0) for m in range(20, 28)), ("note", k))
    genesis = bridge.model[0]
    seats = spec.applied(genesis.seats, 1, crowd, spec.RULES)
    assert seats is not None
    said = [*contents, bridge.act(spec.Content(9, 1, 0, seats, crowd))]
    for v in voters:
        v.hear(said)
    for ballot in range(1, 10):
        said.append(bridge.act(spec.Vote(1, ballot, 9, 0, (6, 0, 1))))
        round_of(voters[:6], said)
    assert all(v.ledger.epochs[-1].id == contents[0].id for v in voters[:6])


def test_a_member_does_not_vote_against_its_commit_without_a_later_lock() -> None:
    _, voters, contents = bridged(4)
    first, second = (ContentId(bytes(x.id)) for x in contents)
    for v in voters:
        v.hear(contents)
    votes = [act for v in voters for act in v.vote(first)]
    voters[0].hear(votes)
    assert len(voters[0].commit()) == 1
    with pytest.raises(Refused, match="committed to another content"):
        voters[0].vote(second)
    assert voters[0].commit() == []
    voters[0].vote(first)


def test_a_member_signs_once_in_a_ballot_and_one_alone_opens_no_other() -> None:
    bridge, voters, contents = bridged(4)
    first = ContentId(bytes(contents[0].id))
    for v in voters:
        v.hear([*contents, bridge.act(spec.Vote(1, AHEAD, 1, 0, (3, 0, 1)))])
    assert voters[0].ledger.joint(1) == 0
    voters[0].vote(first)
    with pytest.raises(Refused, match="signed in ballot 1: the next one opens"):
        voters[0].vote(first)


def test_a_vote_waits_while_its_ballot_can_be_won_and_no_longer() -> None:
    _, voters, contents = bridged(4)
    first, second = (ContentId(bytes(x.id)) for x in contents)
    for v in voters:
        v.hear(contents)

    def waiting() -> list[bool]:
        return [waits(v.ledger, v.promise, v.keys.member, first) for v in voters]

    some = [act for v in voters[:2] for act in v.vote(first)]
    others = [act for v in voters[2:] for act in v.vote(second)]
    for v in voters:
        v.hear(some)
    assert waiting() == [True, True, False, False]
    for v in voters:
        v.hear(others)
    assert waiting() == [False] * 4, "two and two: the next ballot"


def test_who_has_no_seat_votes_for_nothing_and_a_closed_number_is_refused() -> None:
    bridge, voters, contents = bridged(4)
    stranger = voters[0]
    stranger.hear(contents)
    ledger: ActLedger = stranger.ledger
    with pytest.raises(Refused, match="has no seat in epoch 0"):
        vote(ledger, Promise(1), bridge.signer(9, 0), ContentId(bytes(contents[0].id)))
    with pytest.raises(Refused, match="number 5 is not open"):
        vote(ledger, Promise(5), stranger.keys, ContentId(bytes(contents[0].id)))
    with pytest.raises(Refused, match="no valid content"):
        vote(ledger, Promise(1), stranger.keys, ContentId(bytes(32)))


@pytest.mark.parametrize("n", numbers(60))
def test_members_that_hear_each_other_one_by_one_agree_although_some_are_silent_or_sign_far_ahead(n: int) -> None:
    """Each in turn does what it may: commit, else vote. Less than a third sign only what harms."""
    rng = random.Random(f"turns/{n}")
    size = rng.randrange(4, 11)
    bridge, voters, contents = bridged(size, rng.choice((1, 2, 3)))
    cheats = set(rng.sample(range(size), rng.randrange((size - 1) // 3 + 1)))
    reach, said = rng.choice((0.5, 1, 1)), list(contents)
    for turn in range(60 * size):
        m = rng.randrange(size)
        v = voters[m]
        if m in cheats:
            top = v.ledger.joint(1) + rng.choice((0, 1, 1, AHEAD))
            if top and rng.random() < 0.3:
                said.append(bridge.act(spec.Vote(1, top, rng.randrange(len(contents)) + 1, 0, (m, 0, 1))))
            continue
        v.hear([a for a in said if rng.random() < reach or turn > 30 * size])
        if len(v.ledger.epochs) > 1:
            continue
        content = favourite(v.ledger, v.promise)
        if not (found := v.commit()) and content is not None:
            try:
                found = v.vote(content)
            except Refused:
                pass
        said += found
    honest = [v for m, v in enumerate(voters) if m not in cheats]
    for v in honest:
        v.hear(said)
    assert {v.ledger.epochs[-1].id for v in honest} <= {ContentId(bytes(x.id)) for x in contents}
    assert len({v.ledger.epochs[-1].id for v in honest}) == 1
    assert not any(v.ledger.struck for v in honest)
