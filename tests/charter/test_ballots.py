"""What honest members sign: never two histories, and a split vote ends."""

from __future__ import annotations

import random

import pytest

from banyan_charter.acts import Act, ContentId
from banyan_charter.ballots import Promise, commit, favourite, open_ballot, vote
from banyan_charter.ledger import AHEAD, Ledger, state_of
from banyan_crdt.errors import Refused
from banyan_crdt.realm import TEST
from tests.charter.bridge import Bridge, account, tree
from tests.model import charter_spec as spec
from tests.needs import numbers


class Voter:
    """A member with its own ledger, keys and promise."""

    def __init__(self, bridge: Bridge, member: int) -> None:
        self.member, self.keys = account(member), tree(member, 0)
        self.ledger = state_of(TEST, bridge.founding, bridge.founded())
        self.promise = Promise(1)

    def hear(self, acts: list[Act]) -> None:
        for act in acts:
            assert self.ledger.why_not(act) is None or not self.ledger.add(act)
            self.ledger.add(act)
        self.ledger.settle()

    def vote(self, content: ContentId) -> list[Act]:
        made, self.promise = vote(self.ledger, self.member, self.keys, self.promise, content)
        return [made]

    def commit(self) -> list[Act]:
        found = commit(self.ledger, self.member, self.keys, self.promise)
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
    assert open_ballot(voters[0].ledger, 1) == 1
    voters[0].vote(first)
    with pytest.raises(Refused, match="signed in ballot 1 already"):
        voters[0].vote(first)


def test_who_has_no_seat_votes_for_nothing_and_a_closed_number_is_refused() -> None:
    _, voters, contents = bridged(4)
    stranger = voters[0]
    stranger.hear(contents)
    ledger: Ledger = stranger.ledger
    with pytest.raises(Refused, match="has no seat in epoch 0"):
        vote(ledger, account(9), tree(9, 0), Promise(1), ContentId(bytes(contents[0].id)))
    with pytest.raises(Refused, match="number 5 is not open"):
        vote(ledger, stranger.member, stranger.keys, Promise(5), ContentId(bytes(contents[0].id)))
    with pytest.raises(Refused, match="no valid content"):
        vote(ledger, stranger.member, stranger.keys, Promise(1), ContentId(bytes(32)))
