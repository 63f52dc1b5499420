"""Events and answers compared with a plain fold: random histories, pages of any size, before 1970 and after."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add
from banyan_crdt.realm import TEST
from banyan_reading.events import answered, answers, event_of, of_accounts, of_group, start_of, who_answered
from banyan_reading.groups import group_of
from banyan_reading.queries import Queries, queries
from banyan_schema.address import Target
from banyan_schema.collection import undo
from banyan_schema.social import post_key
from banyan_schema.social.event import (
    ANSWERS,
    REPLY,
    Answer,
    EventReply,
    SocialEvent,
    answer_event,
    delete_event,
    write_event,
)
from banyan_schema.social.group import Group, GroupAct, GroupJoin, act, join, write_group
from tests.storage.social_accounts import Person, agrees, social_store

TIMES = (-86_400_000, -1, 0, 1, 1_700_000_000_000, 1_700_000_000_001)
NAMES = ("an", "bình", "chi", "dung")


class World:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"events {seed}")
        self.store, self.engine = social_store()
        self.people = {Person(name).id: Person(name) for name in NAMES}
        self.owner = next(iter(self.people.values()))
        self.group = Target(self.owner.id, post_key(self.owner.salt, self.owner.draw()))
        self.owner.write([write_group(self.group.key, Group("g", "", "", "open"))])
        self.members = {self.owner.id}
        self.removed: set[Target] = set()
        self.events: dict[Target, tuple[SocialEvent, Ref]] = {}
        self.answers: dict[tuple[AccountId, Target], tuple[Answer, Ref]] = {}

    def step(self) -> None:
        who = self.people[self.rng.choice(sorted(self.people))]
        does = self.rng.choice(
            ("event", "event", "change", "delete", "answer", "answer", "answer", "undo", "join", "remove")
        )
        mine = sorted(target for target in self.events if target.account == who.id)
        if does == "event":
            self.put(who, Target(who.id, post_key(who.salt, who.draw())))
        elif does == "change" and mine:
            self.put(who, self.rng.choice(mine))
        elif does == "delete" and mine and self.rng.random() < 0.3:
            who.write([delete_event(mine[0].key)])
            del self.events[mine[0]]
        elif does == "answer" and self.events:
            self.answer(who, self.rng.choice(sorted(self.events)))
        elif does == "undo" and self.answers:
            (account, event), (_, ref) = self.rng.choice(sorted(self.answers.items(), key=lambda item: item[0]))
            self.people[account].write([undo(REPLY, [ref])])
            del self.answers[account, event]
        elif does == "join" and who.id not in self.members:
            who.write([join(who.salt, GroupJoin(self.group))])
            self.members.add(who.id)
        elif does == "remove" and self.events and self.rng.random() < 0.3:
            event = self.rng.choice(sorted(self.events))
            self.owner.write([act(self.owner.salt, GroupAct(self.group, "remove", *event))])
            self.removed.add(event)

    def put(self, who: Person, target: Target) -> None:
        group = self.group if self.rng.random() < 0.5 else None
        event = SocialEvent("e", "", self.rng.choice(TIMES), None, "UTC", group=group)
        before = self.events.get(target)
        entry = who.write([write_event(target.key, event, [] if before is None else [before[1]])])
        self.events[target] = event, Ref(entry.id, 0)

    def answer(self, who: Person, event: Target) -> None:
        answer: Answer = self.rng.choice(ANSWERS)
        draft, before = answer_event(who.salt, EventReply(event, answer)), self.answers.get((who.id, event))
        assert isinstance(draft.op, Add)
        covers = [] if before is None else [undo(REPLY, [before[1]])]
        entry = who.write([*covers, draft])
        self.answers[who.id, event] = answer, Ref(entry.id, len(covers))

    def ordered(self, accounts: set[AccountId], since: int) -> list[Target]:
        found = [t for t, (e, _) in self.events.items() if t.account in accounts and e.begins_ms >= since]
        return sorted(found, key=lambda target: (self.events[target][0].begins_ms, target))


def same(world: World, ask: Queries) -> None:
    rng = world.rng
    for since in (-(10**12), -1, 0, 1, 1_700_000_000_001):
        accounts = set(rng.sample(sorted(world.people), rng.randrange(1, 5)))
        wanted = world.ordered(accounts, since)
        assert [view.target for view in of_accounts(ask, accounts, start_of(since))] == wanted
        size, place, paged = rng.choice((1, 2, 5)), start_of(since), list[Target]()
        while page := [view for view, _ in zip(of_accounts(ask, accounts, place), range(size), strict=False)]:
            paged += [view.target for view in page]
            place = page[-1].cursor
        assert paged == wanted
    group = group_of(ask, world.group)
    assert group is not None
    here = [t for t, (e, _) in world.events.items() if e.group == world.group and t not in world.removed]
    shown = [view for _, view in of_group(ask, group, start_of(-(10**12))) if view is not None]
    assert {view.target for view in shown} == {t for t in here if t.account in world.members}
    assert [view.event.begins_ms for view in shown] == sorted(view.event.begins_ms for view in shown)
    size, place, paged = rng.choice((1, 2, 5)), start_of(-(10**12)), []
    while rows := [row for row, _ in zip(of_group(ask, group, place), range(size), strict=False)]:
        paged += [view.target for _, view in rows if view is not None]
        place = rows[-1][0]
    assert paged == [view.target for view in shown]
    for event in {*world.events, *(event for _, event in world.answers)}:
        held = world.events.get(event)
        found = event_of(ask, event)
        assert (None if found is None else found.event) == (None if held is None else held[0])
        given = [(who, answer) for (who, of), (answer, _) in world.answers.items() if of == event]
        assert answers(ask, event) == {a: sum(said == a for _, said in given) for a in ANSWERS}
        for answer in ANSWERS:
            listed = list(who_answered(ask, event, answer, None))
            assert sorted(listed) == sorted(who for who, said in given if said == answer)
            for n in range(len(listed)):
                assert list(who_answered(ask, event, answer, listed[n])) == listed[n + 1 :]
    for account in world.people:
        mine = {event: answer for (who, event), (answer, _) in world.answers.items() if who == account}
        assert answered(ask, account) == mine


@pytest.mark.parametrize("seed", range(8))
def test_events_are_as_a_plain_fold_says(seed: int) -> None:
    world = World(seed)
    for _ in range(4):
        for _ in range(60):
            world.step()
        people = list(world.people.values())
        world.rng.shuffle(people)
        for person in people:
            person.send(world.store)
        with queries(world.engine, TEST) as ask:
            same(world, ask)
    agrees(world.store, world.engine, world.people.values())


def test_an_answer_in_another_cell_does_not_hide_the_later_one() -> None:
    store, engine = social_store()
    an = Person("an")
    event = Target(an.id, CellKey(b"e" * 16))
    said: tuple[tuple[Answer, bytes], ...] = (("no", b"odd"), ("yes", b"usual"))
    for answer, key in said:
        draft = answer_event(an.salt, EventReply(event, answer))
        assert isinstance(draft.op, Add)
        an.write([draft._replace(op=draft.op._replace(key=CellKey(key.ljust(16))))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert answered(ask, an.id) == {event: "yes"}
