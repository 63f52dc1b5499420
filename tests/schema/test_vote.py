"""A vote: one register of an account for each poll, which everybody can find."""

from dataclasses import replace

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.social import Poll, Target, Vote, write_vote
from banyan_schema.social.vote import COLLECTION, ballot_of
from tests.schema.laws import cell_of, keeps_the_laws

THERE = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))
LUNCH = Poll(("phở", "bún"), "one", 1_800_000_000_000)
MANY = Poll(tuple(map(str, range(20))), "several", 1_800_000_000_000)
EARLY, LATE = (LUNCH.closes_ms << 16).to_bytes(8, "big"), (LUNCH.closes_ms + 1 << 16).to_bytes(8, "big")


def ballots(vote: Vote, time: bytes = EARLY) -> list[int]:
    """The options that a vote counts for, and 255 for the voter."""
    seed = COLLECTION.seed_of(time, COLLECTION.encode(vote))
    assert seed is not None
    return [fact.key[-1] for fact in COLLECTION.facts(seed) if fact.kind == "ballots"]


def said(*options: int, poll: Poll = LUNCH) -> Vote:
    return Vote(THERE, ballot_of(poll), poll.choices, poll.closes_ms, len(poll.options), options)


def test_a_vote_keeps_the_laws() -> None:
    options = st.lists(st.integers(0, 19), min_size=1, max_size=20, unique=True)
    votes = st.builds(lambda some: said(*sorted(some), poll=MANY), options)
    keeps_the_laws(COLLECTION, votes, lambda vote: write_vote(vote.poll, MANY, vote.options))


def test_the_votes_of_all_accounts_in_one_poll_have_one_key_and_each_poll_has_its_own() -> None:
    other = THERE._replace(key=CellKey(b"l" * 16))
    one, again, elsewhere = (write_vote(at, LUNCH, [n]).op for at, n in ((THERE, 0), (THERE, 1), (other, 0)))
    assert cell_of(one) == cell_of(again) != cell_of(elsewhere)


def test_a_vote_that_is_late_or_says_too_much_counts_for_nothing() -> None:
    assert ballots(said(1)) == [1, 255]
    assert ballots(said(1), LATE) == []
    assert ballots(said(0, 1)) == []
    several = LUNCH._replace(choices="several")
    assert ballots(said(0, 1, poll=several)) == [0, 1, 255]
    for strange in ((1, 1), (1, 0), (0, 2), (2,), (255,), (0, 1 << 40)):
        assert ballots(said(*strange, poll=several)) == []
    assert ballots(replace(said(1), of=21)) == ballots(replace(said(1), of=1 << 60)) == []


def test_a_poll_that_is_edited_has_another_ballot() -> None:
    changed = (LUNCH._replace(options=("phở", "mì")), LUNCH._replace(closes_ms=1), LUNCH._replace(choices="several"))
    assert len({ballot_of(poll) for poll in (LUNCH, *changed)}) == 4
