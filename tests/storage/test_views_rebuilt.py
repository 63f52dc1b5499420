"""Updated views, rebuilt views and a simple fold of all entries are equal, whatever was written before, meanwhile and
after.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from banyan_crdt.realm import TEST
from banyan_reading.queries import Queries
from banyan_schema.collection import Collection
from banyan_schema.registry import SOCIAL
from banyan_storage.check import verify
from banyan_storage.errors import CorruptStore, ViewBuilding
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.slots import NUMBERS
from banyan_storage.store import Store
from banyan_storage.views import SocialViews
from banyan_storage.views.builder import begin, step
from banyan_storage.views.fold import Fold
from banyan_storage.views.registry import NAMES, SHOWN_NAME, shown_version, standings, version_of
from tests.needs import numbers
from tests.reading.lists import feed
from tests.storage.views_world import World


@pytest.mark.parametrize("number", numbers(30, 8))
def test_views_in_step_and_views_built_again_are_the_dumb_fold(number: int) -> None:
    world = World(number)
    for _ in range(world.rng.randint(20, 150)):
        world.turn()
    world.agrees()
    world.proved()
    digest = world.ask.views_digest()
    begin(world.engine.write(), NAMES)
    while world.build(world.rng.choice((1, 3, 10))):
        pass
    world.agrees()
    world.proved()
    assert world.ask.views_digest() == digest


@pytest.mark.parametrize("number", numbers(10))
def test_an_account_that_is_built_in_several_blocks_shows_the_same(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(f"blocks {number}")
    for _ in range(150):
        world.turn()
    digest = world.ask.views_digest()
    monkeypatch.setattr("banyan_storage.views.builder.STEP", world.rng.choice((1, 2, 5)))
    begin(world.engine.write(), NAMES)
    while world.build(50):
        pass
    world.agrees()
    world.proved()
    assert world.ask.views_digest() == digest


def test_an_account_that_cannot_be_folded_is_left_out_and_those_beside_it_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("left out")
    for _ in range(120):
        world.turn()
    txn, broken = world.engine.write(), world.people[0].id
    others = [person.id for person in world.people if person.id != broken]
    shows = {account: world.ask.post_count(account) for account in others}
    begin(txn, NAMES)
    settle = Fold.settle

    def fails(fold: Fold) -> None:
        if txn.get(NUMBERS, broken) in fold.numbers:
            raise CorruptStore("an entry that is covered cannot be read")
        settle(fold)

    monkeypatch.setattr(Fold, "settle", fails)
    while world.build(1_000):
        pass
    assert {account: world.ask.post_count(account) for account in others} == shows
    assert any(shows.values())
    assert world.ask.post_count(broken) == 0


@pytest.mark.parametrize("number", numbers(30, 8))
def test_what_is_written_while_views_are_built_is_not_lost(number: int) -> None:
    world = World(f"meanwhile {number}")
    for _ in range(world.rng.randint(20, 100)):
        world.turn()
    for _ in range(4):
        begun = begin(world.engine.write(), world.rng.sample(NAMES, world.rng.choice((1, 1, 2, 3))))
        more = True
        while more:
            for _ in range(world.rng.choice((0, 1, 1, 3))):
                world.turn()
            if world.rng.random() < 0.05:
                begin(world.engine.write(), world.rng.sample(NAMES, 1))
            world.proved()
            more = world.build(world.rng.choice((1, 2, 5, 30)))
        assert begun
        world.agrees()
        world.proved()


def test_a_query_of_a_view_that_is_being_built_raises_with_the_progress() -> None:
    world = World("asked")
    for _ in range(30):
        world.turn()
    target = world.targets[0]
    begin(world.engine.write(), ["thread"])
    with pytest.raises(ViewBuilding, match=r"^view thread is being built, 0 %"):
        world.ask.totals([target])
    feed(world.ask, [world.people[0].id])  # others answer
    world.ask.account_totals([world.people[0].id])
    seen = []
    while world.build(1):
        seen += [view.done for view in standings(world.engine.write()) if view.name == "thread"]
    assert seen == sorted(seen)
    assert 0 < seen[len(seen) // 2] < 1
    world.ask.totals([target])
    begin(world.engine.write(), ["shown"])
    with pytest.raises(ViewBuilding, match=r"^view shown is being built"):
        world.ask.post(target)
    with pytest.raises(ViewBuilding):
        feed(world.ask, [world.people[0].id])


def test_power_that_goes_while_views_are_built_costs_one_step() -> None:
    world = World("power")
    for _ in range(120):
        world.turn()
    world.node.store.commit()
    digest = world.ask.views_digest()
    begin(world.engine.write(), NAMES)
    world.node.store.commit()
    steps, more = 0, True
    engine = world.engine
    while more:
        store = Store(engine, TEST, new_store_id=bytes(16), views=SocialViews())
        step(engine.write(), store, 1)  # lost
        assert isinstance(engine, MemoryEngine)
        engine = engine.crash()
        store = Store(engine, TEST, new_store_id=bytes(16), views=SocialViews())
        more, steps = step(engine.write(), store, 1), steps + 1
        store.commit()
    assert steps > 3
    assert Queries(engine.write(), store, lambda: 0).views_digest() == digest
    assert [p for p in verify(store, lambda account, n: None) if p.where.startswith("views")] == []


def test_a_collection_more_or_another_seed_of_one_has_everything_built_again() -> None:
    poll: Collection[None] = Collection("vn.example.poll", "counter")
    more, again = SOCIAL.adding(poll), SOCIAL.adding(replace(poll, seeds=2))
    assert len({shown_version(each) for each in (SOCIAL, more, again)}) == 3
    assert shown_version(reversed(list(SOCIAL))) == version_of(SHOWN_NAME)
