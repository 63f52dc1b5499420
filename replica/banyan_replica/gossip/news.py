"""Who brings what is new here: by that a node notices that its neighbours keep something from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from banyan_replica.gossip.frames import PeerId

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
