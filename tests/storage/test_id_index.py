"""The index of ids against a dictionary: whatever comes, goes and moves on, every id that is held is found, once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from banyan_crdt.ids import EntryId
from banyan_storage import id_index
from banyan_storage import tables as t
from banyan_storage.engine import Engine, ReadTxn
from tests.storage.accounts import open_engine

YOUNG, BLOCK = 200, 32


@pytest.fixture(params=["lmdb", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(id_index, "YOUNG_IDS", YOUNG)
    monkeypatch.setattr(t, "BLOCK", BLOCK)
    opened = open_engine(request.param, tmp_path / "store")
    yield opened
    opened.close()


class Held:
    """An index and what must be found in it."""

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self.engine, self.rng = engine, rng
        self.ns: dict[EntryId, int] = {}
        self.last = 0

    def add(self, entries: list[bytes]) -> None:
        ids = {}
        for entry in entries:
            self.last += 1
            self.ns[EntryId(entry)] = self.last
            ids[entry[:16]] = t.u48(self.last)
        id_index.add(self.engine.write(), ids)

    def remove(self, entry: EntryId) -> None:
        id_index.remove(self.engine.write(), entry, self.ns.pop(entry))

    def check(self, txn: ReadTxn) -> None:
        among = id_index.blocks(txn)
        for entry, n in self.ns.items():
            assert list(id_index.candidates(txn, among, entry)).count(n) == 1
        assert list(id_index.candidates(txn, among, self.rng.randbytes(32))) == []
        assert txn.count(t.YOUNG) + txn.count(t.IDS) == len(self.ns)
        assert txn.count(t.YOUNG) <= YOUNG


def test_ids_that_come_and_go_are_found_while_they_are_held(engine: Engine) -> None:
    held = Held(engine, random.Random(1))
    for _ in range(60):
        held.add([held.rng.randbytes(32) for _ in range(held.rng.choice((1, 3, 40, 300)))])
        for entry in held.rng.sample(sorted(held.ns), len(held.ns) // 10):
            held.remove(entry)
        held.check(engine.write())
    assert engine.write().count(t.IDS) > 2 * YOUNG
    engine.commit()
    with engine.read() as snapshot:
        held.check(snapshot)


def test_of_ids_that_begin_alike_each_is_among_the_candidates(engine: Engine) -> None:
    held = Held(engine, random.Random(2))
    twins = [bytes(8) + held.rng.randbytes(24) for _ in range(3)]
    held.add(twins[:2])
    held.add([held.rng.randbytes(32) for _ in range(4 * YOUNG)])
    held.add(twins[2:])
    held.check(engine.write())
    assert engine.write().count(t.IDS)


def _ahead(at: int) -> int:
    return at


def _behind(at: int) -> int:
    return at - 1


@pytest.mark.parametrize("where", [_ahead, _behind])
def test_ids_that_were_ground_to_stand_in_one_place_neither_stay_nor_are_lost(
    engine: Engine, where: Callable[[int], int]
) -> None:
    held = Held(engine, random.Random(3))
    txn = engine.write()
    for _ in range(3 * id_index.ARCS):
        at = where(t.number(txn.get(t.META, t.ARC_KEY) or b"")) % id_index.ARCS
        held.add([bytes((at,)) + held.rng.randbytes(31) for _ in range(5)])
        assert len(id_index.blocks(txn)) <= 5 * id_index.ARCS // BLOCK + 2
    held.check(txn)


def test_a_move_that_was_not_committed_never_was(engine: Engine) -> None:
    held = Held(engine, random.Random(4))
    held.add([held.rng.randbytes(32) for _ in range(YOUNG)])
    engine.commit()
    before = dict(held.ns)
    held.add([held.rng.randbytes(32) for _ in range(YOUNG)])
    assert engine.write().count(t.IDS)
    engine.rollback()
    held.ns = before
    held.check(engine.write())
    assert not engine.write().count(t.IDS)
