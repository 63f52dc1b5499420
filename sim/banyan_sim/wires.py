"""Connections between machines. They keep order, lose no byte while they stand, and break when the seed says so.

A lost packet breaks its connection: both ends notice a moment later, everything in flight is lost, and a side that
wants the connection dials again. A partition stalls the connections that cross it until they time out, and fails every
dial across it until it heals.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

# The trace: one hash over all that happened in a world, in order. The same seed must give the same hash.
#
# It must depend on the seed alone: on names, bytes and virtual time, and never on addresses in memory, the order of a
# set, the wall clock or the system's randomness.


class Trace:
    """`events` counts what was added."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(b"banyan/sim/trace\0", digest_size=16)
        self.events = 0

    def add(self, now: float, what: str, who: str, other: str = "", data: bytes = b"") -> None:
        """`now`: virtual seconds. Every field is framed, so that different histories give different hashes."""
        self.events += 1
        self._hash.update(f"{now!r} {what} {who} {other} {len(data)}\n".encode() + data)

    def hex(self) -> str:
        """The hash of everything up to now."""
        return self._hash.hexdigest()


LATENCY_S = 0.04
"""Median one-way latency of a link; links differ lognormally."""
DIAL_TIMEOUT_S = 3.0


class End(Protocol):
    """A machine, as the network sees it."""

    name: str
    addr: str
    group: str
    up: bool
    life: int

    def receive(self, peer: str, data: bytes) -> None: ...


class Clock(Protocol):
    now: float

    def at(self, when: float, do: Callable[..., None], *args: object) -> None: ...


@dataclass(slots=True)
class Wire:
    """One connection. `lives`: of the two machines when it was made. `doomed`: broken, the ends do not know yet."""

    dialler: str
    acceptor: str
    latency: float
    lives: tuple[int, int]
    doomed: bool = False
    closed: bool = False
    informed: str = ""
    """The other end has closed it: this end still gets what was sent before, and then notices."""
    arrival: dict[str, float] = field(default_factory=dict)


