"""What comes of what a peer did: it is told of, it is noted against the peer, and a peer that goes on is let go."""

from __future__ import annotations

from collections.abc import Mapping

from banyan_replica.outbox import Outbox
from banyan_replica.peers.ledger import Ledger
from banyan_replica.peers.links import Limits, Link
from banyan_replica.sync.asking import Asking


class Conduct:
    """`ledger`: the points, and who is banned."""

    def __init__(self, links: Mapping[str, Link], ledger: Ledger, asking: Asking, out: Outbox, limits: Limits) -> None:
        self._links, self._ledger, self._asking, self._out, self._limits = links, ledger, asking, out, limits

    def charge(self, link: Link, reason: str, now: float) -> None:
        """A lie, or a breach of the protocol."""
        self._out.tell("rejected", peer=link.peer, reason=reason)
        self._asking.failed(link, now)
        why = self._ledger.charge(link.peer, self._limits.reject, reason, now)
        if why is not None:
            self._out.bye(link, f"banned: {why}")

    def slight(self, link: Link, reason: str, now: float) -> None:
        """Noted, and no lie: a peer that goes on like this is let go, and may come back."""
        self._out.tell("slighted", peer=link.peer, reason=reason)
        if self._ledger.slight(link.peer, reason, now) and not link.leaving:
            self._out.bye(link, reason)

    def note_slights(self, now: float) -> None:
        """Those that were found while peers were waited for."""
        slighted, self._asking.slighted = self._asking.slighted, []
        for peer, reason in slighted:
            if peer in self._links:
                self.slight(self._links[peer], reason, now)

    def ban(self, peer: str, reason: str, now: float) -> None:
        self._ledger.ban(peer, reason, now)
        if peer in self._links:
            self._out.bye(self._links[peer], f"banned: {reason}")
