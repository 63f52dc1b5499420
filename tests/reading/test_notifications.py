"""What an account hears of: once each, the newest arrival first, and page by page while more arrives."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Put
from banyan_crdt.realm import TEST
from banyan_reading.notifications import Notification
from banyan_reading.polls import all_notices
from banyan_reading.queries import Queries, queries
from banyan_schema.social import (
    FOLLOW,
    OpDraft,
    Post,
    Target,
    delete_post,
    post_key,
    react,
    relate,
    repost,
    undo,
    write_post,
)
from banyan_schema.social.identity import move_to
from banyan_storage import account_references
from banyan_storage.views.social.notices import STRETCH
from tests.storage.social_accounts import Person, social_store


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    return Person("an"), Person("binh"), Person("chi")


def heard(ask: Queries, account: AccountId, before: bytes | None = None) -> Iterator[tuple[bytes, Notification]]:
    found = all_notices(ask, account, before, lambda what, who: True)
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
    for who in (binh, chi):
        for n in range(15):
            who.write([react(who.salt, post, f"{n}")])
        who.send(store)
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


DAY_MS = 86_400_000


def write_many(who: Person, many: int, *drafts: Callable[[], OpDraft], each: int = 1) -> None:
    for _ in range(many):
        who.write([draft() for draft in drafts for _ in range(each)])


@pytest.mark.parametrize(("entries", "each"), [(10, 100), (1_500, 1)])
def test_what_one_account_does_too_often_in_a_day_hides_nothing_and_is_not_read(
    people: tuple[Person, ...], entries: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    an, binh, chi = people
    read, takes = [0], account_references.Days.takes

    def counting(days: account_references.Days, by: bytes, place: bytes) -> bool:
        read[0] += 1
        return takes(days, by, place)

    monkeypatch.setattr(account_references.Days, "takes", counting)
    store, engine = social_store()
    mine = an.post("x")
    an.send(store)
    answer = chi.post("Có", mine)
    chi.send(store)
    binh.write([relate(binh.salt, "follow", an.id)])
    for day in (20_000, 20_001):
        store.arrived.time_ms = day * DAY_MS

        def mention() -> OpDraft:
            return write_post(post_key(binh.salt, binh.draw()), Post("An!", mentions=(an.id,)))

        write_many(binh, entries, mention, each=each)
        for n in range(account_references.A_DAY + 1):
            binh.write([react(binh.salt, mine, f"{day} {n}")])
        binh.send(store)
    with queries(engine, TEST) as ask:
        told = [one for _, one in heard(ask, an.id)]
        assert Counter((one.what, one.who) for one in told) == {
            ("mention", binh.id): 2 * account_references.A_DAY,
            ("reaction", binh.id): 2 * account_references.A_DAY,
            ("follow", binh.id): 1,
            ("reply", chi.id): 1,
        }
        assert told[-1].post == answer
        stretches = 2 + 2 * (entries + account_references.A_DAY + 2) // STRETCH
        assert read[0] < 8 * account_references.A_DAY * stretches


def test_what_one_account_tells_all_its_followers_too_often_hides_nothing(people: tuple[Person, ...]) -> None:
    an, binh, chi = people
    store, engine = social_store()
    for who, many in ((chi, 1), (binh, 100)):
        for n in range(many):
            draft = move_to(who.salt, an.id)
            assert isinstance(draft.op, Put)
            who.write([draft._replace(op=draft.op._replace(key=CellKey(n.to_bytes(16, "big"))))])
        who.send(store)
    with queries(engine, TEST) as ask:
        found = all_notices(ask, an.id, None, lambda what, who: True, (binh.id, chi.id))
        told = Counter(one.who for _, one in found if one is not None)
    assert told == {binh.id: account_references.A_DAY, chi.id: 1}
