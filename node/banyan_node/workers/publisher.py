"""The state of the replica, published for readers on other threads, so that they do not wait for the writer.

The replica's thread makes a `PublishedState` after its work is durable: before it answers calls, so that a caller reads
what it wrote; when a peer says hello or leaves; and otherwise every LAG_S. If that is slow it is done less often, so
that it takes at most a fiftieth of the thread's time. Of calls that only publish entries, which may be hundreds a
second, it is root and count alone. Readers take entries and views from a snapshot of the store.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import partial
from typing import NamedTuple, Protocol

from banyan_crdt.ids import LogId, WriterKey, is_checkpoint
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings
from banyan_replica.gossip.address_groups import LOCAL, group_of
from banyan_replica.intake.clock_bounds import FUTURE_MS
from banyan_replica.replica import Replica
from banyan_replica.status import LinkView, ReplicaView
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

# What this node believes of its peers together: whether they may all be one stranger, and whether its clock is wrong.
#
# Only on the replica's thread. A clock that is ahead is seen by what peers do not take: they refuse entries of their
# future, and say nothing.

NETWORKS = 3
"""Peers that nobody named are believed together if they are in so many networks (gossip/address_groups.py)."""

UNTAKEN_S = 60.0
"""Entries of this node that no peer takes for so long are refused; peers that agree take them within seconds."""
LOOK_S = 1.0
"""How often it is looked for that."""


def are_independent(links: Iterable[LinkView]) -> bool:
    """Whether these peers cannot all be one stranger: the operator named one, or they are in NETWORKS networks.
    Those of this machine and of private networks are in one."""
    groups = set[str]()
    for link in links:
        if link.named:
            return True
        group = group_of(link.address)
        groups.add(LOCAL if group.startswith(LOCAL) else group)
    return len(groups) >= NETWORKS


def wrong_by_platforms(ahead_ms: int, platforms: int) -> str | None:
    """A sentence if this machine's clock is not that of the platforms that the operator named."""
    if abs(ahead_ms) <= FUTURE_MS:
        return None
    way = "ahead of" if ahead_ms > 0 else "behind"
    others = "the only named platform" if platforms == 1 else f"{platforms} named platforms"
    return f"this clock is {abs(ahead_ms) // 60_000:,} min {way} {others}; set it, with NTP if you can"


def wrong_clock(view: ReplicaView) -> str | None:
    """The same, or if no named platform was heard, by entries that peers send."""
    if view.ahead_ms is not None:
        return wrong_by_platforms(view.ahead_ms, view.platforms)
    notes = {key for key, note in view.notes.items() if note.reason == "future"}
    peers = {peer for peer, _ in notes}
    if notes and are_independent(link for link in view.links if link.peer in peers):
        logs = len({log for _, log in notes})
        what = f"entries of {logs:,} log{'s' * (logs > 1)} that peers have are dated in the future"
        return f"{what}; if that lasts, this clock is behind: set it"
    return None


class _Stood(NamedTuple):
    """A peer holds `length` entries of a log, and has since then (seconds)."""

    length: int
    since: float


class UntakenWrites:
    """Notices that no linked peer takes what this node writes. One that agrees with this node, or that takes some of
    it, shows that it is not so."""

    def __init__(self, writer: WriterKey, store: StoreReader) -> None:
        self._writer, self._store = writer, store
        self._stood: dict[tuple[str, LogId], _Stood] = {}
        self._due = 0.0
        self._said: str | None = None

    def look(self, now: float, view: ReplicaView) -> str | None:
        """A sentence if it is so."""
        if now >= self._due:
            self._due = now + LOOK_S
            self._said = self._look(view, now)
        return self._said

    def _look(self, view: ReplicaView, now: float) -> str | None:
        before, self._stood = self._stood, {}
        refusing, others, entries = set[str](), False, 0
        for link in view.links:
            if not link.greeted:
                continue
            others = others or link.equal
            for log, theirs in link.differences.items():
                if log.writer != self._writer or is_checkpoint(log):
                    continue
                mine = self._store.head(log).length
                if theirs.length >= mine:
                    continue
                old = before.get((link.peer, log))
                stood = old if old is not None and old.length == theirs.length else _Stood(theirs.length, now)
                self._stood[link.peer, log] = stood
                if now - stood.since >= UNTAKEN_S:
                    refusing.add(link.peer)
                    entries = max(entries, mine - theirs.length)
        if others or not refusing:
            return None
        what = "the last entry" if entries == 1 else f"the last {entries:,} entries"
        no = "does not take" if len(refusing) == 1 else "do not take"
        who = "the linked peer" if len(refusing) == 1 else f"{len(refusing)} linked peers"
        return f"{who} {no} {what} of this node; this clock may be ahead of theirs: compare it, and set it"


