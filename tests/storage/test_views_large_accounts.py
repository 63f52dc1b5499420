"""Large accounts are folded again in steps: whatever is written before, meanwhile and after, the views are the fold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from banyan_crdt import state
from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import Body, decode_body
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_replica.intake import ingest, log_recount
from banyan_schema.social import Post, delete_post, relate, write_post
from banyan_storage.check import verify
from banyan_storage.reader import StoreReader
from banyan_storage.slots import NUMBERED, NUMBERS
from banyan_storage.tables import log_name
from banyan_storage.views import large_accounts
from banyan_storage.views.builder import begin
from banyan_storage.views.fold import Fold, Said
from banyan_storage.views.registry import AGAIN, NAMES
from banyan_storage.views.row_check import RowCheck
from banyan_storage.views.social.relations import FOLLOWS
from tests.crdt.make import Person, run_bytes
from tests.needs import numbers
from tests.replica.helpers import NOW_MS, give
from tests.storage.views_world import World


def fold(world: World, size: int) -> bool:
    return world.node.store.fold_again(size)


def until_one_shows(world: World, account: AccountId) -> None:
    """Clears the account, and folds its first post: the log of that is done then, and the next is not."""
    while world.ask.post_count(account):
        assert fold(world, 1)
    while not world.ask.post_count(account):
        assert fold(world, 1)


def drain(world: World) -> None:
    while fold(world, world.rng.choice((1, 3, 10))) or world.build(world.rng.choice((1, 3, 10))):
        pass


@pytest.mark.parametrize("number", numbers(60, 10))
def test_views_that_are_folded_again_in_steps_are_the_dumb_fold(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_recount, "FOLDED_AT_ONCE", -1)
    monkeypatch.setattr("banyan_storage.views.builder.LARGE", number % 12)
    world, waited = World(f"again {number}"), 0
    for _ in range(3):
        assert world.node.store.rebuild_views_later(world.people[0].id, -1)
        for _ in range(world.rng.randint(20, 120)):
            world.turn()
            txn, what = world.engine.write(), world.rng.random()
            waited += len(large_accounts.waiting(txn))
            if what < 0.05:
                world.node.store.rebuild_views_later(world.rng.choice(world.people).id, -1)
            elif what < 0.15:
                fold(world, world.rng.choice((1, 2, 5, 30)))
            elif what < 0.18:
                begin(txn, world.rng.sample(NAMES, world.rng.choice((1, 1, 2))))
            elif what < 0.25:
                world.build(world.rng.choice((1, 2, 5, 30)))
        drain(world)
        world.agrees()
        world.proved()
        assert not world.engine.write().count(AGAIN)
    assert waited


@pytest.mark.parametrize("number", numbers(10))
def test_content_that_is_wanted_is_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts again is asked for again, and what counts as nothing is not, also while all views are built."""
    at_once, later = World(f"wanted {number}"), World(f"wanted {number}")
    for _ in range(150):
        at_once.turn()
    monkeypatch.setattr(log_recount, "FOLDED_AT_ONCE", -1)
    monkeypatch.setattr("banyan_storage.views.builder.LARGE", number)
    for turn in range(150):
        later.turn()
        if turn % 40 == 20:
            begin(later.engine.write(), ["shown"])
    drain(later)
    assert later.node.store.lacking(b"", 10_000) == at_once.node.store.lacking(b"", 10_000)
    assert later.ask.views_digest() == at_once.ask.views_digest()


def test_what_is_folded_at_once_while_views_are_built_is_not_folded_by_a_later_step_too() -> None:
    """A post that is covered would show again if it were folded once more, and its cover were not."""
    world = World("once more")
    person = world.people[0]
    first, second = sorted(("phone", "tablet"), key=lambda device: log_name(person.log(device)))
    world.write(person, second, [write_post(CellKey(bytes(16)), Post("covered", created_ms=5))])
    (_, ref, _) = world.live[0]
    world.write(person, first, [write_post(CellKey(bytes(16)), Post("edit", created_ms=5), [ref])])
    world.node.parts(world.waiting)
    digest, store = world.ask.views_digest(), world.node.store
    store.rebuild_views_later(person.id, -1)
    until_one_shows(world, person.id)
    begin(world.engine.write(), ["recent"])
    assert not store.rebuild_views_later(person.id, -1)
    store.rebuild_views(person.id, [(e, decode_body(e.ops)) for chain in world.chains.values() for e in chain])
    drain(world)
    world.agrees()
    assert world.ask.views_digest() == digest


