"""Pauses for peers whose links end soon after they began: one per peer id, longer each time.

A node that was expelled and dials again at once costs both ends a handshake each time. So do two nodes with one key (a
copied home): each link takes the place of the other one. Both ends pause: the one that dials, and the one that is
dialled, since the dialler may be of any make.

This class is sans-I/O. It remembers at most `peers` peers; those that came longest ago are forgotten first.
"""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import FIFOCache


@dataclass(frozen=True, slots=True)
class PauseSettings:
    """Counts and seconds.

    quick_s: a link that ended sooner after its start counts. It is less than the half minute after which a node closes
      links that it does not need.
    free: so many count without a pause: a node that is restarted some times must be let in at once.
    first_s, most_s: the first pause, and the longest; each is twice the one before. At the longest, a peer costs one
      handshake a minute.
    fade_s: after so much time without another, one less counts.
    peers: peers that are remembered.
    """

    quick_s: float = 20.0
    free: int = 3
    first_s: float = 2.0
    most_s: float = 60.0
    fade_s: float = 60.0
    peers: int = 1024


class _Quick:
    """How often a peer came and went. until: when its pause ends."""

    def __init__(self, now: float) -> None:
        self.until = self._last = now
        self._times = 0.0

    def again(self, s: PauseSettings, now: float) -> None:
        idle = max(0.0, now - max(self._last, self.until))  # a pause is no merit: the peer had to wait
        self._times = max(0.0, self._times - idle / s.fade_s) + 1
        self._last = now
        over = int(self._times) - s.free
        if over > 0:
            self.until = now + min(s.most_s, s.first_s * 2.0 ** min(over - 1, 30))


class Pauses:
    def __init__(self, settings: PauseSettings) -> None:
        self.s = settings
        self._peers: FIFOCache[str, _Quick] = FIFOCache(settings.peers)

    def count(self, peer: str, now: float) -> None:
        """A link of the peer has ended soon after it began, or the peer replaced it by another."""
        quick = self._peers.get(peer) or _Quick(now)
        quick.again(self.s, now)
        self._peers[peer] = quick

    def left(self, peer: str, now: float) -> float:
        """Seconds until the peer may come or be dialled again; 0 without a pause."""
        quick = self._peers.get(peer)
        return 0.0 if quick is None else max(0.0, quick.until - now)

    def forget(self, peer: str) -> None:
        self._peers.pop(peer, None)
