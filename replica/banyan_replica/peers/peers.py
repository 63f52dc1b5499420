"""What is done with one peer: by the node around the replica, and because of what the peer did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from banyan_crdt.ids import EntryId, LogId, WriterKey
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.outbox import Outbox
from banyan_replica.peers.ledger import Charge, Ledger, Offence
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.missing_parts import MissingParts
from banyan_replica.sync.sync import Sync
from banyan_storage.local_tables import BANNED
from banyan_storage.store import Store


@dataclass(frozen=True, slots=True)
class Peers:
    """links: those that are up. clock: called before what is timed."""

    store: Store
    links: Mapping[str, PeerSession]
    named: OperatorTrust
    ledger: Ledger
    sync: Sync
    missing: MissingParts
    gossip: Gossip
    out: Outbox
    clock: Callable[[float], None]

    # -- who is known

    def name(self, peer: str) -> None:
        """The operator names a peer."""
        link = self.links.get(peer)
        self.named.name(peer, b"" if link is None or link.hello is None else link.hello.operator)

    def dial_failed(self, peer: str, now: float) -> None:
        self.clock(now)
        self.gossip.dial_failed(peer, now)

    def greeted(self) -> list[str]:
        """The linked peers that sent a hello of our realm and version."""
        return [peer for peer, link in self.links.items() if link.hello is not None]

    def points(self, peer: str, now: float) -> float:
        """See `Ledger.points`."""
        return self.ledger.points(peer, now)

    def trusts(self, platform: WriterKey) -> bool:
        """See `OperatorTrust.trusts`."""
        return self.named.trusts(platform)

    def set_members(self, peers: Collection[str], platforms: Collection[WriterKey]) -> None:
        """See `OperatorTrust.set_members`."""
        self.named.set_members(peers, platforms)

    def told_by_named(self, log: LogId) -> int | None:
        """How many entries of this log a named peer holds, as far as it told: the most of them. None: none told."""
        found = list[int]()
        for peer, link in self.links.items():
            if peer in self.named.peers:
                if (theirs := link.told.differences.get(log)) is not None:
                    found.append(theirs.length)
                elif link.course.met:
                    found.append(0)
        return max(found, default=None)

    # -- what is asked of one

    def compare(self, peer: str, now: float) -> None:
        """Starts a comparison with a linked peer now, also of what stands."""
        link = self.links.get(peer)
        if link is not None and link.hello is not None:
            link.told.agrees()
            link.course.stuck.equal()
            self.sync.ask(link, now)
            self.out.collect()

    def ask_about(self, peer: str, some: Sequence[tuple[EntryId, int]]) -> None:
        """Asks a linked peer for its statements about operations without content (`ReplicaHost.answered`)."""
        if peer in self.greeted():
            for question in self.missing.ask_about(peer, some):
                self.out.send(peer, question)
            self.out.collect()

    def withheld(self) -> dict[tuple[EntryId, int], bytes]:
        """The last reasons that peers gave for content that is missing."""
        return dict(self.missing.withheld)

    # -- what it did, and the consequences

    def overran(self, peer: str, why: str, now: float) -> None:
        """The driver dropped a frame of the peer that was sent without credit (backlog.py)."""
        self.clock(now)
        link = self.links.get(peer)
        if link is not None and not link.closing:
            self.accuse(peer, Charge(Offence.BEYOND_CREDIT, why), now)

    def accuse(self, peer: str, charge: Charge, now: float) -> None:
        """Charges a linked peer with what it did elsewhere than in its frames."""
        link = self.links.get(peer)
        if link is not None:
            self.charge(link, charge, now)
            self.out.collect()

    def charge(self, link: PeerSession, charge: Charge, now: float) -> None:
        """Charges a peer: an event, points, and at a threshold it is told why and disconnected. A liar is also removed
        from the gossip's views; after a slight a peer may come back."""
        lie = charge.offence.value.lie
        if lie:
            self.out.tell("rejected", peer=link.peer, reason=charge.sentence)
            self.sync.asking.failed(link, now)
        else:
            self.out.tell("slighted", peer=link.peer, reason=charge.sentence)
        verdict = self.ledger.charge(link.peer, charge, now)
        if verdict == "stays":
            return
        if lie:
            self.gossip.expel(link.peer, now)
        if not link.closing:
            self.out.bye(link, "points", f"banned: {charge.sentence}" if verdict == "banned" else charge.sentence)

    def note_slights(self, now: float) -> None:
        """Charges the slights that reconciliation found."""
        slighted = self.sync.asking.slighted
        charges = [*slighted]
        slighted.clear()
        for peer, charge in charges:
            if peer in self.links:
                self.charge(self.links[peer], charge, now)

    def turn_away(self, peer: str, reason: str, now: float) -> None:
        """Tells a peer why it cannot stay, and disconnects it. It costs no points."""
        self.clock(now)
        link = self.links.get(peer)
        if link is not None and not link.closing:
            self.out.bye(link, "", reason)

    def ban(self, peer: str, reason: str, now: float) -> None:
        """Disconnects a peer and refuses it until it is pardoned, after a restart too."""
        BANNED.put(self.store, peer, reason)
        self.ledger.ban(peer, reason)
        self.gossip.expel(peer, now)
        if peer in self.links:
            self.out.bye(self.links[peer], "ban", f"banned: {reason}")

    def pardon(self, peer: str) -> None:
        """Ends a ban and forgets the peer's points."""
        BANNED.put(self.store, peer, None)
        self.ledger.pardon(peer)
