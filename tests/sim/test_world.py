"""Small worlds: every fault and every lie by name, and a seed determines everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from banyan_crdt.ids import LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_schema import social
from banyan_sim.machine import EPOCH, Machine
from banyan_sim.runner import RunResult, agreed, run_world, to_json
from banyan_sim.world import KINDS as FAULTS
from banyan_sim.world import LIARS, Fault, World
from tests.needs import NIGHT

FEW = 10 if NIGHT else 7
"""Machines beside one fault, or one liar."""


def _converged(result: RunResult) -> None:
    assert result.converged, f"seed {result.seed} did not converge: {result.why}"
    assert not result.wronged, f"seed {result.seed}: honest machines paid for lies of others: {result.wronged}"
    assert sum(result.acts.values()) > 10, "hardly anything was written, so that this world proves nothing"


@pytest.mark.parametrize("fault", FAULTS)
def test_replicas_agree_after_a_fault(fault: str) -> None:
    _converged(run_world(FEW, 1, faults=(fault,), liars=()))


@pytest.mark.parametrize("lie", sorted(LIARS))
def test_honest_replicas_agree_beside_a_liar(lie: str) -> None:
    _converged(run_world(FEW, 2, faults=(), liars=(lie,)))


@pytest.mark.parametrize("seed", range(3, 5) if NIGHT else (3,))
def test_honest_replicas_agree_after_everything_at_once(seed: int) -> None:
    _converged(run_world(16, seed, liars=("fork", "withhold", "boast", "garbage"), acts=60))


def test_a_world_agrees_without_the_memo_of_signatures_and_tells_the_same_story() -> None:
    one, two = (run_world(8, 5, liars=("impersonate",), memo=memo) for memo in (True, False))
    assert one == two


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    liars = ("fork", "garbage", "replay")
    here, other = (run_world(12, seed, liars=liars) for seed in (7, 8))
    argv = [sys.executable, "-m", "banyan_sim.runner", "--nodes", "12", "--seed", "7", "--liars", *liars]
    hash_seed = str(1 + int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")))  # another than here
    done = subprocess.run(argv, capture_output=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True)
    assert json.loads(done.stdout) == json.loads(json.dumps(to_json(here)))
    assert other.trace != here.trace
    assert other.digest != here.digest


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_network_parted_for_minutes_becomes_one_again(share: float) -> None:
    size = 16 if NIGHT else 10
    world = World(size, 3, people=6, limits=Limits())
    world.boot(3.0)
    world.publish(4.0, 250.0, 60)
    side = tuple(list(world.nodes)[: round(size * share)])
    world.plan([Fault(8.0, "partition", 250.0, side, 2.0)])
    world.run(257.0)
    assert not agreed(world.honest), "both sides wrote, so they must differ while they are parted"
    world.run(258.0 + 60.0)
    assert agreed(world.honest)


def test_machines_of_chosen_accounts_hold_all_of_these_and_what_names_their_people() -> None:
    world = World(12, 3, people=6, chosen=6, limits=Limits())
    world.boot(3.0)
    world.publish(4.0, 30.0, 80)
    world.run(60.0)
    assert agreed(world.honest)
    few = [n for n in world.honest if n.chosen is not None]
    assert len(few) == 6
    assert world.honest[0] not in few
    assert any(n.replica.sync.notices.room for n in few), "nobody was heard of whom nobody there chose"
    counts = [n.replica.store.counts().accounts for n in few]
    assert min(counts) < 6, "all of them hold everything, so that this world proves nothing"


def test_a_machine_that_does_not_hold_what_it_chose_is_found() -> None:
    world = World(8, 5, people=4, chosen=1, limits=Limits())
    (one,) = (n for n in world.honest if n.chosen is not None)
    assert one.chosen is not None
    world.boot(3.0)
    world.publish(4.0, 30.0, 20)
    world.plan([Fault(8.0, "partition", 30.0, (one.name,), 2.0)])
    world.run(36.0)
    assert not agreed(world.honest)
    assert any("another state" in why for why in one.chosen.wanting(one.replica, world.honest[0].replica))
    world.run(90.0)
    assert agreed(world.honest)
    account = one.chosen.roots()[0]
    one.replica.set_interest(one.chosen.roots()[1:], one.local())
    missing = f"does not hold the account {account.hex()[:8]}"
    assert missing in list(one.chosen.wanting(one.replica, world.honest[0].replica))


class Desk:
    """One account and its device on one machine."""

    def __init__(self, node: Machine) -> None:
        self.node, self.device = node, Signer(TEST, bytes(31) + b"d")
        node.feed(self._open)

    def _open(self, r: Replica, now: float) -> None:
        root, later = Signer(TEST, bytes(31) + b"r"), Signer(TEST, bytes(31) + b"n")
        slots = [(root, key_digest(later.key))]
        self.account, _ = r.author.open_account(slots, b"s" * 16, [grant_to(self.device.key)], int(now * 1000))
        self.log = LogId(self.account, self.device.key, 1)
        r.writes.publish_control(self.account, now)

    def post(self, text: str) -> None:
        key = social.post_key(b"s" * 16, text.encode())
        draft = social.write_post(key, social.Post(text))
        one = EntryDraft((draft.op,), (draft.content,))
        self.node.feed(lambda r, now: _publish(r, self, one, now))


def _publish(r: Replica, desk: Desk, draft: EntryDraft, now: float) -> None:
    r.writes.publish(desk.log, desk.device, [draft], now)


def test_data_lost_in_a_crash_was_never_sent_to_a_peer() -> None:
    world = World(3, 1, limits=Limits())
    world.boot(0.5)
    world.run(5.0)
    n0, n1, n2 = world.nodes.values()
    desk = Desk(n0)
    desk.post("on disk")
    world.run(8.0)
    n0.slow_disk = 100.0
    desk.post("on its way to the disk")
    world.run(world.now + 0.1)
    world.plan([Fault(world.now, "crash", 2.0, ("n0",), 0.0)])
    world.run(world.now + 1.0)
    assert [n.replica.store.head(desk.log).length for n in (n1, n2)] == [1, 1]
    n0.slow_disk = 1.0
    world.run(world.now + 5.0)
    assert n0.replica.store.head(desk.log).length == 1
    desk.post("again")
    world.run(world.now + 10.0)
    assert agreed(world.honest)
    assert n2.replica.store.head(desk.log) == n0.replica.store.head(desk.log)
    assert (n0.replica.store.head(desk.log).length, n0.replica.store.head(desk.log).flag) == (2, 0)


def test_a_clock_set_back_by_an_hour_stops_no_timer() -> None:
    world = World(3, 2, limits=Limits())
    world.boot(0.5)
    world.run(5.0)
    n0 = world.nodes["n0"]
    n0.skew = -3_600.0
    before = n0.replica.get_timer()
    world.run(10.0)
    after = n0.replica.get_timer()
    assert before is not None
    assert after is not None
    assert before < EPOCH + 10.0 <= after