class Network:
    """`peer_up(at, peer, outbound)`, `peer_down(at, peer)` and `dial_failed(at, peer)` tell the machines."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        trace: Trace,
        machines: dict[str, End],
        peer_up: Callable[[str, str, bool], None],
        peer_down: Callable[[str, str], None],
        dial_failed: Callable[[str, str], None],
    ) -> None:
        self.clock, self.rng, self.trace, self.machines = clock, rng, trace, machines
        self.peer_up, self.peer_down, self.failed = peer_up, peer_down, dial_failed
        self.wires: dict[tuple[str, str], Wire] = {}
        self.loss = 0.0
        self.side: dict[str, int] = {}
        """Which side of a partition each machine is on; empty when there is none."""
        self.slow: dict[str, float] = {}
        """Machines whose links are slower by a factor."""
        self.messages = self.resets = 0
        self.sent: Counter[tuple[str, str]] = Counter()
        """Bytes, by sender and receiver."""
        self._closing: dict[tuple[str, str], Wire] = {}
        self._latency: dict[tuple[str, str], float] = {}

    # -- what machines do

    def dial(self, src: str, dst: str) -> None:
        """Leads to peer_up at both ends or to dial_failed at `src`; to neither if they were connected meanwhile."""
        now, life = self.clock.now, self.machines[src].life
        target = self.machines.get(dst)
        if target is None or not target.up or self._parted(src, dst):
            self.clock.at(now + DIAL_TIMEOUT_S * self.rng.uniform(0.3, 1.0), self._give_up, src, dst, life)
        else:
            self.clock.at(now + 2.0 * self._delay(src, dst), self._meet, src, dst, life)

    def send(self, src: str, dst: str, data: bytes) -> None:
        wire = self.wires.get(_pair(src, dst))
        if wire is None or wire.doomed:
            return
        self.messages += 1
        self.sent[src, dst] += len(data)
        now = self.clock.now
        if self.loss and self.rng.random() < self.loss:
            self.doom(wire, self.rng.uniform(0.1, 1.0))
            return
        arrive = max(
            wire.arrival.get(dst, 0.0), now + wire.latency * self._slower(src, dst) * self.rng.uniform(0.9, 1.3)
        )
        wire.arrival[dst] = arrive
        self.clock.at(arrive, self._deliver, wire, src, dst, data)

    def close(self, src: str, dst: str) -> None:
        """`src` hangs up, after what it sent."""
        wire = self.wires.get(_pair(src, dst))
        if wire is None:
            return
        self._drop(wire)
        wire.informed = dst
        self._closing[_pair(src, dst)] = wire
        now = self.clock.now
        self.peer_down(src, dst)
        self.clock.at(max(now, wire.arrival.get(dst, now)), self._hang_up, wire)

    # -- what happens to connections

    def doom(self, wire: Wire, notice_s: float) -> None:
        """From now on nothing arrives; both ends notice after this time, seconds."""
        if not wire.doomed:
            wire.doomed = True
            self.clock.at(self.clock.now + notice_s, self._break, wire)

    def machine_died(self, name: str) -> None:
        for wire in [w for pair, w in self.wires.items() if name in pair]:
            self.doom(wire, self.rng.uniform(0.3, 2.0))

    def part(self, side: dict[str, int]) -> None:
        self.side = side
        for (a, b), wire in self.wires.items():
            if self._parted(a, b):
                self.doom(wire, self.rng.uniform(1.0, 4.0))

    def heal(self) -> None:
        self.side = {}

    def neighbours(self, name: str) -> Iterable[str]:
        for a, b in list(self.wires):
            if a == name:
                yield b
            elif b == name:
                yield a

    # -- inside

    def _meet(self, src: str, dst: str, life: int) -> None:
        a, b = self.machines[src], self.machines[dst]
        if not a.up or a.life != life:
            return
        if not b.up or self._parted(src, dst):
            self._give_up(src, dst, life)
            return
        standing = self.wires.get(_pair(src, dst))
        if standing is not None:
            if not standing.doomed:
                return  # they dialled each other at once: the first link stands
            self._break(standing)
        closing = self._closing.get(_pair(src, dst))
        if closing is not None:
            self._hang_up(closing)
        wire = Wire(src, dst, self._base(src, dst), (a.life, b.life))
        self.wires[_pair(src, dst)] = wire
        self.trace.add(self.clock.now, "link", src, dst)
        self.peer_up(dst, src, False)
        self.peer_up(src, dst, True)

    def _give_up(self, src: str, dst: str, life: int) -> None:
        end = self.machines[src]
        if end.up and end.life == life and _pair(src, dst) not in self.wires:
            self.failed(src, dst)

    def _deliver(self, wire: Wire, src: str, dst: str, data: bytes) -> None:
        if wire.doomed or (wire.closed and wire.informed != dst) or not self._lives(wire, dst):
            return
        self.trace.add(self.clock.now, "frame", src, dst, data)
        self.machines[dst].receive(src, data)

    def _break(self, wire: Wire) -> None:
        if wire.closed:
            return
        self._drop(wire)
        self.resets += 1
        self.trace.add(self.clock.now, "reset", wire.dialler, wire.acceptor)
        for at, peer in ((wire.dialler, wire.acceptor), (wire.acceptor, wire.dialler)):
            if self._lives(wire, at):
                self.peer_down(at, peer)

    def _hang_up(self, wire: Wire) -> None:
        at = wire.informed
        if not at:
            return
        peer = wire.dialler if at == wire.acceptor else wire.acceptor
        if self._closing.get(_pair(at, peer)) is wire:
            del self._closing[_pair(at, peer)]
        wire.informed = ""
        if self._lives(wire, at):
            self.trace.add(self.clock.now, "hang up", peer, at)
            self.peer_down(at, peer)

    def _drop(self, wire: Wire) -> None:
        wire.closed = True
        pair = _pair(wire.dialler, wire.acceptor)
        if self.wires.get(pair) is wire:
            del self.wires[pair]

    def _lives(self, wire: Wire, name: str) -> bool:
        end = self.machines[name]
        return end.up and end.life == wire.lives[0 if name == wire.dialler else 1]

    def _parted(self, a: str, b: str) -> bool:
        return bool(self.side) and self.side.get(a, 0) != self.side.get(b, 0)

    def _base(self, a: str, b: str) -> float:
        pair = _pair(a, b)
        if pair not in self._latency:
            self._latency[pair] = min(1.0, LATENCY_S * math.exp(self.rng.gauss(0.0, 0.5)))
        return self._latency[pair]

    def _slower(self, a: str, b: str) -> float:
        return max(self.slow.get(a, 1.0), self.slow.get(b, 1.0)) if self.slow else 1.0

    def _delay(self, a: str, b: str) -> float:
        return self._base(a, b) * self._slower(a, b)


def _pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)
