"""Merged timelines that are kept over many states of a store, compared with a fresh merge of each state."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from banyan_crdt.ids import Ref
from banyan_crdt.ops import Tomb
from banyan_crdt.realm import TEST
from banyan_reading import timeline_merge as module
from banyan_reading.queries import queries
from banyan_reading.read_cache import ReadCache
from banyan_reading.timeline_merge import MergedTimeline
from banyan_reading.timelines import POSTS, WITH_REPOSTS, newest, oldest
from banyan_schema.collection import undo
from banyan_schema.social import POST, REPOST, Post, Target, write_post
from banyan_storage.views import invalidation
from tests.needs import numbers
from tests.storage.social_accounts import Person, social_store


@pytest.mark.parametrize("seed", numbers(12))
def test_pages_of_a_kept_merge_are_those_of_a_fresh_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, (store, engine) = random.Random(f"merged {seed}"), social_store()
    monkeypatch.setattr(module, "MOST", rng.choice((5, 40, 2_000)))
    monkeypatch.setattr(module, "GROWN", rng.choice((30, 2_000)))
    monkeypatch.setattr(invalidation, "HELD", rng.choice((4, 64)))
    monkeypatch.setattr(invalidation, "MOST", rng.choice((2, 1_024)))
    tables = rng.choice((POSTS, WITH_REPOSTS))
    people = [Person(f"p{n}") for n in range(6)]
    posts: dict[Target, Ref] = {}
    reposts: dict[Ref, Person] = {}
    kept = ReadCache()
    merged = MergedTimeline(tables is WITH_REPOSTS)

    def step() -> None:
        who = rng.choice(people)
        match rng.choice(("post", "post", "post", "edit", "delete", "repost", "repost", "back")):
            case "post":
                for _ in range(rng.choice((1, 1, 1, 9))):
                    target = who.post("một")
                    posts[target] = who.last()
            case "edit" if posts:
                target = rng.choice([*posts])
                author = next(one for one in people if one.id == target.account)
                author.write([write_post(target.key, Post("sửa"), [posts[target]])])
                posts[target] = author.last()
            case "delete" if posts:
                target = rng.choice([*posts])
                author = next(one for one in people if one.id == target.account)
                author.write([Tomb(POST, target.key)])
                del posts[target]
            case "repost" if posts:
                reposts[who.repost(rng.choice([*posts]))] = who
            case "back" if reposts:
                ref = rng.choice([*reposts])
                reposts.pop(ref).write([undo(REPOST, [ref])])

    for _ in range(25):
        for _ in range(rng.randrange(12)):
            step()
        for person in rng.sample(people, rng.randint(1, len(people))):
            person.send(store)
        wanted = {person.id for person in rng.sample(people, rng.randint(1, len(people)))}
        with queries(engine, TEST) as q, kept.at(q) as keeping:
            txn = q.reader.txn
            numbers = q.numbers(wanted)
            whole = list(newest(txn, numbers, None, tables))
            places = [None, *(line.cursor for line in rng.sample(whole, min(3, len(whole))))]
            for place in places:
                most = rng.choice((1, 7, 1_000))
                lines = islice(merged.lines(q, numbers, keeping, place), most)
                assert [*lines] == [*islice(newest(txn, numbers, place, tables), most)]
                if place is not None:
                    assert [*merged.lines(q, numbers, keeping, None, place)] == [*oldest(txn, numbers, place, tables)]


def test_what_is_kept_is_forgotten_when_it_is_touched_and_an_older_snapshot_gets_nothing() -> None:
    store, engine = social_store()
    an, lan = Person("an"), Person("lan")
    target = an.post("một")
    lan.post("hai")
    for one in (an, lan):
        one.send(store)
    kept = ReadCache(1_000)
    with queries(engine, TEST) as old:
        with kept.at(old) as keeping:
            for one in (an, lan):
                keeping.put(one.name, one.name, [one.id], 10)
            keeping.put("count", 0, [target], 10)
            keeping.put("always", 1, (), 10)
            keeping.put("nobody", 1, [Person("nobody").id], 10)
            assert keeping.get("nobody") is None
            with kept.at(old) as second:
                assert second.get("an") is None
        with kept.at(old, whole=False) as building:
            assert building.get("an") is None
        lan.react(target, "❤")
        lan.send(store)
        with queries(engine, TEST) as new, kept.at(new) as keeping:
            assert [keeping.get(one) for one in ("an", "lan", "count", "always")] == ["an", None, None, 1]
            keeping.put("large", 2, (), 999)
            assert [keeping.get(one) for one in ("an", "always", "large")] == [None, None, 2], "the oldest went"
        with kept.at(old) as keeping:
            assert keeping.get("large") is None


def test_who_is_too_far_behind_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalidation, "HELD", 4)
    store, engine = social_store()
    an, lan, kept = Person("an"), Person("lan"), ReadCache()
    for n in range(20):
        (an if n < 2 else lan).post(f"{n}")
        (an if n < 2 else lan).send(store)
        with queries(engine, TEST) as q:
            changes = invalidation.changes(q.reader.txn, 0)
            assert changes is None if invalidation.last(q.reader.txn) >= 2 * invalidation.HELD else changes is not None
        if n == 0:
            with queries(engine, TEST) as q, kept.at(q) as keeping:
                keeping.put("an", "an", [an.id], 1)
    with queries(engine, TEST) as q, kept.at(q) as keeping:
        assert keeping.get("an") is None
