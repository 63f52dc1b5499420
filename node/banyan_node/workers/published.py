"""The state of the replica, published for readers on other threads, so that they do not wait for the writer.

The replica's thread makes a `Published` after its work is durable: before it answers calls, so that a caller reads what
it wrote; when a peer says hello or leaves; and otherwise every LAG_S. If that is slow it is done less often, so that it
takes at most a fiftieth of the thread's time. Of calls that only publish entries, which may be hundreds a second, it is
root and count alone. Readers take entries and views from a snapshot of the store.
"""

from __future__ import annotations

import math
import time
from collections.abc import Container, Mapping, Set
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from banyan_crdt.ids import AccountId, Head, LogId, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings
from banyan_node.links.grounds import Untaken, are_independent, wrong_clock
from banyan_replica.gossip.trail import Way
from banyan_replica.intake.intake import NotTaken
from banyan_replica.intake.strangers import Strangers
from banyan_replica.peers.session import PeerSession
from banyan_replica.replica import Replica
from banyan_replica.sync.catchup import WHOLE

LAG_S = 0.25
"""The age that published state may reach while no calls are answered, seconds."""
SHARE = 50
"""Publishing takes at most 1/SHARE of the replica's time."""
CHEAP_S = 0.001
"""If publishing takes less than this, it is done before every answer."""
WITNESSED_MS = 10 * 60_000
"""How long a statement of a named platform counts that this node's state has matched."""


class Answered(Enum):
    """Who is answered after a batch: nobody; only calls that published, which changes nothing but entries; others."""

    NOBODY = 0
    PUBLISHERS = 1
    OTHERS = 2


class Context(Protocol):
    """The part of the node's context that is published."""

    @property
    def settings(self) -> Settings: ...
    @property
    def realm(self) -> Realm: ...
    @property
    def replica(self) -> Replica: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def device(self) -> Signer: ...


@dataclass(frozen=True, slots=True)
class Here:
    """The identity of this node; it does not change while the node runs."""

    peer: str
    realm: Realm
    settings: Settings
    keys: Keys
    writer: WriterKey
    """The device's key, which signs entries in the accounts that granted it."""

    def slot(self, index: int, slot: int, generation: int) -> Signer:
        """A key of an account hosted here. Any thread."""
        return Signer(self.realm, self.keys.slot_seed(index, slot, generation))


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """A linked peer. named: by the operator. greeted: it said hello. equal: we agree now. compared: we did once since
    it connected.

    platform: the key with which it says that it signs as one. neighbour: of the gossip. served_at: when it last sent an
    entry that was new here. differences: its heads of logs on which we differ. asked: logs that it owes us. points: its
    penalty points; `reason`: the cause of the last ones.
    """

    peer: str
    address: str
    named: bool
    greeted: bool
    operator: bool
    platform: bytes
    outbound: bool
    neighbour: bool
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
class BanSeen:
    """A peer that is refused until `until` (seconds)."""

    peer: str
    until: float
    reason: str
    points: float


@dataclass(frozen=True, slots=True)
class StrangersSeen:
    """Bytes that strangers take, how many they may take (None: no bound), and why nothing more is taken, or nothing.
    part: an account of which only a part is taken, and why, or nothing."""

    used: int
    most: int | None
    full: str
    part: str


@dataclass(frozen=True, slots=True)
class SpreadSeen:
    """A message of the gossip, named by the first half of its last entry's id. time_ms: when it was new here. source:
    the peer that brought it; empty: it was written here. steps: which neighbour was told of it, how and when (ms)."""

    mid: bytes
    time_ms: int
    source: str
    steps: Mapping[str, tuple[Way, int]]


@dataclass(frozen=True, slots=True)
class Published:
    """readers: peers that send us the whole network; left: the share of it that is still to come, 0 to 1. wrong_clock:
    a sentence if this machine's clock seems wrong. ahead_ms: how far it is ahead of the median of `platforms`. full:
    why no entries of others are taken, or nothing. refused: logs that differ at a linked peer of which something was
    not taken from it, why, and their length there. unheard: accounts that name accounts of this node, of which peers
    told, and which wait to be held. compared: some linked peer agreed with this node since it connected. grounds: those
    that did cannot all be one stranger. spreads: the last messages of the gossip, the oldest first."""

    links: tuple[LinkSeen, ...]
    interest: Set[AccountId] | None
    """The accounts that this node holds; None: all."""
    bans: tuple[BanSeen, ...]
    logs: int
    root: bytes
    fresh_as_of: int | None
    reading: bool
    readers: int
    left: float
    wrong_clock: str | None
    ahead_ms: int | None
    platforms: int
    full: str
    strangers: StrangersSeen
    refused: Mapping[LogId, tuple[NotTaken, int]]
    unheard: int
    compared: bool
    grounds: bool
    witnessed: bool
    """Whether this node's state matched a statement of a named platform lately."""
    spreads: tuple[SpreadSeen, ...]

    def claims(self) -> dict[LogId, int]:
        """The greatest length that a peer claims of each log on which it differs from us."""
        found: dict[LogId, int] = {}
        for link in self.links:
            for log, head in link.differences.items():
                found[log] = max(found.get(log, 0), head.length)
        return found


