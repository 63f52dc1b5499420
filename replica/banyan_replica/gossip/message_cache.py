"""What gossip remembers of messages, each bounded: ids that were seen, recent payloads, who was sent the last ones, and
who brings what is new.

Invariant: an id is marked seen only when its message was accepted, published or learned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from banyan_replica.gossip.frames import PeerId


class SeenIds:
    """Ids in two generations: a full young generation replaces the old one. Knows the last `size` ids at least."""

    __slots__ = ("old", "size", "young")

    def __init__(self, size: int) -> None:
        self.size = size
        self.young: set[bytes] = set()
        self.old: set[bytes] = set()

    def __contains__(self, mid: bytes) -> bool:
        return mid in self.young or mid in self.old

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def add(self, mid: bytes) -> None:
        if len(self.young) >= self.size:
            self.old, self.young = self.young, set()
        self.young.add(mid)

    def discard(self, mid: bytes) -> None:
        self.young.discard(mid)
        self.old.discard(mid)


class RecentPayload(NamedTuple):
    payload: bytes
    hop: int
    at: float
    topic: bytes


class PayloadCache:
    """The latest payloads, to answer grafts: at most `count`, and `size` bytes in all. The oldest are dropped."""

    __slots__ = ("count", "held", "items", "size")

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.held = 0
        self.items: dict[bytes, RecentPayload] = {}

    def put(self, mid: bytes, payload: bytes, hop: int, now: float, topic: bytes) -> None:
        if mid in self.items or len(payload) > self.size:
            return
        self.items[mid] = RecentPayload(payload, hop, now, topic)
        self.held += len(payload)
        while len(self.items) > self.count or self.held > self.size:
            self.held -= len(self.items.pop(next(iter(self.items))).payload)

    def drop(self, mid: bytes) -> None:
        kept = self.items.pop(mid, None)
        if kept is not None:
            self.held -= len(kept.payload)

    def forget(self, raw: bytes) -> None:
        """Drops all payloads that have these bytes."""
        for mid in [mid for mid, kept in self.items.items() if raw in kept.payload]:
            self.drop(mid)

    def get(self, mid: bytes) -> RecentPayload | None:
        return self.items.get(mid)

    def newest(self, most: int, since: float) -> list[tuple[bytes, bytes]]:
        """The latest ids put since `since` with their topics, at most `most`, oldest first."""
        out: list[tuple[bytes, bytes]] = []
        for mid, kept in reversed(self.items.items()):
            if len(out) >= most or kept.at < since:
                break
            out.append((mid, kept.topic))
        out.reverse()
        return out


# Which neighbour was sent which of the last KEPT messages that were new here, and when: for people who watch the
# network. Nothing is decided by it.

KEPT = 24
Way: TypeAlias = Literal["sent", "announced", "has"]
"""A neighbour was sent the message; was told that it is here; or showed that it has it."""


class Step(NamedTuple):
    """at: seconds."""

    way: Way
    at: float


@dataclass(slots=True)
class Spread:
    """One message. at: when it was new here, seconds. source: the peer that brought it; empty: it is our own."""

    mid: bytes
    at: float
    source: PeerId
    steps: dict[PeerId, Step] = field(default_factory=dict)


class Trail:
    """The oldest message is first."""

    def __init__(self) -> None:
        self._held: dict[bytes, Spread] = {}

    def began(self, mid: bytes, source: PeerId, now: float) -> None:
        """The message is new here."""
        self._held[mid] = Spread(mid, now, source)
        if len(self._held) > KEPT:
            del self._held[next(iter(self._held))]

    def went(self, peer: PeerId, mids: Iterable[bytes], way: Way, now: float) -> None:
        """The first of each neighbour stands, but for an announcement, which is less than the others."""
        for mid in mids:
            spread = self._held.get(mid)
            if spread is not None and peer != spread.source:
                before = spread.steps.get(peer)
                if before is None or (before.way == "announced" != way):
                    spread.steps[peer] = Step(way, now)

    def drop(self, mids: Iterable[bytes]) -> None:
        """They were rolled back."""
        for mid in mids:
            self._held.pop(mid, None)

    def spreads(self) -> tuple[Spread, ...]:
        """Copies."""
        return tuple(Spread(one.mid, one.at, one.source, dict(one.steps)) for one in self._held.values())


# By who brings what is new a node notices that its neighbours keep something from it.

LATELY_S = 60.0
"""What came within the last minute or two counts, seconds."""


class News:
    """How many items that were new here each linked peer brought lately."""

    def __init__(self) -> None:
        self._now, self._before = Counter[PeerId](), Counter[PeerId]()
        self._since = 0.0

    def brought(self, peer: PeerId, now: float) -> None:
        self._move_on(now)
        self._now[peer] += 1

    def forget(self, peer: PeerId) -> None:
        """Its link ended."""
        del self._now[peer], self._before[peer]

    def of(self, peers: Iterable[PeerId], now: float) -> int:
        """What these brought together."""
        self._move_on(now)
        return sum(self._now[peer] + self._before[peer] for peer in peers)

    def _move_on(self, now: float) -> None:
        if now - self._since < LATELY_S:
            return
        self._before = self._now if now - self._since < 2 * LATELY_S else Counter()
        self._now, self._since = Counter(), now
