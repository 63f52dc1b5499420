"""The queues of each neighbour, and when they become a frame.

A push leaves at once, then at most one frame per neighbour in `window_s`: no delay without load, batches under load.
Announcements wait `lazy_s`, because the push usually arrives first, and are dropped if the peer shows meanwhile that it
has the message. What this node's people wrote goes in a frame of its own, before all that is relayed, which others can
flood. Invariant: every queue is bounded; if the queue of pushes is full, a message is announced; if that of
announcements is full, it is left to reconciliation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby

from banyan_replica.gossip.frames import GossipEffect, PeerId, Push, PushFrame, SendFrame
from banyan_replica.gossip.message_cache import Trail
from banyan_replica.gossip.records import Counters, TreeLink
from banyan_replica.gossip.settings import MAX_GRAFTS, MAX_IHAVES, GossipSettings

NEVER = float("inf")


class NeighbourQueues:
    def __init__(
        self,
        settings: GossipSettings,
        out: deque[GossipEffect],
        join: Callable[[Sequence[Push]], list[Push]],
        counters: Counters,
        trail: Trail,
    ) -> None:
        self.s = settings
        self.trail = trail
        self.out = out
        self.join = join
        self.counters = counters
        self.dirty: dict[PeerId, TreeLink] = {}  # something to send in the next frame
        self.lazy: dict[PeerId, TreeLink] = {}  # only announcements, which may wait
        self.flush_at = NEVER
        self.lazy_at = NEVER
        self.flushed = NEVER

    def push(self, link: TreeLink, item: Push, now: float, asked: bool = False) -> None:
        queue = link.relayed if item.hop else link.own
        if len(queue.items) >= self.s.queue or queue.size + len(item.payload) > self.s.queue_bytes:
            self.counters.overflowed += 1
            self.announce(link, item.mid, now)
            return
        queue.add(item)
        if asked:
            link.answers.add(item.mid)
        if link.peer not in self.dirty:
            self.mark(link, now)

    def announce(self, link: TreeLink, mid: bytes, now: float) -> None:
        link.ihaves[mid] = None
        if len(link.ihaves) > self.s.ihave_queue:
            link.ihaves = dict.fromkeys(list(link.ihaves)[len(link.ihaves) // 2 :])
            self.counters.overflowed += 1
        self.lazy[link.peer] = link
        if self.lazy_at == NEVER:
            self.lazy_at = now + self.s.lazy_s

    def mark(self, link: TreeLink, now: float) -> None:
        self.dirty[link.peer] = link
        if self.flush_at == NEVER:  # the first one leaves at once
            self.flush_at = now if self.flushed == NEVER else max(now, self.flushed + self.s.window_s)

    def flush(self, now: float) -> None:
        """Makes frames of what is due. Called when effects are drained, so one batch of calls makes one frame."""
        if self.flush_at > now:
            return
        self.flush_at = NEVER
        self.flushed = now
        dirty, self.dirty = self.dirty, {}
        joined: dict[tuple[bytes, ...], tuple[Push, ...]] = {}
        for link in dirty.values():
            if own := link.own.take(self.s.frame_bytes):
                self._send(link, PushFrame(self._items(link, own, joined)), len(own))
                self.trail.went(link.peer, [item.mid for item in own], "sent", now)
            if link.held:
                if link.own.items:
                    self.mark(link, now)
                continue
            taken = link.relayed.take(self.s.frame_bytes)
            items, ihaves, grafts = self._items(link, taken, joined), list(link.ihaves), link.grafts
            if link.own.items or link.relayed.items:
                self.mark(link, now)
            if not (items or ihaves or grafts or link.prune):
                continue
            if len(ihaves) > MAX_IHAVES or len(grafts) > MAX_GRAFTS:
                link.ihaves, ihaves = dict.fromkeys(ihaves[MAX_IHAVES:]), ihaves[:MAX_IHAVES]
                link.grafts, grafts = grafts[MAX_GRAFTS:], grafts[:MAX_GRAFTS]
            else:
                link.ihaves, link.grafts = {}, []
            self._send(link, PushFrame(items, tuple(ihaves), tuple(grafts), link.prune), len(taken))
            link.prune = False
            self.trail.went(link.peer, [item.mid for item in taken], "sent", now)
            self.trail.went(link.peer, ihaves, "announced", now)
            self.counters.announced += len(ihaves)
            if link.ihaves or link.grafts:
                self.mark(link, now)

    def _send(self, link: TreeLink, frame: PushFrame, pushed: int) -> None:
        self.out.append(SendFrame(link.peer, frame))
        self.counters.frames += 1
        self.counters.pushed += pushed

    def _items(
        self, link: TreeLink, taken: Sequence[Push], joined: dict[tuple[bytes, ...], tuple[Push, ...]]
    ) -> tuple[Push, ...]:
        """The messages, in fewer runs; but those that the peer asked for by their id keep that id. joined: what was
        joined for other links."""
        if link.answers:
            out: list[Push] = []
            for alone, group in groupby(taken, lambda item: item.mid in link.answers):
                some = list(group)
                out += some if alone else self.join(some)
            link.answers.difference_update(item.mid for item in taken)
            return tuple(out)
        mids = tuple([item.mid for item in taken])
        items = joined.get(mids)
        if items is None:
            items = joined[mids] = tuple(self.join(taken))
        return items

    def at_once(self, now: float) -> None:
        """Sends marked links now, without waiting for the window."""
        self.flush_at = now

    def due(self, now: float) -> None:
        """Moves announcements that have waited long enough to the next frame."""
        if self.lazy_at <= now:
            self.lazy_at = NEVER
            self.dirty.update(self.lazy)
            self.lazy = {}
            self.flush_at = now

    def forget(self, peer: PeerId) -> None:
        """Drops the queues of a peer that is no longer a neighbour."""
        self.dirty.pop(peer, None)
        self.lazy.pop(peer, None)

    def get_timer(self) -> float:
        return min(self.flush_at, self.lazy_at)
