"""A store of the version before opens in place: existing data is available at once, counters are built later."""

from __future__ import annotations

import pytest

from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_reading.queries import Queries
from banyan_replica.intake.ingest import Ingest
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.engine import Table
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import BANNED, MEND
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.upgrade import upgrade
from banyan_storage.views import SocialViews
from banyan_storage.views.builder import step
from banyan_storage.views.registry import NAMES, VERSIONS, standings, version_of
from tests.crdt.make import Person
from tests.reading.lists import feed
from tests.storage.dumb_views import fold_all, same
from tests.storage.old.load import FIVE, load
from tests.storage.old.social_story import PEOPLE

ACCOUNTS = sorted(Person(name).id for name in PEOPLE)


def opened(engine: MemoryEngine) -> Store:
    return Store(engine, TEST, new_store_id=bytes(16), views=SocialViews())


def old_store() -> tuple[MemoryEngine, Store]:
    engine, said = MemoryEngine(TABLES), list[str]()
    load(engine, FIVE)
    assert upgrade(engine, 1_800_000_000, said.append)
    assert len(said) == 1
    assert "The store is of schema 5; bringing it to 10" in said[0]
    return engine, opened(engine)


def test_a_store_of_schema_5_opens_in_place_and_is_not_checked_for_it() -> None:
    engine, store = old_store()
    assert store.store_id == b"a store of five."
    assert BANNED.get(store, "a note") == "of old"
    assert MEND.get(store) is None
    assert {view.name for view in standings(engine.write()) if view.done < 1} == set(NAMES)


def test_what_shows_otherwise_today_is_built_again_and_says_how_far_it_is() -> None:
    engine, store = old_store()
    ask = Queries(engine.write(), store, lambda: 0)
    for read in (lambda: feed(ask, ACCOUNTS), lambda: ask.account_totals(ACCOUNTS)):
        with pytest.raises(ViewBuilding, match="view shown is being built, 0 %"):
            read()


def test_its_counters_are_built_and_are_those_of_a_store_that_always_had_them() -> None:
    engine, store = old_store()
    while step(engine.write(), store, 7):
        store.commit()
    same(Queries(engine.write(), store, lambda: 0), fold_all(Ingest(store, TEST), ACCOUNTS), ACCOUNTS)
    assert verify(store, lambda account, n: None) == []
    versions = {name.decode(): t.number(raw) for name, raw in engine.write().scan(VERSIONS)}
    assert versions == {name: version_of(name) for name in NAMES}
    opened(engine)
    assert all(view.done == 1 for view in standings(engine.write()))


def test_a_view_of_another_version_is_built_again_and_one_that_is_gone_is_forgotten() -> None:
    engine, store = old_store()
    while step(engine.write(), store):
        pass
    engine.write().put(VERSIONS, b"recent", t.u32(1))
    engine.write().put(Table("recent"), bytes(37), b"")
    engine.write().put(VERSIONS, b"polls", t.u32(1))
    engine.commit()
    store = opened(engine)
    assert [view.name for view in standings(engine.write()) if view.done < 1] == ["recent"]
    assert engine.write().get(VERSIONS, b"polls") is None
    assert engine.write().count(Table("recent")) == 0
    while step(engine.write(), store):
        pass
    same(Queries(engine.write(), store, lambda: 0), fold_all(Ingest(store, TEST), ACCOUNTS), ACCOUNTS)
