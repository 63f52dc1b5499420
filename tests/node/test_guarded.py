"""Rows that nothing else tells again have checksums: a changed bit is found, and the row is read as not known."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from banyan_crdt.realm import TEST
from banyan_node.context import TABLES, open_store
from banyan_node.home.folder import Home
from banyan_node.local import open_local
from banyan_node.upkeep.repair import repair
from banyan_storage import acts, arrivals
from banyan_storage import tables as t
from banyan_storage.engine import Table
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.views import invalidation, journal
from banyan_storage.views.registry import GUARDED
from tests.node.real import load_settings
from tests.node.test_repair import filled, found, rows_of


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return filled(tmp_path_factory.mktemp("source"))


@pytest.fixture
def home(source: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(source.path, tmp_path / "home"))


@pytest.mark.parametrize("table", GUARDED, ids=lambda table: table.name)
def test_a_changed_bit_of_a_guarded_row_is_found_and_the_row_is_not_believed(home: Home, table: Table) -> None:
    key, raw = rows_of(home)[table.name][-1]
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        txn = engine.write()
        for bit in range(8 * len(raw)):
            changed = bytearray(raw)
            changed[bit // 8] ^= 1 << bit % 8
            assert t.guarded(key, bytes(changed)) is None
        txn.put(table, key, bytes([raw[0] ^ 4]) + raw[1:])
        engine.commit()
        n = t.number(key)
        if table is t.ARRIVED:
            assert arrivals.arrival_of(txn, n) is None
        elif table is invalidation.TOUCHED:
            assert invalidation.changes(txn, n - 1) is None
        elif table is t.ACTS:
            assert [act.number for act in acts.after(txn, n - 1)] == []
        else:
            assert journal.changes(txn, n - 1, 100) is None
        assert invalidation.changes(txn, invalidation.last(txn)) == []
    assert found(home)
    assert repair(home, TEST, lambda sentence: None).left == []
    assert not found(home)
    if table is t.ARRIVED:
        with closing(LmdbEngine(home.store, TABLES, read_only=True)) as engine, engine.read() as reading:
            assert arrivals.arrival_of(reading, n) is None, "not how the one before it came"


def test_a_time_is_found_never_too_late_if_a_row_of_arrivals_is_damaged(home: Home) -> None:
    """Else a poll that ended would stand among what came after it."""
    rows = rows_of(home)[t.ARRIVED.name]
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        txn = engine.write()
        times = [int.from_bytes(raw[:6], "big") for _, raw in rows]
        truth = [arrivals.quiet_at(txn, at) for at in times]
        for key, raw in rows:
            txn.put(t.ARRIVED, key, bytes([raw[0] ^ 4]) + raw[1:])
            for at, true in zip(times, truth, strict=True):
                found = arrivals.quiet_at(txn, at)
                assert true is not None
                assert found is None or found.n <= true.n
            txn.put(t.ARRIVED, key, raw)


def test_a_store_without_checksums_gets_them_and_keeps_what_it_knew(home: Home) -> None:
    before = rows_of(home)[t.ARRIVED.name]
    with closing(LmdbEngine(home.store, TABLES)) as engine:
        txn = engine.write()
        for table in GUARDED:
            txn.put_many(table, [(key, raw[:-4]) for key, raw in list(txn.scan(table))])
        txn.delete_range(t.ACTS, b"", None)
        seen = journal.last(txn), invalidation.last(txn)
        txn.put(t.META, t.SCHEMA_KEY, t.u32(6))
        engine.commit()
    said = list[str]()
    engine, _ = open_store(home, TEST, said.append)
    with closing(engine):
        assert "of schema 6; bringing it to 10" in said[0]
        assert list(engine.write().scan(t.ARRIVED)) == before
        assert journal.changes(engine.write(), seen[0], 9) is None, "whoever follows reads all anew"
        assert invalidation.changes(engine.write(), seen[1]) is None
    assert not found(home)
    with open_local(home, load_settings(home)) as node:
        assert node.call("post", text="goes on")["uri"]
