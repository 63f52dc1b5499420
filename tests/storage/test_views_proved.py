"""The check folds every view again and names each missing, superfluous or different row, with view and account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from banyan_storage.check import StoreProblem, verify, verify_views
from banyan_storage.engine import Item, Table
from banyan_storage.slots import COVERS, NUMBERED
from banyan_storage.views.builder import begin
from banyan_storage.views.registry import NAMES, tables_of
from tests.needs import few
from tests.storage.views_world import World

ROWS_TRIED = few(12)
SAID = ("shown", "ballots", "followers", "reactions", "relations", "shares", "thread")
"""The views that a world has rows of; who adds another one changes nothing here."""
PROVED = [table for name in SAID for table in tables_of(name)]
VIEW_OF = {table: name for name in NAMES for table in tables_of(name)}


@pytest.fixture(scope="module")
def world() -> World:
    """With rows in every table, also of covers whose targets have not come."""
    for seed in range(100):
        made = World(f"proved {seed}")
        for _ in range(150):
            made.turn()
        if all(made.engine.write().count(table) for table in PROVED):
            made.node.store.commit()
            if tampered(made, partial(made.engine.write().delete_range, COVERS, b"", None)):
                return made
    raise AssertionError("no world has rows in every table")


def problems(world: World) -> list[StoreProblem]:
    return [p for p in verify_views(world.node.store) if p.where.startswith("views")]


def some_rows(world: World, table: Table) -> list[Item]:
    rows = list(world.engine.write().scan(table))
    return rows[:: max(1, -(-len(rows) // ROWS_TRIED))]


def changed(raw: bytes) -> Iterator[bytes]:
    """The same with one byte different: near its beginning, in its middle, at its end."""
    for at in {0, len(raw) // 2, len(raw) - 1} if raw else ():
        yield raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :]


def tampered(world: World, do: Callable[[], object]) -> list[StoreProblem]:
    """The findings after `do`, which is rolled back."""
    do()
    found = problems(world)
    world.engine.rollback()
    return found


def _delete(world: World, table: Table, key: bytes, value: bytes) -> None:
    assert world.engine.write().delete(table, key, value)


def test_a_sound_store_has_no_fault(world: World) -> None:
    assert verify(world.node.store, lambda account, n: None) == []


def test_the_check_of_a_store_checks_its_views(world: World) -> None:
    key, value = some_rows(world, PROVED[0])[0]
    _delete(world, PROVED[0], key, value)
    found = verify(world.node.store, lambda account, n: None)
    assert found == problems(world) != []
    world.engine.rollback()


@pytest.mark.parametrize("table", PROVED, ids=lambda table: table.name)
def test_a_row_that_was_deleted_is_found(world: World, table: Table) -> None:
    found_any = False
    for key, value in some_rows(world, table):
        found = tampered(world, partial(_delete, world, table, key, value))
        found_any |= bool(found)
        if table != COVERS:  # a cover whose target has come and went is not needed any more
            assert any(p.where.startswith(f"views: {VIEW_OF[table]}") for p in found), (key, value)
    assert found_any


@pytest.mark.parametrize("table", PROVED, ids=lambda table: table.name)
def test_a_row_that_was_added_is_found(world: World, table: Table) -> None:
    txn = world.engine.write()
    for key, value in some_rows(world, table):
        for other in changed(value if table.dupsort else key):
            item = (key, other) if table.dupsort else (other, value)
            if txn.get(table, item[0]) is not None and not table.dupsort:
                continue
            found = tampered(world, partial(txn.put, table, *item))
            assert any(p.where.startswith(f"views: {VIEW_OF[table]}") for p in found), item


@pytest.mark.parametrize("table", PROVED, ids=lambda table: table.name)
def test_a_row_that_was_changed_is_found(world: World, table: Table) -> None:
    txn = world.engine.write()
    for key, value in some_rows(world, table):
        for other in changed(value):

            def change(key: bytes = key, value: bytes = value, other: bytes = other) -> None:
                txn.delete(table, key, value)
                txn.put(table, key, other)

            assert any(p.where.startswith(f"views: {VIEW_OF[table]}") for p in tampered(world, change)), (key, other)


@pytest.mark.parametrize("table", PROVED, ids=lambda table: table.name)
def test_a_table_without_rows_is_found_and_building_it_again_mends_it(world: World, table: Table) -> None:
    txn = world.engine.write()
    txn.delete_range(table, b"", None)
    assert any(p.where.startswith(f"views: {VIEW_OF[table]}") for p in problems(world))
    begin(txn, [VIEW_OF[table]])
    while world.build(100):
        pass
    assert problems(world) == []
    world.agrees()
    world.engine.rollback()


def test_the_account_of_a_fault_is_named(world: World) -> None:
    txn = world.engine.write()
    for name in ("recent", "thread", "reactions", "relations", "followers"):
        table = tables_of(name)[0]
        key, value = some_rows(world, table)[0]
        txn.delete(table, key, value)
        named = [p.where.rpartition(" ")[2] for p in problems(world)]
        held = {account.hex()[:16] for _, account in txn.scan(NUMBERED)}
        assert set(named) <= held
        assert named
        world.engine.rollback()


def test_a_view_that_is_being_built_is_not_called_wrong(world: World) -> None:
    begin(world.engine.write(), ["thread"])
    world.build(1)
    assert problems(world) == []
    begin(world.engine.write(), ["shown"])
    world.build(1)
    assert problems(world) == []
    world.engine.rollback()
