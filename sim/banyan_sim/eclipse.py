"""An eclipse in virtual time: many identities of few networks against one newcomer with honest bootstrap peers.

Every honest node has the slots of a real node (admission/connection_slots.py). The Sybils know each other, the newcomer
and every honest node. They dial the newcomer without end, ask to be its neighbours, and name only each other; they do
the same, less often, to all others. The newcomer is cut off while it has no link to an honest node: two nodes compare
what they hold whenever they are linked, neighbours or not.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from banyan_node.admission.connection_slots import ConnectionSlots, PeerActivity, SlotSettings
from banyan_replica.gossip.frames import Join, Neighbour, Shuffle
from banyan_replica.gossip.settings import GossipSettings
from banyan_sim.gossip_world import GossipWorld

NEWCOMER = "n9999"
WITHOUT_SLOTS = 192
"""Links of a node that has no slots, only the gossip's own cap."""
LOST_S = 150
"""A newcomer without an honest link for so long is isolated: longer than `trust_s` and a dial take."""
HONEST = 60
BOOTSTRAP = 3


class Outcome(NamedTuple):
    """Of the time after the newcomer's first 10 s. alone_s: without an honest neighbour. cut_s: without a link to an
    honest peer. longest_s: the longest stretch of that. heard_s: how long before the end it had such a link."""

    alone_s: int
    cut_s: int
    longest_s: int
    heard_s: int


class Siege(GossipWorld):
    """nodes: honest ones without the newcomer. slots: None for a world that only has the gossip's own cap of links."""

    def __init__(self, nodes: int, seed: int, slots: SlotSettings | None) -> None:
        gossip = replace(GossipSettings(), links=WITHOUT_SLOTS if slots is None else slots.links + slots.arriving)
        self.slot_settings = slots
        self.slots: dict[str, ConnectionSlots] = {}
        self.seat: dict[tuple[str, str], int] = {}  # (node, peer) -> slot
        super().__init__(nodes, seed, settings=gossip)

    def addr(self, name: str) -> str:
        """A Sybil has an address of its own, in one of its master's networks."""
        if name in self.sybils:
            i = int(name[1:])
            return f"/ip4/{self.sybils[name]}.{i // 250}.{i % 250}/tcp/4001/p2p/{name}"
        return super().addr(name)

    def meet(self, dialler: str, other: str) -> None:
        if (dialler, other) not in self.conns and self._seats(dialler, other):
            super().meet(dialler, other)
            if (dialler, other) not in self.conns:
                self._unseats(dialler, other)

    def part(self, a: str, b: str) -> None:
        self._unseats(a, b)
        super().part(a, b)

    def _seats(self, dialler: str, other: str) -> bool:
        """Takes a slot at both ends that are honest."""
        if self.slot_settings is None:
            return True
        taken: list[tuple[str, str, tuple[int, ...]]] = []
        for name, peer, dials in ((dialler, other, True), (other, dialler, False)):
            if name not in self.nodes:
                continue
            slots = self.slots.setdefault(name, ConnectionSlots(self.slot_settings))
            host = self.addr(peer).split("/")[2]
            node = self.nodes[name]
            standing = {p: PeerActivity(neighbour=True) for p in {*node.neighbours()} - {*node.leaves()}}
            if dials:
                verdict = slots.dials(host, peer, self.now, standing)
            else:
                verdict = slots.arrives(host, self.now)
                if not verdict.refused:
                    slots.met(verdict.slot, peer, self.now)
                    verdict = slots.settles(verdict.slot, self.now, standing)
            if verdict.refused:
                self._unseats(dialler, other)
                return False
            slots.met(verdict.slot, peer, self.now)
            self.seat[name, peer] = verdict.slot
            taken.append((name, peer, verdict.out))
        for name, _, out in taken:
            if not out:
                continue
            for peer in [p for (n, p), slot in self.seat.items() if n == name and slot in out]:
                self.part(name, peer)
        return True

    def _unseats(self, a: str, b: str) -> None:
        for name, peer in ((a, b), (b, a)):
            slot = self.seat.pop((name, peer), None)
            if slot is not None:
                self.slots[name].leaves(slot)

    def attack(self, name: str) -> None:
        """A random Sybil comes to a node, asks to be its neighbour in every way, and shows it more Sybils."""
        sybil = self.rng.choice(list(self.sybils))
        self.meet(sybil, name)
        self.sybil_says(sybil, name, Join((self.addr(sybil),)))
        self.sybil_says(sybil, name, Neighbour(True, (self.addr(sybil),)))
        self.sybil_says(sybil, name, Shuffle(self.sybil_list(1)[0], 0, self.sybil_list(8)))


def eclipse(
    seed: int,
    *,
    identities: int = 1000,
    networks: int = 20,
    lasts_s: int = 300,
    each_s: int = 20,
    slots: SlotSettings | None = None,
    honest: int = HONEST,
) -> Outcome:
    """One siege of `lasts_s` seconds, in which `each_s` Sybils come to the newcomer in each second, and one to a tenth
    of the others. It begins a minute before the newcomer joins, so that the others know Sybils too."""
    world = Siege(honest, seed, slots)
    world.grow(settle_s=70.0)
    world.infest(identities, networks)
    for _ in range(60):
        raid(world)
        world.run(world.now + 1.0)
    world.add(NEWCOMER)
    for contact in world.rng.sample([n for n in world.nodes if n != NEWCOMER], BOOTSTRAP):
        world.nodes[NEWCOMER].join(contact, (world.addr(contact),), world.now)
    world.drain(NEWCOMER)
    alone = cut = longest = since = 0
    for second in range(lasts_s):
        for _ in range(each_s):
            world.run(world.now + 1.0 / each_s)
            world.attack(NEWCOMER)
        raid(world)
        if second < 10:
            continue
        alone += not any(peer in world.nodes for peer in world.nodes[NEWCOMER].neighbours())
        since = 0 if any(peer in world.nodes for peer in world.peers_of[NEWCOMER]) else since + 1
        cut += since > 0
        longest = max(longest, since)
    return Outcome(alone, cut, longest, since)


def raid(world: Siege) -> None:
    for name in list(world.nodes):
        if name != NEWCOMER and world.rng.random() < 0.1:
            world.attack(name)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints one line of JSON a seed, then how many seeds isolate the newcomer."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--identities", type=int, default=1000)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--without-slots", action="store_true", help="only the gossip's own cap of connections")
    asked = parser.parse_args(argv)
    slots = None if asked.without_slots else SlotSettings()
    isolated = longest = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        found = eclipse(seed, identities=asked.identities, networks=asked.networks, slots=slots)
        isolated += found.longest_s > LOST_S
        longest = max(longest, found.longest_s)
        print(json.dumps({"seed": seed, **found._asdict()}), flush=True)
    print(json.dumps({"seeds": asked.seeds, "isolated": isolated, "longest_s": longest}), flush=True)


if __name__ == "__main__":
    main()
