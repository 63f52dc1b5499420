"""Groups compared with a fold that is obviously right: random histories of people who say anything, in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add
from banyan_crdt.realm import TEST
from banyan_reading import groups
from banyan_reading.groups import GroupView, MemberCount, group_of, joined, owned
from banyan_reading.queries import Queries, queries
from banyan_schema.address import Target
from banyan_schema.collection import OpDraft, undo
from banyan_schema.social import BLOCK, Post, delete_post, post_key, relate, write_post
from banyan_schema.social.group import (
    ACT,
    JOIN,
    KINDS,
    WHATS,
    Group,
    GroupAct,
    GroupJoin,
    Kind,
    act,
    delete_group,
    join,
    write_group,
)
from tests.needs import numbers
from tests.storage.social_accounts import Person, agrees, social_store

NAMES = ("an", "bình", "chi", "dung", "giang")


class World:
    """What everybody says now, as sets: no rows, no cells."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"groups {seed}")
        self.store, self.engine = social_store()
        self.people = {Person(name).id: Person(name) for name in NAMES}
        self.groups: dict[Target, tuple[Group, Ref]] = {}
        self.dead: set[Target] = set()
        self.said: dict[tuple[AccountId, bytes], tuple[GroupAct | GroupJoin | AccountId, list[Ref]]] = {}
        """By who says it and the element: an act, a join or a block, and its writes."""
        self.posts: dict[Target, tuple[Post, int]] = {}

    def group(self) -> Target:
        return self.rng.choice(sorted({*self.groups, *self.dead}))

    def someone(self) -> AccountId:
        return self.rng.choice(sorted(self.people))

    def open(self, who: Person) -> None:
        group = Group("g", "", "", self.kind())
        key = post_key(who.salt, who.draw())
        self.groups[Target(who.id, key)] = group, Ref(who.write([write_group(key, group)]).id, 0)

    def kind(self) -> Kind:
        return self.rng.choice(KINDS)

    def step(self) -> None:
        who = self.people[self.someone()]
        if not self.groups or self.rng.random() < 0.005:
            self.open(who)
            return
        group = self.group()
        does = self.rng.choice(("join", "join", "act", "act", "act", "act", "post", "post", "undo", "set", "rare"))
        if does == "join":
            tell = tuple(self.someone() for _ in range(self.rng.randrange(3)))
            self.add(who, join(who.salt, GroupJoin(group, tell)), GroupJoin(group, tell))
        elif does == "act":
            if self.rng.random() < 0.7:  # most are of those who may
                who = self.people[AccountId(self.rng.choice(sorted(self.rulers(group))))]
            what = self.rng.choice(WHATS)
            here = sorted(post for post, (said, _) in self.posts.items() if said.group == group) or sorted(self.posts)
            there = self.rng.choice(here) if here else Target(who.id, CellKey(b"k" * 16))
            of_post = (what in ("remove", "pin")) != (self.rng.random() < 0.05)
            told = GroupAct(group, what, *there) if of_post else GroupAct(group, what, self.someone())
            self.add(who, act(who.salt, told), told)
        elif does == "post":
            post = Post("x", created_ms=self.rng.choice((None, 1_700_000_000_000)), group=group)
            key = post_key(who.salt, who.draw())
            time = who.write([write_post(key, post)]).header.time
            claimed = None if post.created_ms is None else post.created_ms << 16
            self.posts[Target(who.id, key)] = post, time if claimed is None else min(time, claimed)
        elif does == "undo" and self.said:
            (account, elem), (one, refs) = self.rng.choice(sorted(self.said.items(), key=lambda item: item[0]))
            coll = JOIN if isinstance(one, GroupJoin) else ACT if isinstance(one, GroupAct) else BLOCK
            self.people[account].write([undo(coll, refs)])
            del self.said[account, elem]
        elif does == "set" and group in self.groups:
            new, (_, ref) = Group("h", "", "", self.kind()), self.groups[group]
            owner = self.people[group.account]
            self.groups[group] = new, Ref(owner.write([write_group(group.key, new, [ref])]).id, 0)
        elif does == "rare":
            self.rarely(who, group)

    def rarely(self, who: Person, group: Target) -> None:
        if self.rng.random() < 0.1 and group in self.groups:
            self.people[group.account].write([delete_group(group.key)])
            self.dead.add(group)
            del self.groups[group]
        elif self.rng.random() < 0.3 and self.posts:
            post = self.rng.choice(sorted(self.posts))
            self.people[post.account].write([delete_post(post.key)])
            del self.posts[post]
        else:
            whom = self.someone()
            self.add(who, relate(who.salt, "block", whom), whom)

    def add(self, who: Person, draft: OpDraft, said: GroupAct | GroupJoin | AccountId) -> None:
        assert isinstance(draft.op, Add)
        if self.rng.random() < 0.1:  # the same, in a cell where nobody looks for it
            draft = draft._replace(op=draft.op._replace(key=CellKey(b"odd".ljust(16)), elem=CellKey(who.draw())))
        assert isinstance(draft.op, Add)
        ref = Ref(who.write([draft]).id, 0)
        _, refs = self.said.get((who.id, draft.op.elem), (said, []))
        self.said[who.id, draft.op.elem] = said, [*refs, ref]

    # -- the rules, said plainly

    def acts(self, group: Target, what: str) -> set[tuple[AccountId, bytes]]:
        return {
            (by, said.named)
            for (by, _), (said, _) in self.said.items()
            if isinstance(said, GroupAct)
            and (said.group, said.what) == (group, what)
            and (said.key is not None) == (what in ("remove", "pin"))
        }

    def rulers(self, group: Target) -> set[bytes]:
        named = {whom for by, whom in self.acts(group, "moderator") if by == group.account}
        return {group.account, *named}

    def ruled(self, group: Target, *whats: str) -> set[bytes]:
        rulers = self.rulers(group)
        return {named for what in whats for by, named in self.acts(group, what) if by in rulers}

    def joins(self, group: Target) -> set[AccountId]:
        return {by for (by, _), (said, _) in self.said.items() if isinstance(said, GroupJoin) and said.group == group}

    def members(self, group: Target) -> set[AccountId]:
        kind, rulers = self.groups[group][0].kind, self.rulers(group)
        admitted = self.ruled(group, "accept", "invite") | rulers
        found = {one for one in self.joins(group) if kind == "open" or one in admitted}
        return {one for one in found if one in rulers or one not in self.ruled(group, "ban")} | {group.account}

    def blocked(self, group: Target) -> set[AccountId]:
        return {s for (by, _), (s, _) in self.said.items() if isinstance(s, bytes) and by == group.account}

    def requests(self, group: Target) -> set[AccountId]:
        if self.groups[group][0].kind != "request":
            return set()
        out = self.members(group) | self.blocked(group)
        gone = self.ruled(group, "ban", "refuse") - self.rulers(group)
        return self.joins(group) - out - {AccountId(one) for one in gone}

    def feed(self, group: Target) -> list[Target]:
        removed, by_owner = self.ruled(group, "remove"), self.acts(group, "remove")
        members = self.members(group) - self.blocked(group)

        def shown(target: Target, post: Post) -> bool:
            if post.group != group or target.account not in members:
                return False
            own = target.account == group.account
            return (group.account, target.raw) not in by_owner if own else target.raw not in removed

        found = [target for target, (post, _) in self.posts.items() if shown(target, post)]
        return sorted(found, key=lambda target: (-self.posts[target][1], target))