def here(ctx: Context) -> Here:
    return Here(ctx.replica.me.peer, ctx.realm, ctx.settings, ctx.keys, ctx.device.key)


def published(ctx: Context, now: float, untaken: str | None = None) -> Published:
    """The current state. Only on the replica's thread. untaken: that peers take nothing of this node, if so."""
    replica, catchup = ctx.replica, ctx.replica.sync.asking.catchup
    fresh, clock = replica.witnesses.fresh_as_of(), replica.witnesses.ahead_ms()
    ledger, neighbours = replica.ledger, frozenset(replica.gossip.neighbours())
    met = [link for link in replica.links.values() if link.hello is not None and link.course.met]
    witnessed = fresh is not None and replica.wall_ms(now) - fresh[0] < WITNESSED_MS
    return Published(
        links=tuple(_link(ctx, link, neighbours, now) for link in replica.links.values()),
        interest=replica.sync.interest,
        bans=tuple(
            BanSeen(peer, now + left, why, ledger.points(peer, now)) for peer, (left, why) in ledger.bans(now).items()
        ),
        logs=replica.tree.count,
        root=replica.tree.root,
        fresh_as_of=fresh[0] if fresh else None,
        reading=bool(catchup.reading),
        readers=len(catchup.readers),
        left=round(sum(s.width for s in catchup.left()) / WHOLE.width, 3) if catchup.readers else 0.0,
        wrong_clock=wrong_clock(ctx.replica) or untaken,
        ahead_ms=clock[0] if clock else None,
        platforms=clock[1] if clock else 0,
        full=replica.sync.asking.full,
        strangers=_strangers(replica.strangers),
        refused=_refused(replica),
        unheard=replica.sync.notices.waiting(now),
        compared=bool(met),
        grounds=bool(met) and (witnessed or are_independent(ctx.replica, met)),
        witnessed=witnessed,
        spreads=_spreads(ctx.replica),
    )


def _refused(replica: Replica) -> dict[LogId, tuple[NotTaken, int]]:
    found = dict[LogId, tuple[NotTaken, int]]()
    for (peer, log), note in replica.intake.notes.items():
        theirs = replica.links[peer].told.differences.get(log) if peer in replica.links else None
        if theirs is not None:
            found[log] = note, theirs.length
    return found


def _spreads(replica: Replica) -> tuple[SpreadSeen, ...]:
    found, wall = [], replica.wall_ms
    for one in replica.gossip.spreads():
        steps = {who: (step.way, wall(step.at)) for who, step in one.steps.items()}
        found.append(SpreadSeen(one.mid, wall(one.at), one.source, steps))
    return tuple(found)


def _strangers(seen: Strangers) -> StrangersSeen:
    return StrangersSeen(seen.used, seen.most, seen.full, seen.part)


def _link(ctx: Context, link: PeerSession, neighbours: Set[str], now: float) -> LinkSeen:
    ledger = ctx.replica.ledger
    points, pair = ledger.points(link.peer, now), ctx.replica.sync.interests.pair(link.peer)
    return LinkSeen(
        peer=link.peer,
        address=link.address,
        named=link.peer in ctx.replica.witnesses.named.peers,
        greeted=link.hello is not None,
        operator=link.hello is not None and bool(link.hello.operator),
        platform=b"" if link.hello is None else link.hello.operator,
        outbound=link.outbound,
        neighbour=link.peer in neighbours,
        served_at=link.load.served_at,
        since=link.since,
        equal=link.course.live,
        compared=link.course.met,
        points=points,
        reason=ledger.last_sentence(link.peer) if points else "",
        differences=dict(link.told.differences),
        asked=tuple(link.owed.logs),
        names=None if pair is None or pair.theirs is None else pair.theirs.held,
    )


class Publisher:
    """Publishes after batches of work. seen: the last published state; any thread may read it."""

    seen: Published
    _cost: float
    _due: float
    _meetings: int

    def __init__(self, ctx: Context, now: float) -> None:
        self._untaken = Untaken(ctx.device.key)
        self._publish(ctx, now)

    def after(self, ctx: Context, now: float, answers: Answered) -> float:
        """Called after a batch. Returns when to publish if it did not now."""
        changed = answers is Answered.OTHERS or ctx.replica.sync.meetings != self._meetings
        if now >= self._due or (changed and self._cost < CHEAP_S):
            self._publish(ctx, now)
            return math.inf
        if answers is Answered.PUBLISHERS:
            self.seen = replace(self.seen, logs=ctx.replica.tree.count, root=ctx.replica.tree.root)
        return self._due

    def _publish(self, ctx: Context, now: float) -> None:
        began = time.thread_time()  # on a busy machine a cheap one takes long
        self.seen = published(ctx, now, self._untaken.look(ctx.replica, now))
        self._cost = time.thread_time() - began
        self._due = now + max(LAG_S, SHARE * self._cost)
        self._meetings = ctx.replica.sync.meetings
