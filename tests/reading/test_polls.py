"""Polls that ended stand among notifications where the time of their end is, and stay there."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.realm import TEST
from banyan_reading.notifications import Notification
from banyan_reading.polls import all_notices
from banyan_reading.queries import Queries, queries
from banyan_schema.social import Poll, Post, Target, delete_post, react, write_post, write_vote
from tests.needs import numbers
from tests.storage.social_accounts import Person, social_store

Told = tuple[str, Target | None]


def heard(ask: Queries, an: Person, before: bytes | None, now_ms: int) -> list[tuple[bytes, Told]]:
    def told(one: Notification) -> Told:
        return one.what, one.post or one.about

    found = all_notices(ask, an.id, before, lambda what, who: True, (), now_ms)
    return [(place, told(one)) for place, one in found if one is not None]


@pytest.mark.parametrize("seed", numbers(12))
def test_a_poll_is_told_once_where_it_ended_and_pages_join_while_more_arrives(seed: int) -> None:
    rng, (store, engine) = random.Random(seed), social_store()
    an, binh, now = Person("an"), Person("binh"), 1 << 42  # later than the times of the entries
    mine = an.post("x")
    events, before = list[tuple[int, bool, Told]](), list[tuple[bytes, Told]]()
    for _ in range(40):
        now += rng.choice((1, 5, 50))
        what, who = rng.randrange(5), rng.choice((an, binh))
        if what < 3:
            poll = Poll(("a", "b"), "one", now + rng.randrange(1, 200))
            target = who.post("?", poll=poll)
            voters = [person for person in (an, binh) if rng.random() < 0.5]
            for person in voters:
                person.write([write_vote(target, poll, [rng.randrange(2)])])
            if an in voters or who is an:
                events.append((poll.closes_ms, True, ("poll_ended", target)))
        elif what == 3:
            binh.write([react(binh.salt, mine, f"{now}")])
            events.append((now, False, ("reaction", mine)))
        store.arrived.time_ms = now
        an.send(store)
        binh.send(store)
        with queries(engine, TEST) as ask:
            found = heard(ask, an, None, now)
            due = sorted((e for e in events if e[0] <= now), key=lambda e: (e[:2], str(e[2])), reverse=True)
            assert [told for _, told in found] == [told for *_, told in due]
            for n, (at, _) in enumerate(found):
                assert heard(ask, an, at, now) == found[n + 1 :]
            assert found[len(found) - len(before) :] == before, "nothing that was told moves"
            before = found
    assert {what for _, (what, _) in before} == {"poll_ended", "reaction"}


def test_a_poll_that_ends_at_another_time_or_is_deleted_is_not_told() -> None:
    (store, engine), an, binh, day = social_store(), Person("an"), Person("binh"), 1 << 42
    store.arrived.time_ms = day
    early, late = (Poll(("a", "b"), "one", day + ms) for ms in (1_000, 2_000))
    poll = an.post("?", poll=early)
    first = an.last()
    an.send(store)
    binh.write([write_vote(poll, early, [0])])
    binh.send(store)

    def told(who: Person, now_ms: int) -> list[Told]:
        with queries(engine, TEST) as ask:
            return [one for _, one in heard(ask, who, None, now_ms)]

    assert told(an, early.closes_ms) == told(binh, early.closes_ms) == [("poll_ended", poll)]
    an.write([write_post(poll.key, Post("?", poll=late), [first])])
    an.send(store)
    for who, after in ((an, [("poll_ended", poll)]), (binh, [])):  # who voted before the edit votes in no poll now
        assert told(who, late.closes_ms - 1) == []
        assert told(who, late.closes_ms) == after
    an.write([delete_post(poll.key)])
    an.send(store)
    assert told(an, late.closes_ms) == []
