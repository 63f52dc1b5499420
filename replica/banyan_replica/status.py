"""What people may see of a replica, in values that no longer change."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.gossip.message_cache import Way
from banyan_replica.intake.intake import Intake, NotTaken
from banyan_replica.intake.untrusted import UntrustedUsage
from banyan_replica.outbox import Outbox
from banyan_replica.peers.ledger import Ledger
from banyan_replica.peers.session import PeerSession
from banyan_replica.peers.statements import Witnesses
from banyan_replica.sync.catchup import WHOLE
from banyan_replica.sync.sync import Sync


@dataclass(frozen=True, slots=True)
class LinkView:
    """A linked peer. named: by the operator. greeted: it said hello. partial: it holds chosen accounts. equal: we agree
    now. compared: we did once since it connected.

    platform: the key with which it says that it signs as one. neighbour: of the gossip. leaf: it is one that does not
    relay, and we do. served_at: when it last sent an entry that was new here. differences: its heads of logs on which
    we differ. asked: logs that it owes us. points: its penalty points; `reason`: the cause of the last ones.
    """

    peer: str
    address: str
    named: bool
    greeted: bool
    partial: bool
    platform: bytes
    outbound: bool
    neighbour: bool
    leaf: bool
    served_at: float | None
    since: float
    equal: bool
    compared: bool
    points: float
    reason: str
    differences: Mapping[LogId, Head]
    asked: tuple[LogId, ...]
    names: Container[bytes] | None
    """What it says that it holds: the beginnings of the ids of accounts, as of now; None: all."""


@dataclass(frozen=True, slots=True)
class BanView:
    """A peer that is refused until `until` (seconds)."""

    peer: str
    until: float
    reason: str
    points: float


@dataclass(frozen=True, slots=True)
class UntrustedView:
    """Bytes that strangers take, how many they may take (None: no bound), and why nothing more is taken, or nothing.
    part: an account of which only a part is taken, and why, or nothing."""

    used: int
    most: int | None
    full: str
    part: str


@dataclass(frozen=True, slots=True)
class SpreadView:
    """A message of the gossip, named by the first half of its last entry's id. time_ms: when it was new here. source:
    the peer that brought it; empty: it was written here. steps: which neighbour was told of it, how and when (ms)."""

    mid: bytes
    time_ms: int
    source: str
    steps: Mapping[str, tuple[Way, int]]


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """readers: peers that send us the whole network; left: the share of it that is still to come, 0 to 1. ahead_ms: how
    far this clock is ahead of the median of `platforms`. full: why no entries of others are taken, or nothing. notes:
    why items were not taken yet, by peer and log. refused: logs that differ at a linked peer of which something was not
    taken from it, why, and their length there. unheard: accounts that name accounts of this node, of which peers told,
    and which wait to be held. spreads: the last messages of the gossip, the oldest first."""

    links: tuple[LinkView, ...]
    interest: Set[AccountId] | None
    """The accounts that this node holds; None: all."""
    bans: tuple[BanView, ...]
    logs: int
    root: bytes
    fresh_as_of: int | None
    reading: bool
    readers: int
    left: float
    ahead_ms: int | None
    platforms: int
    full: str
    strangers: UntrustedView
    notes: Mapping[tuple[str, LogId], NotTaken]
    refused: Mapping[LogId, tuple[NotTaken, int]]
    unheard: int
    spreads: tuple[SpreadView, ...]


class Stands(NamedTuple):
    """logs, root: the frontier. meetings: grows with each peer that says hello or leaves."""

    logs: int
    root: bytes
    meetings: int


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """What a driver and people may ask of a replica. Nothing here changes it."""

    links: Mapping[str, PeerSession]
    ledger: Ledger
    gossip: Gossip
    sync: Sync
    tree: FrontierIndex
    intake: Intake
    strangers: UntrustedUsage
    witnesses: Witnesses
    out: Outbox
    wall_ms: Callable[[float], int]

    @property
    def stands(self) -> Stands:
        """The little of a view that is looked at after each batch."""
        return Stands(self.tree.count, self.tree.root, self.sync.meetings)

    @property
    def unsent(self) -> int:
        """Bytes of messages that wait to be taken by `next_effect`, gossip not counted."""
        return self.out.size

    @property
    def reading(self) -> bool:
        """Whether a peer reads a range of entries to this node."""
        return bool(self.sync.asking.catchup.reading)

    def ahead_ms(self) -> tuple[int, int]:
        """How far our clock is ahead of the median of the named platforms that were heard, and how many these are."""
        return self.witnesses.ahead_ms() or (0, 0)

    def view(self, now: float) -> ReplicaView:
        """All that people may see of it."""
        catchup, neighbours = self.sync.asking.catchup, frozenset(self.gossip.neighbours())
        leaves = frozenset(self.gossip.leaves())
        fresh, clock = self.witnesses.fresh_as_of(), self.witnesses.ahead_ms()
        held, bans = self.strangers, self.ledger.bans(now).items()
        return ReplicaView(
            links=tuple(self._link(link, neighbours, leaves, now) for link in self.links.values()),
            interest=self.sync.interest,
            bans=tuple(BanView(peer, now + left, why, self.ledger.points(peer, now)) for peer, (left, why) in bans),
            logs=self.tree.count,
            root=self.tree.root,
            fresh_as_of=fresh[0] if fresh else None,
            reading=bool(catchup.reading),
            readers=len(catchup.readers),
            left=round(sum(s.width for s in catchup.left()) / WHOLE.width, 3) if catchup.readers else 0.0,
            ahead_ms=clock[0] if clock else None,
            platforms=clock[1] if clock else 0,
            full=self.sync.asking.room.full,
            strangers=UntrustedView(held.used, held.most, held.full, held.part),
            notes=dict(self.intake.notes),
            refused=self._refused(),
            unheard=self.sync.notices.waiting(now),
            spreads=tuple(self._spreads()),
        )

    def _refused(self) -> dict[LogId, tuple[NotTaken, int]]:
        found = dict[LogId, tuple[NotTaken, int]]()
        for (peer, log), note in self.intake.notes.items():
            theirs = self.links[peer].told.differences.get(log) if peer in self.links else None
            if theirs is not None:
                found[log] = note, theirs.length
        return found

    def _spreads(self) -> list[SpreadView]:
        found, wall = [], self.wall_ms
        for one in self.gossip.spreads():
            steps = {who: (step.way, wall(step.at)) for who, step in one.steps.items()}
            found.append(SpreadView(one.mid, wall(one.at), one.source, steps))
        return found

    def _link(self, link: PeerSession, neighbours: Set[str], leaves: Set[str], now: float) -> LinkView:
        points, pair = self.ledger.points(link.peer, now), self.sync.interests.pair(link.peer)
        return LinkView(
            peer=link.peer,
            address=link.address,
            named=link.peer in self.witnesses.named.peers,
            greeted=link.hello is not None,
            partial=link.hello is not None and bool(link.hello.partial),
            platform=b"" if link.hello is None else link.hello.operator,
            outbound=link.outbound,
            neighbour=link.peer in neighbours,
            leaf=link.peer in leaves,
            served_at=link.load.served_at,
            since=link.since,
            equal=link.course.live,
            compared=link.course.met,
            points=points,
            reason=self.ledger.last_sentence(link.peer) if points else "",
            differences=dict(link.told.differences),
            asked=tuple(link.owed.logs),
            names=None if pair is None or pair.theirs is None else pair.theirs.held,
        )
