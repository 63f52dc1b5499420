"""What an account hears of: once each, the newest arrival first, and page by page while more arrives."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from banyan_crdt.ids import AccountId, Ref
from banyan_crdt.realm import TEST
from banyan_schema.social import FOLLOW, Post, Target, delete_post, react, relate, repost, undo, write_post
from banyan_storage.noticed import Noticed
from banyan_storage.queries import Queries, queries
from tests.storage.social_accounts import Person, social_store


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("an"), Person("binh"), Person("chi")


def heard(ask: Queries, account: AccountId, before: bytes | None = None) -> Iterator[tuple[bytes, Noticed]]:
    found = ask.noticed(account, before, lambda what, who: True)
    return ((place, one) for place, one in found if one is not None)


def kinds(ask: Queries, account: AccountId) -> list[str]:
    return [one.what for _, one in heard(ask, account)]


def test_each_thing_is_told_once_to_whom_it_concerns(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    store, engine = social_store()
    post = an.post("Chào")
    an.write([react(an.salt, post, "❤")])  # nobody hears of what one does oneself
    an.send(store)
    answer = binh.post("Có", post, mentions=(an.id, an.id, chi.id), quote=post)
    binh.write([react(binh.salt, post, "❤"), react(binh.salt, post, "🌳"), repost(binh.salt, post)])
    binh.write([relate(binh.salt, "follow", an.id), relate(binh.salt, "block", an.id)])
    binh.send(store)
    with queries(engine, TEST) as ask:
        assert kinds(ask, an.id) == ["follow", "repost", "reaction", "reaction", "reply"]
        (_, last), *_ = list(heard(ask, an.id))[-1:]
        assert (last.who, last.post, last.about, last.edited) == (binh.id, answer, post, False)
        assert [(one.emoji, one.about) for _, one in heard(ask, an.id) if one.what == "reaction"] == [
            ("🌳", post),
            ("❤", post),
        ]
        ((_, told),) = heard(ask, chi.id)
        assert (told.what, told.who, told.post, told.about) == ("mention", binh.id, answer, None)
        assert kinds(ask, binh.id) == []


def test_what_is_taken_back_or_deleted_is_told_no_more_and_an_edit_says_so(people: tuple[Person, ...]) -> None:
    an, binh, _ = people
    store, engine = social_store()
    an.post("x")
    an.send(store)
    said = binh.post("An!", mentions=(an.id,))
    first = binh.last()
    binh.write([relate(binh.salt, "follow", an.id)])
    follow = binh.last()
    binh.send(store)
    binh.write([write_post(said.key, Post("An?", mentions=(an.id,)), [first])])
    binh.send(store)
    with queries(engine, TEST) as ask:
        assert [(one.what, one.edited) for _, one in heard(ask, an.id)] == [("mention", True), ("follow", False)]
    binh.write([undo(FOLLOW, [follow]), delete_post(said.key)])
    binh.send(store)
    with queries(engine, TEST) as ask:
        assert kinds(ask, an.id) == []


def test_pages_join_while_more_arrives(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    rng, (store, engine) = random.Random("pages"), social_store()
    post = an.post("x")
    an.send(store)
    told: list[Ref] = []
    place: bytes | None = None
    for n in range(30):
        binh.write([react(binh.salt, post, f"{n}")])
    binh.send(store)
    while True:
        with queries(engine, TEST) as ask:
            page = [(at, one.ref) for at, one in heard(ask, an.id, place)][: rng.choice((1, 2, 5))]
        if not page:
            break
        told += [ref for _, ref in page]
        place = page[-1][0]
        chi.post(f"{len(told)}", Target(an.id, post.key))  # what comes is above what was read
        chi.send(store)
    assert len(told) == len(set(told)) == 30
