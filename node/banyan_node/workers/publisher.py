"""The state of the replica, published for readers on other threads, so that they do not wait for the writer.

The replica's thread makes a `PublishedState` after its work is durable: before it answers calls, so that a caller reads
what it wrote; when a peer says hello or leaves; and otherwise every LAG_S. If that is slow it is done less often, so
that it takes at most a fiftieth of the thread's time. Of calls that only publish entries, which may be hundreds a
second, it is root and count alone. Readers take entries and views from a snapshot of the store.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import partial
from typing import Protocol

from banyan_crdt.ids import LogId, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer
from banyan_node.home.keystore import Keys
from banyan_node.home.settings import Settings
from banyan_node.links.peer_independence import UntakenWrites, are_independent, wrong_clock
from banyan_replica.replica import Replica
from banyan_replica.status import ReplicaView
from banyan_storage.store import Store

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
