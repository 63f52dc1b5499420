"""Channels compared with a plain fold: random histories, liars, pages of any size, the feed of many channels."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_crdt.ops import Add
from banyan_crdt.realm import TEST
from banyan_reading.channels import (
    EpisodeView,
    channel_of,
    channels_of,
    episode_count,
    episode_of,
    in_order,
    newest,
    newest_of,
    subscribed,
    subscriber_count,
    subscriptions,
)
from banyan_reading.queries import Queries, queries
from banyan_schema.address import Target
from banyan_schema.collection import undo
from banyan_schema.social import post_key
from banyan_schema.social.channel import (
    SUBSCRIPTION,
    Channel,
    Episode,
    Subscription,
    drop_channel,
    drop_episode,
    subscribe,
    write_channel,
    write_episode,
)
from tests.storage.social_accounts import Person, agrees, social_store

NAMES = ("an", "bình", "chi", "dung")
TIMES = (1, 2, 3, 1_000)
NUMBERS = (None, 0, 1, 2, 300)
POST = Target(AccountId(b"p" * 32), CellKey(b"p" * 16))
Found = Iterator[tuple[bytes, EpisodeView | None]]


class World:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"channels {seed}")
        self.store, self.engine = social_store()
        self.people = {Person(name).id: Person(name) for name in NAMES}
        self.all: list[Target] = []
        self.channels: dict[Target, tuple[Channel, Ref]] = {}
        self.episodes: dict[Target, tuple[Episode, Ref]] = {}
        self.subscribed: dict[tuple[AccountId, Target], Ref] = {}

    def step(self) -> None:
        rng = self.rng
        who = self.people[rng.choice(sorted(self.people))]
        does = rng.choice(("channel", *["episode"] * 5, "change", "change", "remove", "drop", "subscribe", "undo"))
        mine = sorted(target for target in self.episodes if target.account == who.id)
        if does == "channel" and len(self.channels) < 6:
            target = Target(who.id, post_key(who.salt, who.draw()))
            entry = who.write([write_channel(target.key, Channel("c"))])
            self.channels[target] = Channel("c"), Ref(entry.id, 0)
            self.all.append(target)
        elif does == "episode" and self.all:
            self.put(who, Target(who.id, post_key(who.salt, who.draw())))
        elif does == "change" and mine:
            self.put(who, rng.choice(mine))
        elif does == "remove" and mine and rng.random() < 0.5:
            who.write([drop_episode(mine[0].key)])
            del self.episodes[mine[0]]
        elif does == "drop" and self.channels and rng.random() < 0.2:
            target = rng.choice(sorted(self.channels))
            self.people[target.account].write([drop_channel(target.key)])
            del self.channels[target]
        elif does == "subscribe" and self.all:
            channel = rng.choice(self.all)
            if (who.id, channel) not in self.subscribed:
                entry = who.write([subscribe(who.salt, Subscription(channel))])
                self.subscribed[who.id, channel] = Ref(entry.id, 0)
        elif does == "undo" and self.subscribed:
            (account, channel), ref = rng.choice(sorted(self.subscribed.items(), key=lambda item: item[0]))
            self.people[account].write([undo(SUBSCRIPTION, [ref])])
            del self.subscribed[account, channel]

    def put(self, who: Person, target: Target) -> None:
        rng = self.rng
        own = [one for one in self.all if one.account == who.id]
        channel = rng.choice(self.all if not own or rng.random() < 0.2 else own)  # sometimes of somebody else
        said = Episode(channel, POST, "e", rng.choice(NUMBERS), rng.choice(NUMBERS), rng.choice(TIMES))
        before = self.episodes.get(target)
        entry = who.write([write_episode(target.key, said, [] if before is None else [before[1]])])
        self.episodes[target] = said, Ref(entry.id, 0)

    def of(self, channel: Target) -> list[Target]:
        return [t for t, (said, _) in self.episodes.items() if said.channel == channel and t.account == channel.account]

    def place(self, target: Target) -> tuple[float, float, int, CellKey]:
        said, _ = self.episodes[target]
        assert said.published_ms is not None
        season, number = (float("inf") if n is None else n for n in (said.season, said.number))
        return season, number, said.published_ms, target.key

    def time(self, target: Target) -> tuple[int, Target]:
        said, _ = self.episodes[target]
        assert said.published_ms is not None
        return said.published_ms, target


def paged(read: Callable[[bytes], Found], size: int) -> list[Target]:
    """All pages, one after another."""
    found, place = list[Target](), b""
    while rows := [row for row, _ in zip(read(place), range(size), strict=False)]:
        found += [view.target for _, view in rows if view is not None]
        assert rows[-1][0] != place, "a page ends behind the one before it"
        place = rows[-1][0]
    return found


def newest_of_all(ask: Queries, channels: list[Target], before: bytes) -> Found:
    return newest_of(ask, channels, before or None)


def same(world: World, ask: Queries) -> None:
    size = world.rng.choice((1, 2, 5))
    for channel in world.all:
        held = world.channels.get(channel)
        assert channel_of(ask, channel) == (None if held is None else held[0])
        wanted = sorted(world.of(channel), key=world.place)
        assert paged(partial(in_order, ask, channel), size) == wanted
        late = sorted(wanted, key=world.time, reverse=True)
        assert paged(partial(newest, ask, channel), size) == late
        assert episode_count(ask, channel) == len(wanted)
        assert subscriber_count(ask, channel) == sum(one == channel for _, one in world.subscribed)
    for target, (said, _) in world.episodes.items():
        view = episode_of(ask, target)
        assert (view.episode if view else None) == (said if said.channel.account == target.account else None)
    for account in world.people:
        mine = sorted(channel for who, channel in world.subscribed if who == account)
        assert list(subscriptions(ask, account)) == mine
        for n, channel in enumerate(mine):
            assert list(subscriptions(ask, account, channel)) == mine[n + 1 :]
        assert all(subscribed(ask, account, channel) == (channel in mine) for channel in world.all)
        late = sorted([t for channel in mine for t in world.of(channel)], key=world.time, reverse=True)
        assert paged(partial(newest_of_all, ask, mine), size) == late
        own = sorted(target for target in world.channels if target.account == account)
        assert [target for target, _ in channels_of(ask, account)] == own


@pytest.mark.parametrize("seed", range(8))
def test_channels_are_as_a_plain_fold_says(seed: int) -> None:
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


def test_two_subscriptions_to_one_channel_in_two_cells_count_once() -> None:
    store, engine = social_store()
    an, channel = Person("an"), Target(AccountId(b"c" * 32), CellKey(b"c" * 16))
    for key in (b"odd", b"usual"):
        draft = subscribe(an.salt, Subscription(channel))
        assert isinstance(draft.op, Add)
        an.write([draft._replace(op=draft.op._replace(key=CellKey(key.ljust(16))))])
    an.send(store)
    with queries(engine, TEST) as ask:
        assert subscriber_count(ask, channel) == 1
        assert list(subscriptions(ask, an.id)) == [channel]
