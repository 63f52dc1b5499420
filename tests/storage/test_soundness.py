"""The sound entries of a log: all that came as runs, and none that no run can carry."""

from __future__ import annotations

import pytest

from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry
from banyan_crdt.ids import Head, LogId
from banyan_crdt.realm import TEST
from banyan_crdt.run import MAX_RUN_BYTES, decode_run
from banyan_replica.intake.ingest import Ingest
from banyan_storage.check import verify
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.soundness import JudgedLog, judge
from banyan_storage.store import Append, Store
from banyan_storage.tables import BRANCH, STORE_TABLES
from banyan_storage.viewhook import NoViews
from tests.crdt.make import Person, bodies, follow, run_bytes, unsigned
from tests.replica.helpers import NOW_MS


def opened(person: Person) -> tuple[Store, Ingest]:
    store = Store(MemoryEngine(STORE_TABLES), TEST, new_store_id=bytes(16), views=NoViews())
    ingest = Ingest(store, TEST)
    ingest.control(person.id, person.control, NOW_MS)
    return store, ingest


def ops(size: int) -> bytes:
    """Unknown operations of about so many bytes."""
    return encode([[], [[99, b"x" * size]]])


def log_of(person: Person, sizes: list[int], signed: set[int]) -> list[Entry]:
    """Entries of so many bytes of ops, of which those at the places `signed` have a signature."""
    log: list[Entry] = []
    for k, size in enumerate(sizes):
        log.append(follow(person.full("phone"), person.log(), log, raw=ops(size), signed=k in signed))
    return log


def put(store: Store, log: LogId, entries: list[Entry]) -> JudgedLog:
    head = Head(len(entries), entries[-1].id, 0)
    store.append([Append(log, entries, [body for _, body in bodies(entries)], (), head)])
    store.commit()
    return judge(store, log)


def agrees(store: Store, judged: JudgedLog) -> None:
    """Checks that `store verify` agrees on whether the store is sound."""
    unproved = [p for p in verify(store, lambda account, n: None) if "no signature" in p.sentence]
    assert bool(unproved) == bool(judged.gone)


@pytest.mark.parametrize("count", [1_024, 70])
def test_the_largest_run_is_sound(count: int) -> None:
    person = Person()
    store, ingest = opened(person)
    sizes = [(MAX_RUN_BYTES - 2_000) // count - 24] * count
    size = len(run_bytes(log_of(person, sizes, {count - 1}), 0, count))
    sizes[1] += min(MAX_RUN_BYTES - size, 16_300 - sizes[1])
    log = log_of(person, sizes, {count - 1})
    raw = run_bytes(log, 0, count)
    assert MAX_RUN_BYTES - 3_000 < len(raw) <= MAX_RUN_BYTES
    ingest.run(decode_run(TEST, raw), NOW_MS)
    judged = judge(store, person.log())
    assert judged.sound
    assert judged.length == count
    agrees(store, judged)


@pytest.mark.parametrize(("sizes", "sound"), [([9] * 1_024, True), ([9] * 1_025, False), ([16_000] * 66, False)])
def test_an_entry_that_is_further_from_a_signature_than_a_run_reaches_goes_with_all_above(
    sizes: list[int], sound: bool
) -> None:
    person = Person()
    store, _ = opened(person)
    log = log_of(person, [9, 9, *sizes], {1, len(sizes) + 1})
    judged = put(store, person.log(), log)
    assert judged.sound == sound
    assert judged.length == (len(log) if sound else 2)
    assert judged.gone == (0 if sound else len(sizes))
    agrees(store, judged)


def test_a_signature_on_a_branch_vouches_for_the_trunk() -> None:
    person = Person()
    store, _ = opened(person)
    trunk = log_of(person, [9] * 4, set())
    branch = person.write(2, below=trunk, signed=False)
    branch[-1] = follow(person.full("phone"), person.log(), branch[:-1], raw=ops(3))
    assert put(store, person.log(), trunk).length == 0
    store.add_loose(person.log(), branch[4:], BRANCH, 0)
    judged = judge(store, person.log())
    assert judged.sound
    assert judged.loose == branch[4:]
    agrees(store, judged)


def test_on_a_branch_entries_above_a_false_link_are_dropped_and_signed_ones_below_stay() -> None:
    person = Person()
    store, _ = opened(person)
    trunk = person.write(4)
    put(store, person.log(), trunk)
    twig = person.write(2, below=trunk[:2], tag="twig")
    false = [*twig, follow(person.full("phone"), person.log(), twig, raw=ops(5), total=1)]
    above = person.write(1, below=false)
    unproved = unsigned(person.write(1, below=trunk[:1], tag="bare")[-1])
    store.add_loose(person.log(), [*above[2:], unproved], BRANCH, 0)
    judged = judge(store, person.log())
    assert judged.length == 4
    assert judged.loose == twig[2:]
    assert judged.gone == 3
    assert [(w.seq, w.entry) for w in judged.wrong] == [(1, unproved.id), (4, false[4].id)]
