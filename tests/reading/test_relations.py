"""Followers of locked accounts compared with a plain fold: random histories of follows, answers, locks and lies."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add, Put
from banyan_crdt.realm import TEST
from banyan_reading import relations
from banyan_reading.queries import queries
from banyan_schema.collection import undo
from banyan_schema.social import FOLLOW, relate, set_profile
from banyan_schema.social.relation import ANSWERS, FOLLOW_ANSWER, Answer, FollowAnswer, answer_follow
from tests.storage.social_accounts import Person, agrees, social_store

NAMES = ("an", "bình", "chi", "dung")
VALUES = ("yes", "no", "", "yes", "YES")


@pytest.mark.parametrize("seed", range(8))
def test_followers_are_as_a_plain_fold_says(seed: int) -> None:
    rng, (store, engine) = random.Random(f"locked {seed}"), social_store()
    people = {Person(name).id: Person(name) for name in NAMES}
    locked: dict[AccountId, tuple[str, Ref]] = {}
    follows: dict[tuple[AccountId, AccountId], Ref] = {}
    answers: dict[tuple[AccountId, AccountId], tuple[Answer, Ref]] = {}

    def step() -> None:
        who, whom = (people[one] for one in rng.sample(sorted(people), 2))
        does = rng.choice(("follow", "follow", "unfollow", "answer", "answer", "lock", "forget"))
        if does == "follow" and (who.id, whom.id) not in follows:
            follows[who.id, whom.id] = who.follow(whom)
        elif does == "unfollow" and (who.id, whom.id) in follows:
            who.write([undo(FOLLOW, [follows.pop((who.id, whom.id))])])
        elif does == "answer":
            answer: Answer = rng.choice(ANSWERS)
            draft, before = answer_follow(who.salt, FollowAnswer(whom.id, answer)), answers.get((who.id, whom.id))
            covers = [] if before is None else [undo(FOLLOW_ANSWER, [before[1]])]
            answers[who.id, whom.id] = answer, Ref(who.write([*covers, draft]).id, len(covers))
        elif does == "forget" and (who.id, whom.id) in answers:
            who.write([undo(FOLLOW_ANSWER, [answers.pop((who.id, whom.id))[1]])])
        elif does == "lock":
            value, was = rng.choice(VALUES), locked.get(who.id)
            draft = set_profile(who.salt, "locked", value, [] if was is None else [was[1]])
            locked[who.id] = value, Ref(who.write([draft]).id, 0)

    for _ in range(4):
        for _ in range(60):
            step()
        order = list(people.values())
        rng.shuffle(order)
        for person in order:
            person.send(store)
        with queries(engine, TEST) as ask:
            for account in people:
                is_locked = account in locked and locked[account][0] == "yes"
                following = {one for one, other in follows if other == account}
                said = {one: answer for (by, one), (answer, _) in answers.items() if by == account}
                in_fact = {one for one in following if not is_locked or said.get(one) == "accept"}
                assert relations.is_locked(ask, account) == is_locked
                found = list(relations.followers(ask, account))
                assert len(found) == len(set(found))
                assert set(found) == in_fact
                assert relations.count(ask, account, relations.is_locked(ask, account)) == len(in_fact)
                waiting = {one for one, waits in relations.requests(ask, account) if waits}
                assert waiting == ({one for one in following if one not in said} if is_locked else set())
                for n in range(len(found)):
                    assert list(relations.followers(ask, account, found[n])) == found[n + 1 :]
                mine = [other for one, other in follows if one == account]
                let = [other for other in mine if account in set(relations.followers(ask, other))]
                assert relations.followed(ask, account, mine) == let
    agrees(store, engine, people.values())


def test_of_two_cells_that_say_whether_an_account_is_locked_the_later_one_counts() -> None:
    store, engine = social_store()
    an = Person("an")
    for value, key in (("yes", b"one"), ("no", b"other")):
        draft = set_profile(an.salt, "locked", value)
        assert isinstance(draft.op, Put)
        an.write([draft._replace(op=draft.op._replace(key=CellKey(key.ljust(16))))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert not relations.is_locked(ask, an.id)


def test_what_is_not_counted_to_its_end_is_the_most_that_there_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relations, "COUNTED", 1)
    (store, engine), an = social_store(), Person("an")
    an.write([set_profile(an.salt, "locked", "yes")])
    for n, name in enumerate(("bình", "chi", "dung")):
        other = Person(name)
        an.write([answer_follow(an.salt, FollowAnswer(other.id, "accept"))])
        if n:
            other.write([relate(other.salt, "follow", an.id)])
            other.send(store)
    an.send(store)
    with queries(engine, TEST) as ask:
        assert relations.count(ask, an.id, relations.is_locked(ask, an.id)) == 2


def test_an_answer_in_an_odd_cell_is_an_answer() -> None:
    (store, engine), an, binh = social_store(), Person("an"), Person("bình")
    an.write([set_profile(an.salt, "locked", "yes")])
    draft = answer_follow(an.salt, FollowAnswer(binh.id, "accept"))
    assert isinstance(draft.op, Add)
    an.write([draft._replace(op=draft.op._replace(key=CellKey(b"odd".ljust(16))))])
    binh.follow(an)
    for person in (an, binh):
        person.send(store)
    with queries(engine, TEST) as ask:
        assert list(relations.followers(ask, an.id)) == [binh.id]
        assert not relations.waits(ask, binh.id, an.id)
