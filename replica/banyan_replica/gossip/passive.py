"""The passive view: known peers without a connection, to replace neighbours that leave.

Invariant: it holds at most `passive` peers, and at most `passive_per_group` of one address group. Each has an address
and was trusted by the ledger when it was added.
"""

from __future__ import annotations

from banyan_replica.gossip.drawing import pick
from banyan_replica.gossip.frames import PeerId, PeerInfo
from banyan_replica.gossip.groups import LOCAL, group_of_any
from banyan_replica.gossip.records import Refusal, Spare
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.peers.ledger import Ledger


class PassiveView:
    def __init__(self, settings: GossipSettings, rng: Rng, ledger: Ledger) -> None:
        self.s = settings
        self.rng = rng
        self.ledger = ledger
        self.spares: dict[PeerId, Spare] = {}
        self.refusals: dict[PeerId, Refusal] = {}
        """The last ones, oldest first."""

    def __len__(self) -> int:
        return len(self.spares)

    def note(self, info: PeerInfo, now: float) -> None:
        """Adds the peer if the rules allow it. A full view drops a random peer."""
        peer, addrs = info
        if peer in self.spares or not addrs or not self.ledger.trusted(peer, now):
            return
        group = group_of_any(addrs)
        if group and not (self.s.local_exempt and group.startswith(LOCAL)):
            same = sum(spare.group == group for spare in self.spares.values())
            if same >= self.s.passive_per_group:
                return
        if len(self.spares) >= self.s.passive:
            del self.spares[pick(self.rng, list(self.spares))]
        self.spares[peer] = Spare(info, group)

    def refused(self, peer: PeerId, now: float) -> None:
        """The peer refused to be a neighbour, or let this node go. Each time shortly after another, it is asked again
        after twice the wait."""
        last = self.refusals.pop(peer, None)
        again = last is not None and now < last.again_at + self.s.refused_max_s
        wait_s = min(2 * last.wait_s, self.s.refused_max_s) if last is not None and again else self.s.refused_s
        self.refusals[peer] = Refusal(now + wait_s, wait_s)
        if len(self.refusals) > self.s.passive:
            del self.refusals[next(iter(self.refusals))]

    def candidates(self, now: float) -> list[Spare]:
        """Those that may be asked to be a neighbour."""
        waits = {peer for peer, refusal in self.refusals.items() if refusal.again_at > now}
        return [spare for peer, spare in self.spares.items() if peer not in waits]

    def forget(self, peer: PeerId) -> None:
        self.spares.pop(peer, None)

    def infos(self) -> list[PeerInfo]:
        return [spare.info for spare in self.spares.values()]
