"""The index of ids against a dictionary: after additions, drops, moves and rollbacks every held id is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from banyan_crdt.ids import EntryId
from banyan_storage import id_index
from banyan_storage import tables as t
from banyan_storage.engine import Engine, ReadTxn
from banyan_storage.id_index import IdIndex, Late, LateIds, Offer, nothing
from tests.needs import numbers
from tests.storage.accounts import open_engine

YOUNG = 100


@pytest.fixture(params=["lmdb", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(id_index, "YOUNG_IDS", YOUNG)
    monkeypatch.setattr(id_index, "LEAST", 10)
    opened = open_engine(request.param, tmp_path / "store")
    yield opened
    opened.close()


def some(held: dict[EntryId, int]) -> list[tuple[EntryId, int]]:
    """The latest, and one in ten of the others."""
    rows = list(held.items())
    return rows[:-200:10] + rows[-200:]


class Held:
    """An index, its entries, and the expected answers."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine, self.rng = engine, random.Random(seed)
        self.index = IdIndex(engine.write())
        self.ns: dict[EntryId, int] = {}
        self.durable: dict[EntryId, int] = {}
        self.last = self.durable_last = 0

    def add(self, count: int) -> None:
        names = [(self.rng.choice((b"", bytes(9))) + self.rng.randbytes(32))[:32] for _ in range(count)]
        fresh = {EntryId(name): n for n, name in enumerate(names, self.last + 1)}
        self.last += count
        self.ns.update(fresh)
        self.index.add({e[:16]: t.u48(n) for e, n in fresh.items()})
        self.engine.write().put_many(t.ENTRIES, [(t.u48(n), bytes(27) + e) for e, n in fresh.items()])

    def put(self, entry: EntryId) -> None:
        self.last += 1
        self.ns[entry] = self.last
        self.index.add({entry[:16]: t.u48(self.last)})
        self.engine.write().put(t.ENTRIES, t.u48(self.last), bytes(27) + entry)

    def remove(self, entry: EntryId) -> None:
        n = self.ns.pop(entry)
        self.index.remove(entry, n)
        self.engine.write().delete(t.ENTRIES, t.u48(n))

    def commit(self) -> None:
        self.index.flush()
        self.engine.commit()
        self.index.committed()
        self.durable, self.durable_last = dict(self.ns), self.last

    def roll_back(self) -> None:
        if self.rng.random() < 0.5:
            self.index.flush()  # it may have been the commit that failed
        self.engine.rollback()
        self.index.rolled_back()
        self.ns, self.last = dict(self.durable), self.durable_last

    def act(self, again: bool = True) -> None:
        """again: some dropped entries come back at once."""
        self.add(self.rng.choice((1, 3, 40, 150)))
        going = self.rng.sample(sorted(self.ns), len(self.ns) // 20)
        for entry in going:
            self.remove(entry)
        for entry in going[: 2 * again]:
            self.put(entry)

    def check(self) -> None:
        for entry, n in some(self.ns):
            assert n in self.index.find(entry)
        assert list(self.index.find(self.rng.randbytes(32))) == []


def check_snapshot(txn: ReadTxn, held: dict[EntryId, int], offer: Offer) -> None:
    late = id_index.late(txn, offer)
    for entry, n in some(held):
        assert n in id_index.candidates(txn, late, entry)
    after = id_index.indexed(txn)
    early = sorted(n for key, _ in txn.scan(t.IDS) if (n := t.n_of_id_key(key)) <= after)
    assert early == sorted(n for n in held.values() if n <= after)


@pytest.mark.parametrize("seed", numbers(2, 2))
def test_every_id_that_is_held_is_found_whatever_happens(engine: Engine, seed: int) -> None:
    held, beside = Held(engine, seed), LateIds()
    reached = set[int]()
    for n in numbers(60, 2):
        held.act()
        held.check()
        if held.rng.random() < 0.3:
            held.roll_back()
        else:
            held.commit()
        held.check()
        with engine.read() as txn:
            check_snapshot(txn, held.durable, held.index.offer)
            check_snapshot(txn, held.durable, nothing)
            if n % 3:  # a reader in another process looks now and then
                late = beside.of(txn)
                check_snapshot(txn, held.durable, partial(tuple[Late, ...], (late,)))
            assert len(held.durable) - txn.count(t.IDS) <= 3 * YOUNG + 2 * 150
            reached.add(id_index.indexed(txn))
        if held.rng.random() < 0.1:
            held.index = IdIndex(engine.write())
    assert len(reached) > 5


@pytest.mark.parametrize("seed", numbers(2, 2))
def test_a_snapshot_finds_what_it_holds_however_far_the_writer_has_gone(engine: Engine, seed: int) -> None:
    held = Held(engine, seed)
    for _ in range(12):
        with ExitStack() as stack:
            for _ in range(held.rng.randrange(1, 5)):
                held.act(again=False)
                held.commit()
                txn, then, offer = stack.enter_context(engine.read()), held.durable, held.index.offer
                stack.callback(check_snapshot, txn, then, offer)
                if held.rng.random() < 0.5:  # it asks at once, and again at the end
                    check_snapshot(txn, then, offer)
            held.act(again=False)  # not committed


def test_no_commit_moves_much_more_than_came(engine: Engine) -> None:
    held = Held(engine, 5)
    rows = 0
    for _ in range(300):
        held.add(7)
        held.commit()
        now = engine.write().count(t.IDS)
        assert now - rows <= 14
        rows = now
    assert rows > 10 * YOUNG
