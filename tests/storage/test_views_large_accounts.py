"""Large accounts are folded again in steps: whatever is written before, meanwhile and after, the views are the fold."""

from __future__ import annotations

import pytest

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.ops import decode_body
from banyan_crdt.realm import TEST
from banyan_replica.intake import counting
from banyan_schema.social import Post, write_post
from banyan_storage.check import verify
from banyan_storage.reader import StoreReader
from banyan_storage.tables import log_name
from banyan_storage.views import large_accounts
from banyan_storage.views.building import begin
from banyan_storage.views.proof import Proof
from banyan_storage.views.registry import AGAIN, NAMES
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


@pytest.mark.parametrize("number", range(60))
def test_views_that_are_folded_again_in_steps_are_the_dumb_fold(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "FOLDED_AT_ONCE", -1)
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


@pytest.mark.parametrize("number", range(10))
def test_content_that_is_wanted_is_the_same(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts again is asked for again, and what counts as nothing is not, also while all views are built."""
    at_once, later = World(f"wanted {number}"), World(f"wanted {number}")
    for _ in range(150):
        at_once.turn()
    monkeypatch.setattr(counting, "FOLDED_AT_ONCE", -1)
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
    begin(world.engine.write(), ["timeline"])
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


def test_meanwhile_the_proof_leaves_the_views_out_and_small_accounts_are_folded_at_once() -> None:
    world = World("meanwhile")
    for _ in range(150):
        world.turn()
    store, account = world.node.store, world.people[0].id
    size = sum(head.length for log, head in store.heads(account).items() if log.log)
    assert not store.rebuild_views_later(account, size)
    assert store.rebuild_views_later(account, size - 1)
    fold(world, 1)
    txn = world.engine.write()
    assert large_accounts.waiting(txn) == [account]
    proof = Proof(StoreReader(txn, TEST))
    assert proof.left_out == NAMES
    assert list(proof.faults()) == []
    assert [p for p in verify(store, lambda account, n: None) if p.where.startswith("views")] == []
    drain(world)
    world.agrees()
