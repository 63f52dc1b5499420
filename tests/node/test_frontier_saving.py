"""Stored rows against rows that are read: whatever happened in between, an index equals a new one."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.logs import NOTHING
from banyan_crdt.realm import TEST
from banyan_node.context import TABLES
from banyan_node.upkeep import rows_file
from banyan_node.upkeep.rows_file import FileRowStore
from banyan_replica.frontier import index as frontier_index
from banyan_replica.frontier import persistence as frontier_saving
from banyan_replica.frontier import rows as frontier_rows
from banyan_replica.frontier import sums as frontier_summed
from banyan_replica.frontier.index import FrontierIndex, name_words
from banyan_replica.frontier.persistence import (
    MemoryDraft,
    MemoryRowStore,
    MemorySavedRows,
    RowPersistence,
    RowStore,
    Size,
)
from banyan_replica.frontier.sketch import key_of, place
from banyan_storage.head_moves import LIST
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.tables import META
from banyan_storage.views import SocialViews
from tests.forking import started
from tests.needs import NIGHT, few, numbers
from tests.node import rows_victim

PUBLIC = TEST.id
SALT = b"sixteen of salt."


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduces all sizes, so that few heads are enough."""
    for name in ("LEAST", "EVERY", "AT_END"):
        monkeypatch.setattr(frontier_saving, name, 30)
    for module, name, value in (
        (frontier_index, "READ", 50),
        (frontier_index, "TOGETHER", 40),
        (frontier_index, "JOURNAL", 300),
        (frontier_rows, "LATER", 25),
        (frontier_rows, "SORTED", 40),
        (frontier_rows, "SLICE", 64),
        (frontier_summed, "SLICE", 64),
        (frontier_summed, "SUMMED", 0),
        (frontier_saving, "PIECE", 999),
        (frontier_saving, "LAY", 16),
        (rows_file, "CHECKED", 1_000),
    ):
        monkeypatch.setattr(module, name, value)


