"""A seeded world in virtual time for the gossip alone: latencies, losses, deaths, Sybils. It runs the code of a node.

Every node is a `Gossip`. A verdict follows `VERDICT_S` after a delivery, because a commit to disk takes time. Nothing
reads the wall clock and all randomness comes from the seed, so a failing seed is a bug report.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from banyan_replica.gossip.frames import (
    AnyFrame,
    DeliverMessage,
    DialPeer,
    DropPeer,
    Join,
    Neighbour,
    NeighbourAnswer,
    PeerInfo,
    PushFrame,
    SendFrame,
    Shuffle,
    Shuffled,
)
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.settings import GossipSettings

Event = tuple[float, int, Callable[[], None]]
VERDICT_S, LATENCY_S = 0.004, 0.04
"""Seconds: a commit; the median of a message's way."""


@dataclass(slots=True)
class Sent:
    """A published message and who has it."""

    at: float
    topic: bytes
    audience: int
    delays: list[float] = field(default_factory=list)
    hops: int = 0


class GossipWorld:
    def __init__(
        self,
        nodes: int,
        seed: int = 1,
        *,
        settings: GossipSettings | None = None,
        loss: float = 0.0,
        leaves: int = 0,
        follows: int = 0,
    ) -> None:
        """leaves: further nodes that hold the messages of `follows` random publishers each, and their own."""
        self.rng = random.Random(seed)
        self.settings = settings or GossipSettings()
        self.loss = loss
        self.now = 0.0
        self.events: list[Event] = []
        self.count = 0
        self.steps = 0
        self.bytes = 0
        self.payloads: dict[bytes, bytes] = {}
        self.sent: dict[bytes, Sent] = {}
        self.nodes: dict[str, Gossip] = {}
        self.named: dict[str, set[str]] = {}
        """The contacts of each node, which stay linked as those that an operator names do."""
        self.wakes: dict[str, float] = {}
        self.conns: dict[tuple[str, str], float] = {}  # both directions -> latency
        self.peers_of: dict[str, set[str]] = {}
        self.sybils: dict[str, str] = {}  # id -> group
        self.wants: dict[str, frozenset[bytes]] = {}
        """The topics that a leaf holds. A topic is the name of the publisher."""
        self.heard: dict[str, int] = {}
        """Messages pushed to each leaf."""
        everybody = [f"n{i}" for i in range(nodes + leaves)]
        for name in everybody[nodes:]:
            self.wants[name] = frozenset(n.encode() for n in (name, *self.rng.sample(everybody, follows)))
        for name in everybody:
            self.add(name)

    # -- the population

    def add(self, name: str) -> Gossip:
        rng = random.Random(self.rng.randrange(1 << 60))
        named = self.named.setdefault(name, set())
        node = Gossip(name, self.settings, rng, self.payloads.get, (self.addr(name),), named=named)
        self.nodes[name] = node
        node.become_leaf(name in self.wants, self.now)
        self.wakes[name] = math.inf
        self.peers_of[name] = set()
        return node

    def addr(self, name: str) -> str:
        """Every honest node in a /16 of its own; a Sybil in one of its master's."""
        if name in self.sybils:
            return f"/ip4/{self.sybils[name]}.0.1/tcp/4001/p2p/{name}"
        i = int(name[1:]) + 256 * 11
        return f"/ip4/{1 + i // 256}.{i % 256}.0.1/tcp/4001/p2p/{name}"

    def group(self, name: str) -> str:
        return ".".join(self.addr(name).split("/")[2].split(".")[:2])

    def grow(self, step_s: float = 0.002, settle_s: float = 20.0) -> None:
        """Node after node joins by a random earlier one, then the views settle."""
        names = list(self.nodes)
        for i, name in enumerate(names[1:], 1):
            contact = names[self.rng.randrange(i)]
            self.named[name].add(contact)
            self.nodes[name].join(contact, (self.addr(contact),), self.now)
            self.drain(name)
            self.run(self.now + step_s)
        self.run(self.now + settle_s)

    def kill(self, names: list[str]) -> None:
        """These nodes stop at once; their peers notice 0.5 to 2 s later."""
        for name in names:
            del self.nodes[name]
        for name in names:
            for peer in self.peers_of.pop(name):
                self.at(self.now + 0.5 + 1.5 * self.rng.random(), partial(self.part, peer, name))

    def reached(self) -> int:
        """Honest nodes connected to the first one through neighbours both sides agree on."""
        first = next(iter(self.nodes))
        seen, todo = {first}, [first]
        while todo:
            name = todo.pop()
            for peer in self.nodes[name].neighbours():
                if peer in self.nodes and peer not in seen:
                    seen.add(peer)
                    todo.append(peer)
        return len(seen)

    # -- time

    def at(self, when: float, what: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what))

    def run(self, until: float) -> None:
        events = self.events
        while events and events[0][0] <= until:
            self.now, _, what = heapq.heappop(events)
            self.steps += 1
            what()
        self.now = until

    def wake(self, name: str, when: float) -> None:
        node = self.nodes.get(name)
        if node is None or self.wakes[name] != when:  # an earlier one took its place
            return
        due = node.get_timer()
        self.wakes[name] = math.inf
        if due is not None and due <= self.now:
            node.handle_timer(self.now)
        self.drain(name)

    # -- links

    def meet(self, dialler: str, other: str) -> None:
        if (dialler, other) in self.conns or not (dialler in self.nodes or dialler in self.sybils):
            return
        latency = self.rng.lognormvariate(math.log(LATENCY_S), 0.5)
        self.conns[dialler, other] = self.conns[other, dialler] = latency
        for name, peer, outbound in ((dialler, other, True), (other, dialler, False)):
            if name in self.nodes:
                self.peers_of[name].add(peer)
                group, addrs = self.group(peer), (self.addr(peer),)
                self.nodes[name].peer_up(peer, group=group, outbound=outbound, addrs=addrs, now=self.now)
                self.nodes[name].subscribe(peer, self.wants.get(peer), self.now)
                self.drain(name)

    def part(self, a: str, b: str) -> None:
        self.conns.pop((a, b), None)
        self.conns.pop((b, a), None)
        for name, peer in ((a, b), (b, a)):
            if name in self.nodes and peer in self.peers_of[name]:
                self.peers_of[name].discard(peer)
                self.nodes[name].peer_down(peer, self.now)
                self.drain(name)

    def dial(self, name: str, peer: str) -> None:
        if peer in self.nodes or peer in self.sybils:
            self.meet(name, peer)
        elif name in self.nodes:
            self.nodes[name].dial_failed(peer, self.now)
            self.drain(name)

    # -- effects

    def drain(self, name: str) -> None:
        node = self.nodes[name]
        while (effect := node.next_effect()) is not None:
            if isinstance(effect, SendFrame):
                self.send(name, effect.peer, effect.frame)
            elif isinstance(effect, DialPeer):
                self.at(self.now + 2 * LATENCY_S, partial(self.dial, name, effect.peer))
            else:
                assert isinstance(effect, DropPeer)
                self.at(self.now, partial(self.part, name, effect.peer))
        due = node.get_timer()
        if due is not None and due < self.wakes[name]:
            self.wakes[name] = due
            self.at(due, lambda: self.wake(name, due))

    def send(self, src: str, dst: str, frame: AnyFrame) -> None:
        latency = self.conns.get((src, dst))
        if latency is None:
            return
        if self.loss and isinstance(frame, PushFrame) and self.rng.random() < self.loss:
            return
        if dst in self.sybils:
            self.sybil_hears(dst, src, frame)
        else:
            self.at(self.now + latency, lambda: self.arrive(dst, src, frame))

    def arrive(self, name: str, src: str, frame: AnyFrame) -> None:
        if name in self.nodes and (src, name) in self.conns:
            got = self.nodes[name].receive(src, frame, self.now)
            if name in self.wants and isinstance(frame, PushFrame):
                self.heard[name] = self.heard.get(name, 0) + len(frame.items)
            if got:
                self.at(self.now + VERDICT_S, lambda: self.judge(name, got))
            self.drain(name)

    def judge(self, name: str, got: tuple[DeliverMessage, ...]) -> None:
        node = self.nodes.get(name)
        if node is None:
            return
        for delivery in got:
            if self.payloads.get(delivery.mid) != delivery.payload:
                node.rejected(delivery.mid, delivery.peer, self.now)
                continue
            sent = self.sent[delivery.mid]
            if name in self.wants and sent.topic not in self.wants[name]:
                node.learned(delivery.mid, self.now, sent.topic)
                continue
            if not node.knows(delivery.mid):
                sent.delays.append(self.now - sent.at)
                sent.hops = max(sent.hops, delivery.hop)
            node.accepted(delivery, self.now, topic=sent.topic)
        self.drain(name)

    # -- Sybils: they dial everybody, name only each other, and drop every message

    def sybil_hears(self, sybil: str, src: str, frame: AnyFrame) -> None:
        if isinstance(frame, Join | Neighbour):
            self.sybil_says(sybil, src, NeighbourAnswer(True))
        elif isinstance(frame, Shuffle):
            self.sybil_says(sybil, src, Shuffled(frame.origin.peer, self.sybil_list(8)))

    def sybil_says(self, sybil: str, dst: str, frame: AnyFrame) -> None:
        latency = self.conns.get((sybil, dst))
        if latency is not None:
            self.at(self.now + latency, lambda: self.arrive(dst, sybil, frame))

    def sybil_list(self, most: int) -> tuple[PeerInfo, ...]:
        names = self.rng.sample(list(self.sybils), min(most, len(self.sybils)))
        return tuple(PeerInfo(s, (self.addr(s),)) for s in names)

    def infest(self, count: int, groups: int) -> None:
        for i in range(count):
            self.sybils[f"s{i}"] = f"{200 + i % groups}.7"

    def assault(self, share: float) -> None:
        """One round: a random Sybil asks each of this share of the honest nodes to be its neighbour, and is forwarded
        to it."""
        names, sybils = list(self.nodes), list(self.sybils)
        for name in names:
            if self.rng.random() < share:
                sybil = sybils[self.rng.randrange(len(sybils))]
                self.meet(sybil, name)
                self.sybil_says(sybil, name, Join())
                self.sybil_says(sybil, name, Shuffle(self.sybil_list(1)[0], 0, self.sybil_list(6)))

    def isolated(self) -> float:
        """The share of honest nodes without an honest neighbour."""
        alone = sum(not any(p in self.nodes for p in g.neighbours()) for g in self.nodes.values())
        return alone / len(self.nodes)

    # -- messages

    def publish(self, name: str, size: int = 40) -> bytes:
        mid = len(self.sent).to_bytes(16, "big")
        self.payloads[mid] = payload = mid[-8:] * (size // 8)
        topic = name.encode()
        holders = sum(topic in self.wants[n] if n in self.wants else True for n in self.nodes)
        self.sent[mid] = Sent(self.now, topic, holders - 1)
        self.nodes[name].publish(mid, payload, self.now, topic)
        self.drain(name)
        return mid

    def blast(self, messages: int, rate: float, tail_s: float = 10.0) -> dict[str, float]:
        """Publishes at random nodes, `rate` a second, waits `tail_s`, and returns the figures of these messages."""
        before = self.totals()
        steps, mids = self.steps, []
        for _ in range(messages):
            names = list(self.nodes)
            mids.append(self.publish(names[self.rng.randrange(len(names))]))
            self.run(self.now + 1.0 / rate)
        self.run(self.now + tail_s)
        after = self.totals()
        sents = [self.sent[m] for m in mids]
        delays = sorted(d for s in sents for d in s.delays)
        wanted = sum(s.audience for s in sents)
        pushed = after["pushed"] - before["pushed"]
        return {
            "messages": messages,
            "delivered": len(delays) / wanted,
            "complete": sum(len(s.delays) >= s.audience for s in sents),
            "redundancy": round(pushed / max(1, len(delays)) - 1, 3),
            "announced_per_delivery": round((after["announced"] - before["announced"]) / max(1, len(delays)), 2),
            "p50_s": round(delays[len(delays) // 2], 3) if delays else math.inf,
            "p99_s": round(delays[int(len(delays) * 0.99)], 3) if delays else math.inf,
            "max_s": round(delays[-1], 3) if delays else math.inf,
            "hops": max(s.hops for s in sents),
            "grafts": after["grafts"] - before["grafts"],
            "prunes": after["prunes"] - before["prunes"],
            "events": self.steps - steps,
        }

    def pushed_per_wanted(self, messages: int) -> float:
        """Messages pushed to leaves since `heard` was emptied, for each that they want of the last `messages`."""
        sents = list(self.sent.values())[-messages:]
        wanted = sum(s.topic in topics and s.topic != n.encode() for n, topics in self.wants.items() for s in sents)
        return sum(self.heard.values()) / max(1, wanted)

    def totals(self) -> dict[str, int]:
        total = dict.fromkeys(("pushed", "announced", "grafts", "prunes"), 0)
        for node in self.nodes.values():
            counters = node.stats()
            for key in total:
                total[key] += counters[key]
        return total
