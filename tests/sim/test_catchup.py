"""A new machine reads the network while some of its servers fail, lie, or lose power."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest

from banyan_crdt.ids import LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.run import decode_run
from banyan_crdt.signing import Signer
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.wire.message_table import decode_message
from banyan_replica.wire.messages import ControlItem, DataItems, RunItem, Scan
from banyan_schema import social
from banyan_sim.byzantine import Liar
from banyan_sim.machine import Machine
from banyan_sim.runner import agreed, remembered_signatures
from banyan_sim.world import LIARS, World
from tests.needs import NIGHT

SLOW = Limits(outbox=6 << 10, credit=1, piece=3 << 10, stall_s=4.0)
FAR = 8.0
"""A few kB a round trip, and long trips, so that a few hundred accounts take a while."""
ACCOUNTS = 400 if NIGHT else 160


class Ears(Liar):
    """An honest machine that counts received bulk by sender."""

    def __init__(self, node: Machine) -> None:
        super().__init__(node, random.Random(0))
        self.entries: Counter[str] = Counter()
        self.scans: list[tuple[str, Scan]] = []

    def heard(self, peer: str, data: bytes) -> bool:
        message = decode_message(data)
        if isinstance(message, DataItems):
            for i in message.items:
                if isinstance(i, RunItem):
                    self.entries[peer] += len(decode_run(TEST, i.run).entries)
                elif isinstance(i, ControlItem):
                    self.entries[peer] += len(i.entries)
        return True

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]:
        message = decode_message(data)
        if isinstance(message, Scan):
            self.scans.append((peer, message))
        return (data,)


def fill(r: Replica, now: float) -> None:
    """Accounts of two posts each."""
    for k in range(ACCOUNTS):
        rng = random.Random(k)
        root, later, device = (Signer(TEST, rng.randbytes(32)) for _ in range(3))
        salt = rng.randbytes(16)
        slots = [(root, key_digest(later.key))]
        account, _ = r.author.open_account(slots, salt, [grant_to(device.key)], int(now * 1000))
        written = [social.write_post(social.post_key(salt, bytes((n,))), social.Post("xin chào " * 9)) for n in (1, 2)]
        drafts = [EntryDraft((d.op,), (d.content,)) for d in written]
        r.writes.publish(LogId(account, device.key, 1), device, drafts, now, push=False)


def network(servers: int, seed: int) -> World:
    """Machines that all hold the same, and a new one that is not started and knows them all."""
    world = World(servers + 1, seed, limits=Limits())
    nodes = list(world.nodes.values())
    for node in nodes:
        node.contacts = [(n.name, n.addr) for n in nodes[:servers] if n is not node]
    for node in nodes[:servers]:
        node.boot()
    world.run(2.0)
    nodes[0].feed(fill)
    while not agreed(nodes[:servers]):
        world.run(world.now + 1.0)
        assert world.now < 120.0
    for node in nodes:
        node.limits = SLOW
    for node in nodes[:servers]:  # again, on slow lines
        node.crash()
        world.network.machine_died(node.name)
        node.boot()
    world.run(world.now + 10.0)
    world.network.slow = {node.name: FAR for node in nodes}
    return world


def until_agreed(world: World, honest: list[Machine], within: float) -> None:
    end = world.now + within
    while not agreed(honest):
        assert world.now < end, f"not within {within} virtual seconds"
        world.run(world.now + 0.5)


def test_three_share_a_catch_up_though_one_stalls_one_lies_and_the_reader_loses_power() -> None:
    with remembered_signatures(True):
        world = network(4, 4)  # some seeds end before the stalling one is late
        one, two, staller, liar, reader = world.nodes.values()
        staller.adversary = LIARS["stall"](staller, random.Random(1))
        liar.adversary = LIARS["brag"](liar, random.Random(2))
        ears = Ears(reader)
        reader.adversary = ears
        reader.boot()
        total = one.replica.store.counts().entries
        while reader.replica.store.counts().entries < total // 2:
            world.run(world.now + 0.1)
        held = reader.replica.store.counts().entries
        before = set(ears.entries)
        reader.crash()
        world.network.machine_died(reader.name)
        world.run(world.now + 3.0)
        reader.boot()
        assert reader.replica.store.counts().entries > held * 0.8
        until_agreed(world, [one, two, reader], 120.0)
    assert {one.name, two.name} <= before, "two honest ones were at it together"
    assert sum(ears.entries.values()) < 1.35 * total, "what was read once was not read again"
    reasons = [reason for peer, reason in reader.slighted if peer in (staller.name, liar.name)]
    assert any("while it owed us" in reason for reason in reasons)
    assert any("were expected and" in reason for reason in reasons)
    assert not [peer for peer, _ in reader.slighted + reader.rejected if peer in (one.name, two.name)]


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("lie", ["stall", "crawl", "brag", "stray", "spam", "gush", "forget", "garbage", "flood"])
def test_a_fresh_machine_catches_up_beside_a_bad_server(lie: str, seed: int) -> None:
    with remembered_signatures(True):
        world = network(3, seed)
        one, two, bad, reader = world.nodes.values()
        liar = LIARS[lie](bad, random.Random(seed))
        bad.adversary = liar
        world.at(world.now, world._act, liar)
        if lie == "gush":  # beyond credit is what comes faster than it is digested
            reader.slow_disk = 100.0
        reader.boot()
        until_agreed(world, [one, two, reader], 180.0)
        assert lie != "gush" or "than it had credit for" in reader.replica.ledger.last_sentence(bad.name)
        honest = {one.name, two.name, reader.name}
        for node in (one, two, reader):
            assert not [x for x in node.rejected if x[0] in honest]
            assert all(node.replica.ledger.points(name, node.local()) <= SLOW.scale.let_go_at for name in honest)
