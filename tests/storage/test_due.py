"""Due work: ordered by time, one time per key, and separate for each kind."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.realm import TEST
from banyan_storage import tables as t
from banyan_storage.check import verify
from banyan_storage.due import MAX_KEY, Due, Work
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.viewhook import NoViews


def store_on(engine: MemoryEngine) -> Store:
    return Store(engine, TEST, new_store_id=bytes(16), views=NoViews())


def test_due_work_agrees_with_a_dictionary_whatever_is_set_dropped_and_rolled_back() -> None:
    rng = random.Random(3)
    store = store_on(MemoryEngine(t.STORE_TABLES))
    durable = dict[tuple[Work, bytes], int]()
    model = dict(durable)
    for _ in range(3_000):
        work, key = rng.choice(list(Work)), rng.randbytes(rng.randrange(2))
        match rng.randrange(12):
            case 0:
                store.commit()
                durable = dict(model)
            case 1:
                store.rollback()
                model = dict(durable)
            case 2 | 3 | 4:
                store.drop_due(work, key)
                model.pop((work, key), None)
            case _:
                at = rng.randrange(1 << 60) >> rng.randrange(60)
                store.set_due(work, key, at)
                model[work, key] = at
        assert store.due_at(work, key) == model.get((work, key))
        now = rng.randrange(1 << 60) >> rng.randrange(60)
        expected = sorted(Due(at, k) for (w, k), at in model.items() if w == work and at <= now)
        assert store.due(work, now, 7) == expected[:7]
    assert verify(store, lambda account, n: None) == []


def test_what_is_postponed_is_due_no_sooner_and_nothing_else_moves() -> None:
    store = store_on(MemoryEngine(t.STORE_TABLES))
    for key, at in ((b"a1", 5), (b"a2", 20), (b"b1", 5)):
        store.set_due(Work.ERASE, key, at)
    store.set_due(Work.FORGET, b"a1", 5)
    store.postpone(Work.ERASE, b"a", 10)
    assert store.due(Work.ERASE, 30, 9) == [Due(5, b"b1"), Due(10, b"a1"), Due(20, b"a2")]
    assert store.due_at(Work.FORGET, b"a1") == 5
    assert verify(store, lambda account, n: None) == []


def test_a_key_that_is_too_long_for_an_index_is_refused() -> None:
    store = store_on(MemoryEngine(t.STORE_TABLES))
    store.set_due(Work.CHECKPOINT, bytes(MAX_KEY), 1)
    with pytest.raises(ValueError, match="a key of 401 bytes"):
        store.set_due(Work.CHECKPOINT, bytes(MAX_KEY + 1), 1)


def test_verify_names_a_key_that_is_due_at_two_times() -> None:
    engine = MemoryEngine(t.STORE_TABLES)
    store = store_on(engine)
    store.set_due(Work.CHECKPOINT, b"k", 1)
    engine.write().put(t.DUE, bytes((Work.CHECKPOINT, 1)) + b"k", t.u64(2))
    assert [p.where for p in verify(store, lambda account, n: None)] == ["due", "due"]