class LateKeeper(MemoryRowStore):
    """A keeper whose finished drafts are done only when `settle` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[LateDraft] = []

    def draft(self, columns: Sequence[Size]) -> LateDraft:
        return LateDraft(self, columns)

    def settle(self) -> None:
        while self.late:
            self.late.pop(0).settle()


class LateDraft(MemoryDraft):
    def finish(self, about: bytes, tail: bytes) -> None:
        assert isinstance(self._row_store, LateKeeper)
        self._whole = about, tail
        self._row_store.late.append(self)

    def settle(self) -> None:
        super().finish(*self._whole)

    def wait(self) -> None:
        assert isinstance(self._row_store, LateKeeper)
        self._row_store.settle()


class World:
    """A store of heads and an index with a keeper, which are stopped and started again."""

    def __init__(self, seed: int, keeper: RowStore) -> None:
        self.rng, self.keeper = random.Random(seed), keeper
        self.accounts = [self.rng.randbytes(32) for _ in range(60)]
        self.engine = MemoryEngine(TABLES)
        self.loads = 0
        self.open()

    def open(self) -> None:
        self.store = Store(self.engine, TEST, new_store_id=self.rng.randbytes(16), views=SocialViews())
        keeping = RowPersistence(self.keeper, self.store.moves, self.store.store_id)
        self.index = FrontierIndex(self.store, PUBLIC, keeping)
        self.loads += self.index._loading is not None

    def settle(self) -> None:
        if isinstance(self.keeper, LateKeeper):
            self.keeper.settle()
        elif self.index._saving is not None and self.index._saving.ended:
            self.index._saving.draft.wait()

    # -- what happens

    def move(self, n: int, told: bool = True) -> None:
        for _ in range(n):
            log = LogId(
                AccountId(self.rng.choice(self.accounts)),
                WriterKey(self.rng.choice(self.accounts[:4])),
                self.rng.randrange(2),
            )
            lid, old = self.store._log(log)
            gone = old.length and self.rng.random() < 0.1
            new = (
                NOTHING if gone else Head(old.length + 1, EntryId(self.rng.randbytes(32)), int(self.rng.random() < 0.1))
            )
            self.store._set_head(log, lid, new)
            if self.rng.random() < 0.2:
                self.store._last += 1  # most moves are rewrites, which need no arrival
            if told:
                self.index.moved(log, old, new)

    def commit(self) -> None:
        """Commits as a replica does."""
        while self.store.pending:
            self.index.note()
            self.store.commit()
        self.index.durable()

    def rollback(self) -> None:
        self.store.rollback()
        self.index.rolled_back()

    def work(self, steps: int = 1 << 20) -> None:
        while self.index.busy and steps:
            self.index.work()
            steps -= 1

    def keep(self) -> None:
        """Saves what is due, once around."""
        self.commit()
        self.work()
        self.index.tick()
        self.work()
        self.commit()
        self.settle()
        self.index.tick()
        self.commit()

    def crash(self, ends: bool = False) -> None:
        """Power loss: a finished draft that is not done may be kept or not."""
        if isinstance(self.keeper, LateKeeper):
            if ends:
                self.keeper.settle()
            self.keeper.late.clear()
        elif self.index._saving is not None:
            if not self.index._saving.ended:
                self.index._saving.draft.drop()
            self.index._saving.draft.wait()
        self.engine = self.engine.crash()
        self.open()

    def close(self) -> None:
        self.store.rollback()
        self.index.close()
        self.store.commit()
        self.engine = self.engine.crash()
        self.open()

    def copy(self) -> MemoryEngine:
        """A backup of the last commit."""
        return MemoryEngine(TABLES, {table: rows.copy() for table, rows in self.engine._durable().items()})

    # -- what must hold

    def check(self) -> None:
        fresh = FrontierIndex(self.store, PUBLIC)
        for index in (self.index, fresh):
            while not index.ready:
                index.work()
            index.begin(SALT)
            while index._summed.building:
                index.work()
        assert (self.index.count, self.index.root) == (fresh.count, fresh.root)
        prefix = bytes(n for b in self.accounts[0][:3] for n in (b >> 4, b & 15))
        logs = self.rng.sample(sorted(log for log, _ in self.store.all_heads()), min(20, fresh.count))
        for salt in (b"", SALT):
            mine, theirs = self.index.table(salt), fresh.table(salt)
            assert mine is not None
            assert theirs is not None
            assert (mine.cells == theirs.cells).all()
            # under a salt, a table that began with few rows keeps no sums, and a fresh one of none
            if len(mine.sums) == len(theirs.sums):
                assert (mine.sums == theirs.sums).all()
            for k in range(len(prefix) + 1):
                assert self.index.children(salt, prefix[:k]) == fresh.children(salt, prefix[:k])
            asked = [place(key_of(salt or PUBLIC), *name_words(log)) for log in logs]
            assert self.index.named(salt, asked, 10_000) == fresh.named(salt, asked, 10_000)
        self.index.drop(SALT)


@pytest.fixture(params=["file", "memory", "late"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> RowStore:
    keepers: dict[str, RowStore] = {
        "file": FileRowStore(tmp_path / "rows"),
        "memory": MemoryRowStore(),
        "late": LateKeeper(),
    }
    return keepers[request.param]


def kept_world(keeper: RowStore, seed: int = 1) -> World:
    w = World(seed, keeper)
    w.move(200)
    w.keep()
    assert w.index._kept_at is not None
    return w


def test_a_start_loads_what_was_kept_and_follows_what_moved_since(keeper: RowStore) -> None:
    w = kept_world(keeper)
    w.move(25)
    w.commit()
    w.crash()
    assert w.loads == 1
    w.check()
    assert w.index._unkept <= 25
    w.move(50)
    w.check()


def test_heads_that_move_while_rows_are_written_or_loaded_are_followed(keeper: RowStore) -> None:
    w = kept_world(keeper)
    w.move(200)
    w.commit()
    w.index.tick()
    while w.index.busy:
        w.index.work()
        w.move(3)
        if w.rng.random() < 0.3:
            w.commit()
        elif w.rng.random() < 0.3:
            w.rollback()
    w.keep()
    w.crash()
    assert w.loads == 1
    while w.index.busy:
        w.move(2)
        w.index.work()
    w.check()


def test_a_stop_keeps_what_the_next_start_would_read(keeper: RowStore) -> None:
    w = World(1, keeper)
    w.move(200)
    w.commit()
    w.close()
    assert w.loads == 1
    w.check()


def test_heads_that_the_index_was_not_told_of_are_read_again(keeper: RowStore) -> None:
    w = kept_world(keeper)
    arrival = w.store.last_arrival
    w.move(3, told=False)
    w.store._last = arrival
    w.store.commit()
    w.crash()
    assert w.loads == 0
    assert w.index.count == sum(1 for _ in w.store.all_heads())
    w.check()
    w.keep()
    w.crash()
    assert w.loads == 1
    w.check()


def test_rows_of_a_store_whose_note_names_no_position_are_believed_once_it_does(keeper: RowStore) -> None:
    w = World(1, keeper)
    w.index = FrontierIndex(w.store, PUBLIC)
    w.move(200)
    w.commit()
    w.crash()
    w.work()
    w.index.note()
    w.rollback()  # and the first note that would have named it was taken back
    w.keep()
    w.crash()
    assert w.loads == 1
    w.check()
    assert w.index._kept_at is not None


def test_what_a_node_without_a_keeper_moved_is_read_anew(keeper: RowStore) -> None:
    w = kept_world(keeper)
    with_keeper, w.index = w.index, FrontierIndex(w.store, PUBLIC)
    w.move(20)
    w.commit()
    assert with_keeper.ready
    w.crash()
    assert w.loads == 0
    w.check()


def test_a_store_from_a_backup_that_went_another_way_does_not_believe_newer_rows(keeper: RowStore) -> None:
    w = kept_world(keeper)
    backup = w.copy()
    for other in (0, 1, 150):
        w.move(150)
        w.keep()
        w.engine = backup
        w.open()
        w.loads = 0
        w.move(other)
        w.commit()
        backup = w.copy()
        w.crash()
        assert w.loads == 0
        w.check()


def test_an_older_copy_of_the_rows_beside_a_newer_store_is_not_believed(tmp_path: Path) -> None:
    w = kept_world(FileRowStore(tmp_path / "rows"))
    shutil.copy(tmp_path / "rows", tmp_path / "older")
    w.move(150)
    w.keep()
    shutil.copy(tmp_path / "older", tmp_path / "rows")
    w.crash()
    assert w.loads == 0
    w.check()


def test_rows_of_another_store_or_realm_are_not_believed() -> None:
    keeper = MemoryRowStore()
    kept_world(keeper)
    other = World(2, keeper)
    other.move(200)
    other.commit()
    other.crash()
    assert other.loads == 0
    other.check()
    keeping = RowPersistence(keeper, other.store.moves, other.store.store_id)
    assert FrontierIndex(other.store, b"another realm", keeping)._loading is None


def test_a_file_that_is_damaged_is_found_out_and_everything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    w = kept_world(FileRowStore(path))
    raw = path.read_bytes()
    for k in numbers(60):
        if k % 2:
            path.write_bytes(raw[: w.rng.randrange(len(raw))])
        else:
            at = w.rng.randrange(len(raw))
            path.write_bytes(raw[:at] + w.rng.randbytes(8) + raw[at + 8 :])
        w.crash()
        w.check()
    path.write_bytes(raw)
    w.crash()
    w.check()


def test_lists_of_what_moved_are_trimmed_and_end_with_what_was_kept(keeper: RowStore) -> None:
    w = kept_world(keeper)
    assert w.store.moves.kept
    for _ in range(20):
        w.move(20)
        w.keep()
    assert len(list(w.store._write.prefix(META, LIST))) <= 4
    w.index = FrontierIndex(w.store, PUBLIC, RowPersistence(MemoryRowStore(), w.store.moves, w.store.store_id))
    w.move(1)
    w.commit()
    assert not w.store.moves.kept
    assert not list(w.store._write.prefix(META, LIST))


@pytest.mark.parametrize("seed", numbers(8, 2))
def test_after_any_sequence_an_index_equals_a_new_one(seed: int, keeper: RowStore) -> None:
    w = World(seed, keeper)
    backup = w.copy()
    for _ in range(120):
        match w.rng.randrange(16):
            case 0 | 1 | 2:
                w.move(w.rng.choice((1, 5, 40, 130)))
            case 3 | 4:
                w.commit()
            case 5:
                if w.rng.random() < 0.3:
                    w.index.note()
                w.rollback()
            case 6 | 7 | 8:
                w.work(w.rng.choice((1, 3, 20)))
            case 9:
                w.index.tick()
            case 10:
                w.settle()
            case 11:
                w.keep()
            case 12 if w.rng.random() < 0.5:
                w.crash(ends=w.rng.random() < 0.5)
            case 12 if w.rng.random() < 0.3:
                w.close()
            case 13 if w.rng.random() < 0.1:
                w.move(2, told=False)
                w.store.commit()
                w.crash()
            case 14 if w.rng.random() < 0.2:
                backup = w.copy()
            case 14 if w.rng.random() < 0.1:
                w.crash()
                w.engine = backup
                backup = w.copy()
                w.open()
            case 15 if w.rng.random() < 0.2:
                w.check()
    w.check()


def test_walks_load_what_was_kept() -> None:
    """The test above would prove nothing if nothing were loaded."""
    loads = 0
    for seed in numbers(5, 2):
        w = World(seed, LateKeeper())
        for _ in range(10):
            w.move(60)
            w.keep()
            w.move(10)
            w.commit()
            w.crash()
            w.check()
        loads += w.loads
    assert loads == few(5, 2) * 10


def test_memory_keeps_what_it_was_given() -> None:
    assert isinstance(kept_world(MemoryRowStore()).keeper.load(), MemorySavedRows)


def test_kill_9_at_any_moment_leaves_rows_that_are_right_or_ignored(tmp_path: Path) -> None:
    rng, loads = random.Random(9), 0
    kills = 12 if NIGHT else 4
    for seed in range(kills):
        ready = tmp_path / f"ready {seed}"
        victim = started(rows_victim.main, tmp_path, seed, ready)
        while not ready.exists():
            assert victim.is_alive()
            time.sleep(0.01)
        time.sleep(rng.uniform(0.05, 0.6))
        victim.kill()
        victim.join()
        store, index = rows_victim.opened(tmp_path)
        loads += index._loading is not None
        fresh = FrontierIndex(store, PUBLIC)
        for each in (index, fresh):
            while not each.ready:
                each.work()
        mine, theirs = index.table(b""), fresh.table(b"")
        assert mine is not None
        assert theirs is not None
        assert (index.count, index.root) == (fresh.count, fresh.root)
        assert (mine.cells == theirs.cells).all()
        assert not len(theirs.sums) or (mine.sums == theirs.sums).all()
        store.close()
    assert loads > kills // 2
