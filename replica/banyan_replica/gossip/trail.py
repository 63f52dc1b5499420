"""Which neighbour was sent which of the last messages, and when: for people who watch the network.

Nothing is decided by it. It holds the last KEPT messages that were new here, so a flood shows its own end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from banyan_replica.gossip.frames import PeerId

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
