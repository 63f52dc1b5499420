"""The world: machines, the network between them, people, liars and faults, in virtual time, from one seed.

Nothing reads the wall clock, and all randomness comes from the seed. Events of one instant happen in the order in which
they were planned. So a failing seed is a bug report, and fails in the same way everywhere.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from banyan_replica.peers.backlog import Backlog
from banyan_replica.peers.limits import Limits
from banyan_sim import bad_answers as bad
from banyan_sim import bad_answers as sketches
from banyan_sim import byzantine as lies
from banyan_sim.byzantine import Liar
from banyan_sim.machine import Machine, choose
from banyan_sim.wires import Network, Trace
from banyan_sim.workload import Workload

# Faults: what breaks, when and for how long, drawn from the seed before the world starts.
#
# Every fault here heals: a partition ends, a crashed machine comes back, a clock is corrected. A machine that lies
# (byzantine.py) does not heal.

KINDS = ("loss", "slow", "partition", "crash", "skew", "disk")
"""loss: connections reset. slow: links take many times as long. partition: sides that cannot reach each other.
crash: power cuts. skew: wall clocks that are wrong, and jump. disk: fsync takes seconds."""

MAX_SKEW_S = 100.0
"""Seconds. Two wrong clocks stay within the five minutes by which entries may be dated ahead, so no honest machine is
shut out."""


class Fault(NamedTuple):
    """`amount`: loss per frame, factor of slowness, seconds of skew; sides of a partition."""

    at: float
    kind: str
    lasts: float
    nodes: tuple[str, ...]
    amount: float


def draw(rng: random.Random, names: Sequence[str], start: float, stop: float, kinds: Sequence[str]) -> list[Fault]:
    """A schedule between two virtual times; all of it has healed at `stop`."""
    return sorted(fault for kind in kinds for fault in _draw_kind(rng, kind, names, start, stop))


def _draw_kind(rng: random.Random, kind: str, names: Sequence[str], start: float, stop: float) -> list[Fault]:
    few = max(1, len(names) // 12)

    def some(most: int) -> tuple[str, ...]:
        return tuple(rng.sample(list(names), rng.randint(1, max(1, most))))

    def fault(nodes: tuple[str, ...], amount: float) -> Fault:
        at = rng.uniform(start, start + 0.7 * (stop - start))
        return Fault(at, kind, min(rng.uniform(0.1, 0.5) * (stop - start), stop - at), nodes, amount)

    match kind:
        case "loss":
            return [fault((), rng.choice((0.002, 0.01, 0.03))) for _ in range(2)]
        case "slow":
            return [fault(some(few), rng.uniform(5.0, 20.0))]
        case "partition":
            return [fault(some(len(names) // 2), 2.0) for _ in range(rng.randint(1, 2))]
        case "crash":
            return [fault((name,), 0.0) for name in some(2 * few)]
        case "skew":
            return [fault((name,), rng.uniform(-MAX_SKEW_S, MAX_SKEW_S)) for name in some(2 * few)]
        case "disk":
            return [fault(some(few), rng.uniform(20.0, 200.0))]
        case _:
            raise ValueError(f"'{kind}' is no kind of fault; the kinds are {', '.join(KINDS)}")


# Every way of lying, by name.

LIARS: dict[str, lies.Kind] = {
    "fork": lies.Forker,
    "garbage": lies.Garbage,
    "withhold": lies.Withholder,
    "refuse": lies.Refuser,
    "replay": lies.Replayer,
    "flood": lies.Flooder,
    "future": lies.Futurist,
    "boast": lies.Boaster,
    "impersonate": lies.Impostor,
    "stall": bad.Staller,
    "crawl": bad.Crawler,
    "brag": bad.Braggart,
    "stray": bad.Strayer,
    "spam": bad.Spammer,
    "forget": bad.Forgetter,
    "gush": bad.Gusher,
    "sketch": sketches.Sketcher,
}


CONTACTS = 3
"""Bootstrap contacts that each machine knows."""


class World:
    """`liars`: names of kinds.LIARS, one machine each. `chosen`: how many honest machines hold chosen accounts."""

    machine: type[Machine] = Machine

    def __init__(
        self, nodes: int, seed: int, *, liars: Sequence[str] = (), people: int = 0, chosen: int = 0, limits: Limits
    ) -> None:
        self.seed, self.now = seed, 0.0
        self.rng = random.Random(f"{seed}/world")
        self.trace = Trace()
        self.nodes: dict[str, Machine] = {f"n{i}": self.machine(f"n{i}", i, self, limits) for i in range(nodes)}
        self.network = Network(
            self,
            random.Random(f"{seed}/network"),
            self.trace,
            dict(self.nodes),
            self._peer_up,
            self._peer_down,
            self._dial_failed,
        )
        self.dial, self.send, self.close = self.network.dial, self.network.send, self.network.close
        self._queue: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._planned = 0
        names = list(self.nodes)
        lying = self.rng.sample(names[1:], len(liars))  # the first machine is everybody's first contact
        self.liars: dict[str, Liar] = {}
        for name, kind in zip(lying, liars, strict=True):
            liar = LIARS[kind](self.nodes[name], random.Random(f"{seed}/{kind} {name}"))
            self.liars[name] = self.nodes[name].adversary = liar
        self.honest = [n for n in self.nodes.values() if n.name not in self.liars]
        self.workload = Workload(seed, random.Random(f"{seed}/people"), self.honest, people)
        choose(self.honest, chosen, self.workload.people, random.Random(f"{seed}/chosen"))

    # -- time

    def at(self, when: float, do: Callable[..., None], *args: object) -> None:
        self._planned += 1
        heapq.heappush(self._queue, (when, self._planned, do, args))

    def run(self, until: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, do, args = heapq.heappop(queue)
            do(*args)
        self.now = until

    # -- beginning

    def boot(self, over_s: float) -> None:
        """Machines start one after the other and join through machines that started before."""
        names = list(self.nodes)
        for i, node in enumerate(self.nodes.values()):
            node.contacts = [(c, self.nodes[c].addr) for c in self.contacts(names[:i])]
            self.at(self.now + over_s * i / len(names), self._boot, node)
        for liar in self.liars.values():
            self.at(self.now + over_s + self.rng.random(), self._act, liar)

    def contacts(self, earlier: Sequence[str]) -> list[str]:
        """Whom a machine knows when it starts: the first, and some others that started before it."""
        return [*earlier[:1], *self.rng.sample(earlier[1:], min(CONTACTS - 1, len(earlier) - 1))] if earlier else []

    def _boot(self, node: Machine) -> None:
        self.trace.add(self.now, "boot", node.name)
        node.boot()

    def _act(self, liar: Liar) -> None:
        if liar.node.up:
            liar.act()
        self.at(self.now + 0.5 + self.rng.random(), self._act, liar)

    # -- faults

    def plan(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            self.at(fault.at, self._begin, fault)
            self.at(fault.at + fault.lasts, self._end, fault)

    def heal(self) -> None:
        """No more faults and no new posts; liars continue to lie about what there is."""
        self.network.loss = 0.0
        self.network.slow.clear()
        self.network.heal()
        for liar in self.liars.values():
            liar.heal()

    def _begin(self, fault: Fault) -> None:
        self.trace.add(self.now, "fault " + fault.kind, " ".join(fault.nodes))
        nodes = [self.nodes[name] for name in fault.nodes]
        match fault.kind:
            case "loss":
                self.network.loss = fault.amount
            case "slow":
                self.network.slow.update(dict.fromkeys(fault.nodes, fault.amount))
            case "partition":
                self.network.part(dict.fromkeys(fault.nodes, 1))
            case "crash":
                for node in nodes:
                    if node.up:
                        node.crash()
                        self.network.machine_died(node.name)
            case "skew":
                for node in nodes:
                    node.skew += fault.amount
            case "disk":
                for node in nodes:
                    node.slow_disk = fault.amount

    def _end(self, fault: Fault) -> None:
        self.trace.add(self.now, "end of " + fault.kind, " ".join(fault.nodes))
        nodes = [self.nodes[name] for name in fault.nodes]
        match fault.kind:
            case "loss":
                self.network.loss = 0.0
            case "slow":
                for name in fault.nodes:
                    self.network.slow.pop(name, None)
            case "partition":
                self.network.heal()
            case "crash":
                for node in nodes:
                    if not node.up:
                        node.boot()
            case "skew":
                for node in nodes:
                    node.skew -= fault.amount
            case "disk":
                for node in nodes:
                    node.slow_disk = 1.0

    # -- what the network tells machines

    def _peer_up(self, at: str, peer: str, outbound: bool) -> None:
        other = self.network.machines[peer]
        self.nodes[at].backlogs[peer] = Backlog()
        self.nodes[at].feed(
            lambda r, now: r.peer_up(
                peer, group=other.group, outbound=outbound, addrs=(other.addr,), now=now, address=other.addr
            )
        )

    def _peer_down(self, at: str, peer: str) -> None:
        self.nodes[at].feed(lambda r, now: r.peer_down(peer, now))

    def _dial_failed(self, at: str, peer: str) -> None:
        self.nodes[at].feed(lambda r, now: r.peers.dial_failed(peer, now))

    # -- people

    def publish(self, start: float, stop: float, acts: int) -> None:
        """Plans so many acts between two times."""
        self.at(start, self.workload.open_all)
        for when in sorted(self.rng.uniform(start + 1.0, stop) for _ in range(acts)):
            self.at(when, self.workload.act)
