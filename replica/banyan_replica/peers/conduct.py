"""The consequences of what a peer did: an event, points against the peer, and in the end a closed link."""

from __future__ import annotations

from collections.abc import Mapping

from banyan_replica.gossip.gossip import Gossip
from banyan_replica.outbox import Outbox
from banyan_replica.peers.ledger import Charge, Ledger
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.asking import Asking


class Conduct:
    def __init__(
        self, links: Mapping[str, PeerSession], ledger: Ledger, asking: Asking, gossip: Gossip, out: Outbox
    ) -> None:
        self._links, self._ledger, self._asking, self._gossip, self._out = links, ledger, asking, gossip, out

    def charge(self, link: PeerSession, charge: Charge, now: float) -> None:
        """Charges a peer; at a threshold, tells it why and disconnects. A liar is also removed from the gossip's views;
        after a slight a peer may come back."""
        lie = charge.offence.value.lie
        if lie:
            self._out.tell("rejected", peer=link.peer, reason=charge.sentence)
            self._asking.failed(link, now)
        else:
            self._out.tell("slighted", peer=link.peer, reason=charge.sentence)
        verdict = self._ledger.charge(link.peer, charge, now)
        if verdict == "stays":
            return
        if lie:
            self._gossip.expel(link.peer, now)
        if not link.closing:
            self._out.bye(link, f"banned: {charge.sentence}" if verdict == "banned" else charge.sentence)

    def note_slights(self, now: float) -> None:
        """Charges the slights that reconciliation found."""
        slighted, self._asking.slighted = self._asking.slighted, []
        for peer, charge in slighted:
            if peer in self._links:
                self.charge(self._links[peer], charge, now)

    def ban(self, peer: str, reason: str, now: float) -> None:
        """Bans a peer by order of the operator."""
        self._ledger.ban(peer, reason)
        self._gossip.expel(peer, now)
        if peer in self._links:
            self._out.bye(self._links[peer], f"banned: {reason}")
