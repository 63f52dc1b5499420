"""Queries give the same answers on every node, newest first, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from banyan_crdt.ops import Add
from banyan_crdt.realm import TEST
from banyan_reading.queries import Queries, queries
from banyan_schema.social import FOLLOW, Post, delete_post, react, relate, undo, write_post
from tests.reading.lists import feed
from tests.storage.social_accounts import Person, social_store


@contextmanager
def asking(*people: Person) -> Iterator[Queries]:
    store, engine = social_store()
    for person in people:
        person.send(store)
    with queries(engine, TEST) as ask:
        yield ask


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("an"), Person("binh"), Person("chi")


def test_a_post_is_found_edited_and_gone_for_good_when_deleted(people: tuple[Person, ...]) -> None:
    an = people[0]
    target = an.post("helo")
    store, engine = social_store()
    an.send(store)
    with queries(engine, TEST) as ask:
        first = ask.post(target)
    an.write([write_post(target.key, Post("hello"), [an.last()])])
    an.send(store)
    with queries(engine, TEST) as ask:
        edited = ask.post(target)
    assert first is not None
    assert edited is not None
    assert (first.post.text, edited.post.text, first.target) == ("helo", "hello", target)
    an.write([delete_post(target.key)])
    an.write([write_post(target.key, Post("back?"))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert ask.post(target) is None
        assert feed(ask, [an.id]) == []


def test_live_operations_are_what_an_undo_must_name(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    refs = (an.follow(binh), an.follow(binh))
    op = relate(an.salt, "follow", binh.id).op
    assert isinstance(op, Add)
    with asking(an) as ask:
        assert ask.live(an.id, op) == refs
        assert ask.live(binh.id, op) == ()
    an.write([undo(FOLLOW, refs)])
    with asking(an) as ask:
        assert ask.live(an.id, op) == ()
        assert ask.follows(an.id) == []


def test_of_very_many_kinds_of_reactions_some_are_read_and_the_usual_ones(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    target = an.post("hello")
    for n in range(0, 600, 100):
        an.write([react(an.salt, target, f"{k:03}") for k in range(n, n + 100)])
    binh.react(target, "🔥")
    with asking(*people) as ask:
        found = {kind.emoji: kind.accounts for kind in ask.reactions([target])[target]}
    assert (len(found), found["🔥"]) == (201, 1)


def test_graph_stats_count_what_is_shown(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    target = an.post("hello")
    binh.post("hi", target)
    gone = an.post("oops")
    an.write([delete_post(gone.key)])
    binh.follow(an)
    binh.react(target, "❤")
    binh.repost(target)
    with asking(an, binh) as ask:
        stats = ask.graph_stats(digest=True)
        assert (stats.accounts, stats.follows, stats.posts, stats.replies) == (2, 1, 2, 1)
        assert (stats.reactions, stats.reposts, stats.entries) == (1, 1, 7)
        assert stats.stored_bytes > 0
        assert len(stats.digest or b"") == 32


def test_equal_nodes_have_equal_views_digests_and_content_makes_a_difference(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    target = an.post("hello")
    binh.post("hi", target)
    with asking(an, binh) as one, asking(binh, an) as two, asking(an) as less:
        assert one.views_digest() == two.views_digest()
        assert one.views_digest() != less.views_digest()
    store, engine = social_store()
    an.send(store)
    binh.send(store)
    store.erase_part(*an.last(), None)
    store.commit()
    with queries(engine, TEST) as erased, asking(binh) as alone:
        assert erased.views_digest() == alone.views_digest()
        assert erased.post(target) is None
