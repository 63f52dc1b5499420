"""How far each peer is to be trusted: points that it lost, and who is refused.

The ledger is kept by peer id and outlives a connection, so that dialling again is no pardon.
"""

from __future__ import annotations

from collections import OrderedDict

from banyan_replica.peers.links import Limits


class Ledger:
    """Points against peers, by peer id."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._points: OrderedDict[str, tuple[float, float, str]] = OrderedDict()
        self._banned: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def slight(self, peer: str, reason: str, now: float) -> bool:
        """Notes what an honest peer on a bad line may do too. Whether it is enough to let the peer go, unbanned."""
        held = self.points(peer, now)
        self._note(peer, max(held, min(held + self._limits.slight, self._limits.slights)), reason, now)
        return held + self._limits.slight >= self._limits.slights

    def charge(self, peer: str, points: int, reason: str, now: float) -> str | None:
        """The reason to let the peer go, or None while it may stay."""
        held = self.points(peer, now) + points
        self._note(peer, held, reason, now)
        if held < self._limits.ban_at:
            return None
        self._banned[peer] = (max(now + self._limits.ban_s, self._banned.get(peer, (0.0, ""))[0]), reason)
        if len(self._banned) > self._limits.bans:  # whoever would be free first; an operator's word goes last
            del self._banned[min(self._banned, key=lambda p: self._banned[p][0])]
        return reason

    def _note(self, peer: str, points: float, reason: str, now: float) -> None:
        self._points[peer] = (points, now, reason)
        self._points.move_to_end(peer)
        if len(self._points) > self._limits.bans:
            self._points.popitem(last=False)

    def ban(self, peer: str, reason: str, now: float) -> None:
        """Refuse the peer until it is pardoned: an operator's word does not heal by itself."""
        self._banned[peer] = (float("inf"), reason)

    def points(self, peer: str, now: float) -> float:
        held, at, _ = self._points.get(peer, (0.0, now, ""))
        return max(0.0, held - (now - at) / self._limits.heal_s)

    def last_reason(self, peer: str) -> str:
        return self._points[peer][2] if peer in self._points else ""

    def banned(self, peer: str, now: float) -> str | None:
        """Why the peer is refused, or None."""
        until, reason = self._banned.get(peer, (0.0, ""))
        if until <= now:
            self._banned.pop(peer, None)
            return None
        return reason

    def pardon(self, peer: str) -> None:
        self._banned.pop(peer, None)
        self._points.pop(peer, None)

    def bans(self, now: float) -> dict[str, tuple[float, str]]:
        """peer -> (seconds left, reason); an operator's ban has 10 years left."""
        forever = 10 * 365 * 86_400.0
        return {p: (min(until - now, forever), why) for p, (until, why) in self._banned.items() if until > now}