def pages(found: GroupView, size: int) -> Iterator[Target]:
    """Page after page, each behind the cursor of the last row of the page before."""
    place: bytes | None = None
    while True:
        rows = [row for row, _ in zip(found.posts(place), range(size), strict=False)]
        yield from (view.target for _, view in rows if view is not None)
        if len(rows) < size:
            return
        place = rows[-1][0]


def same(world: World, ask: Queries) -> None:
    for target in world.dead:
        assert group_of(ask, target) is None
    for target, (group, _) in world.groups.items():
        found = group_of(ask, target)
        assert found is not None
        assert found.group == group
        assert set(found.rulers) == world.rulers(target)
        members = world.members(target)
        assert {one for one in world.people if found.is_member(one)} == members
        assert {one for one in found.joining(None) if found.is_member(one)} | {target.account} == members
        assert found.count() == MemberCount(len(members), True)
        assert {one for one in found.joining(None) if found.asks(one)} == world.requests(target)
        everyone, first = list(found.joining(None)), world.rng.randrange(1, 4)
        assert sorted(everyone) == sorted(world.joins(target))
        if len(everyone) > first:
            assert [*everyone[:first], *found.joining(everyone[first - 1])] == everyone
        feed = [view.target for _, view in found.posts(None) if view is not None]
        wanted = world.feed(target)
        times = [world.posts[post][1] for post in feed]
        assert times == sorted(times, reverse=True)
        assert sorted(feed) == sorted(wanted)
        assert list(pages(found, world.rng.choice((1, 2, 7)))) == feed
        pins = {post.raw for post in feed} & world.ruled(target, "pin")
        assert {view.target.raw for view in found.pinned()} == pins
    for account in world.people:
        wanted_groups = {
            said.group for (by, _), (said, _) in world.said.items() if isinstance(said, GroupJoin) and by == account
        }
        assert set(joined(ask, account)) == wanted_groups
        assert set(owned(ask, account)) == {target for target in world.groups if target.account == account}


@pytest.mark.parametrize("seed", numbers(12))
def test_groups_are_as_a_plain_fold_says_whatever_people_do(seed: int) -> None:
    world = World(seed)
    for _ in range(5):
        for _ in range(100):
            world.step()
        people = list(world.people.values())
        world.rng.shuffle(people)
        for person in people[: world.rng.randrange(3, 6)]:
            person.send(world.store)
        for person in people:
            person.send(world.store)
        with queries(world.engine, TEST) as ask:
            same(world, ask)
    agrees(world.store, world.engine, world.people.values())


def test_what_is_not_counted_to_its_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "COUNTED", 2)
    owner, store_engine = Person("an"), social_store()
    store, engine = store_engine
    key = post_key(owner.salt, owner.draw())
    here = Target(owner.id, key)
    owner.write([write_group(key, Group("g", "", "", "request"))])
    for name in ("bình", "chi", "dung"):
        other = Person(name)
        owner.write([act(owner.salt, GroupAct(here, "accept", other.id))])
        other.write([join(other.salt, GroupJoin(here))])
        other.send(store)
    owner.send(store)
    with queries(engine, TEST) as ask:
        found = group_of(ask, here)
        assert found is not None
        assert found.count() == MemberCount(3, False)
