"""Positions and lists of moved heads: no moved head is missed."""

from __future__ import annotations

import random

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_storage import tables
from banyan_storage.head_moves import POSITION, HeadMoves
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import VIEW_TABLES, SocialViews

ALL = (*tables.STORE_TABLES, *VIEW_TABLES)


def opened(engine: MemoryEngine) -> Store:
    return Store(engine, TEST, new_store_id=bytes(16), views=SocialViews())


def log(n: int) -> LogId:
    return LogId(AccountId(bytes((n,)) * 32), WriterKey(bytes(32)), 1)


def move(store: Store, n: int, length: int = 1) -> Head:
    lid, _ = store._log(log(n))
    head = Head(length, EntryId(length.to_bytes(32, "big")), 0)
    store._set_head(log(n), lid, head)
    return head


def listed(store: Store, position: bytes) -> dict[LogId, Head] | None:
    commits = store.moves.after(position)
    if commits is None:
        return None
    out: dict[LogId, Head] = {}
    for n in commits:
        heads = store.moves.heads(n)
        assert heads is not None
        out |= heads
    return out


def test_what_commits_moved_after_a_position_is_listed_once() -> None:
    store = opened(MemoryEngine(ALL))
    start = store.moves.position
    assert start == bytes(POSITION)
    store.moves.keep()
    move(store, 1)
    store.commit()
    first = store.moves.position
    expected = {log(n): move(store, n, 7) for n in (3, 2)}
    expected[log(4)] = Head(0, None, 0)
    store._log(log(4))
    assert listed(store, first) == {}
    store.commit()
    assert listed(store, first) == expected
    expected[log(2)] = move(store, 2, 9)
    expected[log(1)] = Head(1, EntryId((1).to_bytes(32, "big")), 0)
    store.commit()
    assert listed(store, start) == expected
    assert listed(store, store.moves.position) == {}


def test_the_position_is_told_before_the_commit_and_taken_back_with_it() -> None:
    store = opened(MemoryEngine(ALL))
    move(store, 1)
    told = store.moves.position
    store.commit()
    assert store.moves.position == told
    move(store, 1, 2)
    assert store.moves.position != told
    store.rollback()
    assert store.moves.position == told
    store.put_note(b"a note", b"moves no head")
    store.commit()
    assert store.moves.position == told


def test_equal_positions_mean_equal_heads() -> None:
    seen: dict[bytes, dict[LogId, Head]] = {}
    for seed in range(40):
        store, rng = opened(MemoryEngine(ALL)), random.Random(seed)
        for _ in range(4):
            for _ in range(rng.randrange(3)):
                move(store, rng.randrange(2), rng.randrange(1, 3))
            store.commit()
            assert seen.setdefault(store.moves.position, dict(store.all_heads())) == dict(store.all_heads())
    assert len(seen) > 20


def test_without_a_whole_list_nothing_is_known() -> None:
    store = opened(MemoryEngine(ALL))
    start = store.moves.position
    move(store, 1)
    store.commit()
    assert listed(store, start) is None
    store.moves.keep()
    move(store, 2)
    store.commit()
    second = store.moves.position
    move(store, 3)
    store.commit()
    assert listed(store, start) is None
    assert listed(store, second) is not None
    forged = second[:8] + bytes(16)
    assert listed(store, forged) is None
    assert listed(store, (9).to_bytes(8, "big") + bytes(16)) is None
    store.moves.trim(second)
    store.commit()
    assert listed(store, second) is not None
    store.moves.stop()
    store.commit()
    assert listed(store, second) is None
    assert listed(store, store.moves.position) == {}


def test_lists_and_position_outlive_a_restart_and_a_rollback_takes_back_their_keeping() -> None:
    engine = MemoryEngine(ALL)
    store = opened(engine)
    store.moves.keep()
    store.rollback()
    assert not store.moves.kept
    store.moves.keep()
    start = store.moves.position
    head = move(store, 1)
    store.commit()
    move(store, 2)
    again = opened(engine.crash())
    assert again.moves.kept
    assert listed(again, start) == {log(1): head}
    assert isinstance(again.moves, HeadMoves)