def test_what_comes_meanwhile_is_folded_once() -> None:
    """A post that a step folds again shows again, if it was covered by an entry of a log that the steps have passed."""
    world = World("meanwhile once")
    person, store = world.people[0], world.node.store
    first, second = sorted(("phone", "tablet"), key=lambda device: log_name(person.log(device)))
    for device in (first, second):
        world.write(person, device, [write_post(CellKey(device.ljust(16).encode()), Post(device, created_ms=5))])
    world.node.parts(world.waiting)
    store.rebuild_views_later(person.id, -1)
    until_one_shows(world, person.id)
    key = CellKey(bytes(16))
    world.write(person, second, [write_post(key, Post("covered", created_ms=5))])
    (_, ref, _) = world.live[-1]
    world.write(person, first, [write_post(key, Post("edit", created_ms=5), [ref])])
    world.node.parts(world.waiting)
    drain(world)
    world.agrees()
    world.proved()


def test_one_step_folds_many_short_logs() -> None:
    """Logs are free: an account of 65,000 must not take as many steps, each of which reads all heads."""
    world = World("short")
    for _ in range(150):
        world.turn()
    assert world.node.store.rebuild_views_later(world.people[0].id, -1)
    assert [fold(world, 1_000) for _ in range(2)] == [True, False], "one clears, one folds"
    world.agrees()


def test_a_step_reads_few_entries_of_a_long_log() -> None:
    """A step that read a thousand entries ahead took five times as long."""
    world = World("long")
    person, store = world.people[0], world.node.store
    for k in range(100):
        world.write(person, "phone", [write_post(CellKey(k.to_bytes(16)), Post("a post", created_ms=5))])
    assert store.rebuild_views_later(person.id, -1)
    assert fold(world, 1_000)
    for _ in range(20):
        before = store.decoded
        assert fold(world, 2)
        assert store.decoded - before < 20


def test_power_that_goes_between_two_steps_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("power")
    for _ in range(150):
        world.turn()
    digest = world.ask.views_digest()
    for person in world.people:
        assert world.node.store.rebuild_views_later(person.id, 0)
    steps = 0
    while world.engine.write().count(AGAIN):
        world.node.store.commit()
        fold(world, 4)
        world.node.store.rollback()
        fold(world, 4)
        steps += 1
    assert steps > 5 * len(world.people)
    assert world.ask.views_digest() == digest


def test_meanwhile_the_proof_leaves_out_that_account_only_and_small_accounts_are_folded_at_once() -> None:
    world = World("meanwhile")
    for _ in range(150):
        world.turn()
    store, account = world.node.store, world.people[0].id
    entries = [e for log in store.heads(account) if log.log for e in store.chain(log)]
    size = sum(len(decode_body(e.ops).ops) for e in entries)
    assert size > len(entries)
    assert not store.rebuild_views_later(account, size)
    assert store.rebuild_views_later(account, size - 1)
    fold(world, 30)
    fold(world, 30)
    txn = world.engine.write()
    assert large_accounts.waiting(txn) == [account]

    def faults() -> list[tuple[bytes | None, str]]:
        found = list(RowCheck(StoreReader(txn, TEST)).faults())
        assert len([p for p in verify(store, lambda account, n: None) if p.where.startswith("views")]) == len(found)
        return [(fault.account, fault.view) for fault in found]

    assert faults() == []
    mine = txn.get(NUMBERS, account)
    row, value = next((key, value) for key, value in txn.scan(FOLLOWS) if key[:4] != mine)
    other = txn.get(NUMBERED, row[:4])
    txn.delete(FOLLOWS, row)
    assert (other, "relations") in faults()
    txn.put(FOLLOWS, row, value)
    txn.put(FOLLOWS, row[:4] + bytes(len(row) - 4), value)
    assert (other, "relations") in faults()
    txn.delete(FOLLOWS, row[:4] + bytes(len(row) - 4))
    assert faults() == []
    drain(world)
    world.agrees()
    world.proved()


def write_run(world: World, person: Person, device: str) -> None:
    """Several entries under one signature, some of them with their content."""
    log = person.log(device)
    if log in world.broken:
        return
    chain, first = world.chains[log], len(world.chains[log])
    for _ in range(world.rng.randint(1, 6)):
        drafts = [world.draft(person) for _ in range(world.rng.choice((1, 2, 5)))]
        chain.append(world.entry(person, device, chain, drafts, 1 << 16))
    give(world.node, chain, first)
    ids = {entry.id for entry in chain[first:] if world.rng.random() < 0.6}
    world.node.parts([item for item in world.waiting if item.entry in ids])


