"""The promise: a collection that nobody knows is defined in one file (poll.py), written, synced, and read back.

Polls are no file of the registry's folder here; with one more in it, and a view: tests/node/test_a_new_view.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Put
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_reading.queries import queries
from banyan_reading.threads import below
from banyan_replica.intake.author import EntryDraft
from banyan_replica.intake.ingest import Ingest
from banyan_schema.address import Target
from banyan_schema.collection import Collection, OpDraft, elements, registers, undo
from banyan_schema.fields import number, text
from banyan_schema.registry import SOCIAL
from banyan_schema.social import Post, write_post
from banyan_schema.social.post import OPENING
from banyan_storage.reader import folded
from tests.crdt.make import Person, run_bytes
from tests.reading.lists import feed
from tests.replica.helpers import NOW_MS, World, phone_of
from tests.schema.laws import keeps_the_laws, texts
from tests.schema.poll import MAX_OPTIONS, POLL, VOTE, Poll, Vote, vote, write_poll
from tests.storage.social_accounts import social_store

REGISTRY = SOCIAL.adding(POLL, VOTE)
SALT = b"s" * 32
LUNCH = Poll("Lunch?", ("phở", "bún chả", "bánh mì"))


def test_polls_and_votes_keep_the_laws() -> None:
    polls = st.builds(Poll, texts, st.lists(texts, min_size=1, max_size=MAX_OPTIONS).map(tuple))
    keeps_the_laws(POLL, polls, lambda said: write_poll(CellKey(b"k" * 16), said))
    there = Target(AccountId(b"a" * 32), CellKey(b"k" * 16))
    votes = st.builds(Vote, st.just(there), st.integers(0, MAX_OPTIONS - 1))
    keeps_the_laws(VOTE, votes, lambda said: vote(SALT, said.poll, said.option))


@dataclass(frozen=True, slots=True)
class ClosingPoll:
    question: str
    options: tuple[str, ...]
    closes: int | None = None
    by: str | None = None


def test_a_poll_whose_added_fields_are_not_used_keeps_the_laws_too() -> None:
    """A writer leaves the fields at the end out; what a later version adds comes after them all the same."""
    assert POLL.layout is not None
    longer = POLL.layout.with_field(
        lambda question, options, closes: ClosingPoll(question, options, closes),
        lambda said: (said.question, said.options, said.closes),
        number("the closing time"),
    ).with_field(ClosingPoll, lambda said: (said.question, said.options, said.closes, said.by), text("who counts", 100))
    poll: Collection[Any] = POLL
    of = replace(poll, layout=longer)
    times, names = st.none() | st.integers(0, 2**64 - 1), st.none() | texts
    polls = st.builds(ClosingPoll, texts, st.lists(texts, min_size=1, max_size=3).map(tuple), times, names)
    keeps_the_laws(of, polls, lambda said: OpDraft(Put(of.id, CellKey(b"k" * 16), (), None), of.encode(said)))


def say(world: World, at: str, person: Person, *drafts: OpDraft) -> list[Ref]:
    """One entry of the person's phone, at a replica."""
    draft = EntryDraft(tuple(d.op for d in drafts), tuple(d.content for d in drafts))
    world.replicas[at].writes.publish(person.log(), phone_of(person), [draft], world.now, push=True)
    world.drain(at)
    store = world.replicas[at].store
    last = store.id_at(person.log(), store.head(person.log()).length - 1)
    assert last is not None
    return [Ref(last, k) for k in range(len(drafts))]


def polls_at(world: World, name: str, who: Person) -> dict[CellKey, Poll]:
    found = folded(world.replicas[name].store, who.id)
    return registers(POLL, found.cells, found.content_of)


def tally(world: World, name: str, poll: Target, *voters: Person) -> Counter[int]:
    """How many vote for each option."""
    out: Counter[int] = Counter()
    for person in voters:
        found = folded(world.replicas[name].store, person.id)
        for votes in elements(VOTE, found.cells, found.content_of).values():
            out.update(said.option for said in votes.values() if said.poll == poll)
    return out


def test_a_poll_is_written_synced_between_two_replicas_and_read_back() -> None:
    world = World("a", "b")
    an, binh, chi = world.person("a", "An"), world.person("b", "Bình"), world.person("b", "Chi")
    poll = Target(an.id, CellKey(b"lunch".ljust(16)))
    (first,) = say(world, "a", an, write_poll(poll.key, LUNCH))
    (before,) = say(world, "b", binh, vote(SALT, poll, 0))  # of a poll that is not held there yet
    say(world, "b", chi, vote(SALT, poll, 2))
    world.link("a", "b")
    world.until(lambda: world.same("a b"), 60)
    for name in ("a", "b"):
        assert polls_at(world, name, an) == {poll.key: LUNCH}
        assert tally(world, name, poll, an, binh, chi) == {0: 1, 2: 1}

    better = Poll("Lunch?", (*LUNCH.options, "cơm tấm"))
    say(world, "a", an, write_poll(poll.key, better, (first,)), vote(SALT, poll, 3))
    say(world, "b", binh, undo(VOTE.id, (before,)), vote(SALT, poll, 2))
    world.until(lambda: world.same("a b") and len(world.digests()) == 1, 60)
    for name in ("a", "b"):
        assert polls_at(world, name, an) == {poll.key: better}
        assert tally(world, name, poll, an, binh, chi) == {2: 2, 3: 1}
    assert not world.cut


def test_a_store_whose_views_do_not_know_it_keeps_it_and_shows_what_they_know() -> None:
    world = World("a")
    an = world.person("a", "An")
    store, engine = social_store()
    ingest = Ingest(store, TEST)
    key = CellKey(b"lunch".ljust(16))
    say(world, "a", an, write_poll(key, LUNCH), write_post(key, Post("Lunch?")), vote(SALT, Target(an.id, key), 1))
    held = world.replicas["a"].store
    ingest.control(an.id, an.control, NOW_MS)
    for e in held.walk(an.log()):
        parts = [held.part(e.id, k) for k in range(3)]
        run = decode_run(TEST, run_bytes([e], 0, 1))
        ingest.run(run, NOW_MS, contents=[[(k, raw) for k, raw in enumerate(parts) if raw is not None]])
    store.commit()
    found = folded(store, an.id)
    assert registers(POLL, found.cells, found.content_of) == {key: LUNCH}
    with queries(engine, TEST) as ask:
        assert [view.post.text for view in feed(ask, [an.id])] == ["Lunch?"]
        assert list(below(ask, Target(an.id, key))) == []


def test_a_registry_with_the_collection_reads_it_and_one_without_it_does_not() -> None:
    draft = write_poll(CellKey(bytes(16)), LUNCH)
    assert draft.content is not None
    assert REGISTRY.decode(POLL.id, draft.op, draft.content) == LUNCH
    assert SOCIAL.decode(POLL.id, draft.op, draft.content) is None
    assert REGISTRY.by_name["vn.example.vote"].decode(b"\xff") is None


def test_what_it_states_to_views_follows_from_its_content() -> None:
    poll, time = Target(AccountId(b"a" * 32), CellKey(b"k" * 16)), bytes(range(8))
    seed = POLL.seed_of(time, POLL.encode(LUNCH))
    assert seed is not None
    assert POLL.facts(seed) == (("recent", OPENING + time),)
    seed = VOTE.seed_of(time, VOTE.encode(Vote(poll, 2)))
    assert seed is not None
    assert VOTE.facts(seed) == (("votes", poll.raw + (2).to_bytes(8, "big")),)
