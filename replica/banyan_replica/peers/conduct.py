"""The consequences of what a peer did: an event, points against the peer, and in the end a closed link."""

from __future__ import annotations

from collections.abc import Mapping

from banyan_replica.outbox import Outbox
from banyan_replica.peers.links import Limits, Standing
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.asking import Asking


class Conduct:
    """`standing`: the points, and who is banned."""

    def __init__(
        self, links: Mapping[str, PeerSession], standing: Standing, asking: Asking, out: Outbox, limits: Limits
    ) -> None:
        self._links, self._standing, self._asking, self._out, self._limits = links, standing, asking, out, limits

    def charge(self, link: PeerSession, reason: str, now: float) -> None:
        """A lie, or a breach of the protocol."""
        self._out.tell("rejected", peer=link.peer, reason=reason)
        self._asking.failed(link, now)
        why = self._standing.charge(link.peer, self._limits.reject, reason, now)
        if why is not None:
            self._out.bye(link, f"banned: {why}")

    def slight(self, link: PeerSession, reason: str, now: float) -> None:
        """Noted, and no lie: a peer that goes on like this is let go, and may come back."""
        self._out.tell("slighted", peer=link.peer, reason=reason)
        if self._standing.slight(link.peer, reason, now) and not link.closing:
            self._out.bye(link, reason)

    def note_slights(self, now: float) -> None:
        """Those that were found while peers were waited for."""
        slighted, self._asking.slighted = self._asking.slighted, []
        for peer, reason in slighted:
            if peer in self._links:
                self.slight(self._links[peer], reason, now)

    def ban(self, peer: str, reason: str, now: float) -> None:
        self._standing.ban(peer, reason, now)
        if peer in self._links:
            self._out.bye(self._links[peer], f"banned: {reason}")