@pytest.mark.parametrize("number", numbers(40, 8))
def test_long_runs_that_are_folded_in_steps_are_the_dumb_fold(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written, deleted, covered, forked and cut between the steps of a run, also of the same account."""
    monkeypatch.setattr(ingest, "LONG_RUN", -1)
    world, ran = World(f"runs {number}"), 0
    world.around.long_runs = []
    for _ in range(2):
        for _ in range(world.rng.randint(20, 80)):
            person, what = world.rng.choice(world.people), world.rng.random()
            if what < 0.3:
                write_run(world, person, world.rng.choice(("phone", "tablet", "radio")))
            else:
                world.turn()
            ran += len(large_accounts.waiting(world.engine.write()))
            if what > 0.97:
                world.node.store.rebuild_views_later(person.id, -1)
            elif what > 0.8:
                world.node.store.fold_again(world.rng.choice((1, 2, 5, 30)), world.rng.choice((None, person.id)))
            elif what > 0.77:
                begin(world.engine.write(), world.rng.sample(NAMES, world.rng.choice((1, 1, 2))))
            elif what > 0.74:
                world.build(world.rng.choice((1, 30)))
        drain(world)
        world.agrees()
        world.proved()
        assert not world.engine.write().count(AGAIN)
    assert ran
    assert world.around.long_runs


def test_a_long_run_of_a_peer_is_folded_some_operations_at_a_time_and_what_it_deletes_is_gone_at_once() -> None:
    world = World("a long run")
    person, store = world.people[0], world.node.store
    world.around.long_runs = []
    world.write(person, "phone", [write_post(CellKey(bytes(16)), Post("gone soon", created_ms=5))])
    world.node.parts(world.waiting)
    assert world.ask.post_count(person.id) == 1
    log, chain = person.log("tablet"), world.chains[person.log("tablet")]
    follows = [relate(world.draw(), "follow", AccountId(world.draw() * 2)) for _ in range(ingest.LONG_RUN)]
    for drafts in (*zip(*[iter(follows)] * 128, strict=True), (delete_post(CellKey(bytes(16))),)):
        chain.append(world.entry(person, "tablet", chain, list(drafts), 1 << 16))
    run = decode_run(TEST, run_bytes(chain, 0, len(chain)))
    contents = [[(i.op, i.raw) for i in world.waiting if i.entry == e.id] for e in chain]
    world.node.run(run, NOW_MS, contents=contents)
    assert world.node.head(log).length == len(chain)
    assert world.around.long_runs == [person.id]
    assert world.ask.post_count(person.id) == 0
    known, steps = 0, 0
    while store.fold_again(256, person.id):
        now = len(world.ask.follows(person.id, None, 10_000))
        assert known < now <= known + 256
        known, steps = now, steps + 1
    assert len(world.ask.follows(person.id, None, 10_000)) == ingest.LONG_RUN
    assert steps == ingest.LONG_RUN // 256
    world.agrees()
    world.proved()


def test_a_step_decodes_the_operations_that_it_folds_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry before a step and the one after it may have 512 operations each."""
    world = World("decoded once")
    person, store, decoded = world.people[0], world.node.store, list[int]()
    for _ in range(12):
        follows = [relate(world.draw(), "follow", AccountId(world.draw() * 2)) for _ in range(30)]
        world.write(person, "phone", follows)
    assert not store.rebuild_views_later(person.id, 12 * 30)
    assert store.rebuild_views_later(person.id, 12 * 30 - 1)
    assert fold(world, 1_000)

    def counting(raw: bytes) -> Body:
        decoded.append(len(decode_body(raw).ops))
        return decode_body(raw)

    monkeypatch.setattr(state, "decode_body", counting)
    while fold(world, 64):
        assert sum(decoded) <= 64
        decoded.clear()
    world.agrees()


def test_all_views_are_built_from_so_many_operations_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of entries of 512 operations, 4,096 are two million."""
    monkeypatch.setattr("banyan_storage.views.builder.STEP", 64)
    monkeypatch.setattr("banyan_storage.views.builder.LARGE", 180)
    world, settled, settle = World("by operations"), list[int](), Fold.settle
    for _ in range(12):
        follows = [relate(world.draw(), "follow", AccountId(world.draw() * 2)) for _ in range(30)]
        world.write(world.people[0], "phone", follows)
    begin(world.engine.write(), NAMES)
    taken = list[int]()

    def counting(fold: Fold, number: bytes, said: list[Said], parts: Iterator[bytes | None]) -> None:
        taken.append(sum(len(body.ops) for _, _, _, body in said))
        take(fold, number, said, parts)

    def settling(fold: Fold) -> None:
        settled.append(sum(taken))
        taken.clear()
        settle(fold)

    take = Fold.take
    monkeypatch.setattr(Fold, "take", counting)
    monkeypatch.setattr(Fold, "settle", settling)
    assert world.build(1_000)
    assert 180 <= sum(settled) <= 180 + 2 * 30
    assert large_accounts.waiting(world.engine.write()) == [world.people[0].id]
    drain(world)
    world.agrees()
    world.proved()
    assert sum(settled) == 12 * 30
    assert max(settled) <= 64 + 2 * 30


def test_content_still_to_be_asked_for_is_kept_while_all_views_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("banyan_storage.views.builder.LARGE", 0)
    world = World("asked for")
    person = world.people[0]
    for k in range(5):
        world.write(person, "phone", [write_post(CellKey(k.to_bytes(16)), Post("a post", created_ms=5))])
    assert world.node.store.rebuild_views_later(person.id, -1)
    begin(world.engine.write(), NAMES)
    assert not world.build(1_000)
    assert (world.engine.write().get(AGAIN, person.id) or b"")[:1] == large_accounts.WANTED
    drain(world)
    world.agrees()