LAG_S = 0.25
"""The age that published state may reach while no calls are answered, seconds."""
SHARE = 50
"""Publishing takes at most 1/SHARE of the replica's time."""
CHEAP_S = 0.001
"""If publishing takes less than this, it is done before every answer."""
WITNESSED_MS = 10 * 60_000
"""How long a statement of a named platform counts that this node's state has matched."""


class AnswerScope(Enum):
    """Who is answered after a batch: nobody; only calls that published, which changes nothing but entries; others."""

    NOBODY = 0
    PUBLISHERS = 1
    OTHERS = 2


class PublishedContext(Protocol):
    """The part of the node's context that is published."""

    @property
    def settings(self) -> Settings: ...
    @property
    def realm(self) -> Realm: ...
    @property
    def store(self) -> Store: ...
    @property
    def replica(self) -> Replica: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def device(self) -> Signer: ...


@dataclass(frozen=True, slots=True)
class LocalIdentity:
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
class PublishedState(ReplicaView):
    """wrong_clock: a sentence if this machine's clock seems wrong. compared: some linked peer agreed with this node
    since it connected. grounds: those that did cannot all be one stranger."""

    wrong_clock: str | None
    compared: bool
    grounds: bool
    witnessed: bool
    """Whether this node's state matched a statement of a named platform lately."""

    def claims(self) -> dict[LogId, int]:
        """The greatest length that a peer claims of each log on which it differs from us."""
        found: dict[LogId, int] = {}
        for link in self.links:
            for log, head in link.differences.items():
                found[log] = max(found.get(log, 0), head.length)
        return found


def here(ctx: PublishedContext) -> LocalIdentity:
    return LocalIdentity(ctx.replica.me.peer, ctx.realm, ctx.settings, ctx.keys, ctx.device.key)


def published(
    ctx: PublishedContext, now: float, untaken: Callable[[ReplicaView], str | None] = lambda view: None
) -> PublishedState:
    """The current state. Only on the replica's thread. untaken: that peers take nothing of this node, if so."""
    view = ctx.replica.status.view(now)
    met = [link for link in view.links if link.greeted and link.compared]
    fresh = view.fresh_as_of
    witnessed = fresh is not None and ctx.replica.wall_ms(now) - fresh < WITNESSED_MS
    return PublishedState(
        **{each.name: getattr(view, each.name) for each in fields(view)},
        wrong_clock=wrong_clock(view) or untaken(view),
        compared=bool(met),
        grounds=bool(met) and (witnessed or are_independent(met)),
        witnessed=witnessed,
    )


class Publisher:
    """Publishes after batches of work."""

    seen: PublishedState
    """The last published state, from the first batch on; any thread may read it."""

    def __init__(self) -> None:
        self._untaken: UntakenWrites | None = None
        self._cost, self._due, self._meetings = 0.0, -math.inf, 0

    def after(self, ctx: PublishedContext, now: float, answers: AnswerScope) -> float:
        """Called after a batch. Returns when to publish if it did not now."""
        stands = ctx.replica.status.stands
        changed = answers is AnswerScope.OTHERS or stands.meetings != self._meetings
        if now >= self._due or (changed and self._cost < CHEAP_S):
            self._publish(ctx, now)
            return math.inf
        if answers is AnswerScope.PUBLISHERS:
            self.seen = replace(self.seen, logs=stands.logs, root=stands.root)
        return self._due

    def _publish(self, ctx: PublishedContext, now: float) -> None:
        began = time.thread_time()  # on a busy machine a cheap one takes long
        self._untaken = self._untaken or UntakenWrites(ctx.device.key, ctx.store)
        self.seen = published(ctx, now, partial(self._untaken.look, now))
        self._cost = time.thread_time() - began
        self._due = now + max(LAG_S, SHARE * self._cost)
        self._meetings = ctx.replica.status.stands.meetings
