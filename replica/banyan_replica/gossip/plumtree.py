"""Plumtree, damped: push along a tree, announce on the other links, and ask for announced messages that do not arrive.

After Leitão, Pereira, Rodrigues 2007. Textbook pruning oscillates when several nodes publish at once: a cycle is cut
at several points and grafts restore it. So a link is pruned on a running score, not on one duplicate (`fresh`,
`prune_at`). A node prunes once in `prune_gap_s`, and not if it has only `eager_min` eager links. A graft resets the
score. Invariants: only accepted, published or learned messages are marked seen; a poisoned payload cannot hide an
honest one of the same id; a message that overflows the push queue is announced, and if that queue overflows too it is
left to reconciliation.

A neighbour may be a leaf: it holds the messages of some topics only, and is neither pushed nor announced others. It
relays next to nothing, so it is none of the eager links that a node needs, and is pruned as soon as its score says so.
A node that is a leaf itself needs one eager link, the faster one of two. It pushes what others wrote to leaves alone;
to those that relay it announces that. Such a link becomes eager when the leaf asks, not when it is asked or brings new.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence

from banyan_replica.gossip.frames import DeliverMessage, GossipEffect, PeerId, Push, PushFrame
from banyan_replica.gossip.message_cache import PayloadCache, SeenIds, Trail
from banyan_replica.gossip.neighbour_queues import NeighbourQueues
from banyan_replica.gossip.records import PATIENCE, Counters, MissingMessage, PendingMessage, TreeLink
from banyan_replica.gossip.settings import MAX_HOP, GossipSettings

NEVER = float("inf")
MAX_VERSIONS = 4  # different payloads under one id that may be judged at once
STALE = 1_024  # times that count no more and may be kept


class Plumtree:
    def __init__(
        self,
        settings: GossipSettings,
        out: deque[GossipEffect],
        fetch: Callable[[bytes], bytes | None],
        unanswered: Callable[[PeerId, float], None],
        join: Callable[[Sequence[Push]], list[Push]],
        unread: Callable[[PeerId], int],
    ) -> None:
        self.s = settings
        self.unread = unread
        self.fetch = fetch
        self.unanswered = unanswered
        self.seen = SeenIds(settings.seen)
        self.fresh: set[bytes] = set()
        """Ids that are marked seen and may not be durable yet."""
        self.awaited: list[tuple[bytes, bytes, set[PeerId]]] = []
        """Ids of `fresh` that were awaited when they came, their topics, and the peers that have them."""
        self.recent = PayloadCache(settings.recent, settings.recent_bytes)
        self.links: dict[PeerId, TreeLink] = {}
        self.is_leaf = False
        """Whether this node holds messages of some topics only, and its neighbours know that."""
        self.pending: dict[bytes, PendingMessage] = {}
        self.notes: dict[bytes, MissingMessage] = {}
        self.due: list[tuple[float, bytes]] = []
        """A heap of when to look at which note. An element whose note is gone, or has another time by now, is out of
        date; the heap is rebuilt when most are."""
        self.debt_at = NEVER
        self.collected = -NEVER
        self.prune_ok = -NEVER
        self.counters = Counters()
        self.trail = Trail()
        self.outgoing = NeighbourQueues(settings, out, join, self.counters, self.trail)

    # -- neighbours

    def neighbour_up(self, peer: PeerId, now: float, topics: Container[bytes] | None) -> None:
        link = self.links[peer] = TreeLink(peer, topics)
        if self.is_leaf:
            self._keep_two_eager(now)
        for mid, topic in self.recent.newest(self.s.greet, now - self.s.greet_s):
            if topics is None or topic in topics:
                self.outgoing.announce(link, mid, now)

    def _keep_two_eager(self, now: float) -> None:
        """At a leaf: two neighbours that relay push until the later one is known, and the others announce."""
        eager = [link for link in self.links.values() if link.eager]
        relays = [link for link in eager if link.topics is None]
        for link in eager if relays else ():
            if link not in relays[:2]:
                self._prune(link, now)

    def _prune(self, link: TreeLink, now: float) -> None:
        link.eager = False
        link.prune = True
        self.counters.prunes += 1
        self.outgoing.mark(link, now)

    def neighbour_down(self, peer: PeerId) -> None:
        self.links.pop(peer, None)
        self.outgoing.forget(peer)

    def hold(self, peer: PeerId, held: bool, now: float) -> None:
        link = self.links.get(peer)
        if link is not None:
            link.held = held
            if not held:
                self.outgoing.mark(link, now)

    def _mark_seen(self, mid: bytes) -> None:
        self.seen.add(mid)
        self.fresh.add(mid)

    def forget_fresh(self) -> None:
        for mid in self.fresh:
            self.seen.discard(mid)
            self.recent.drop(mid)
        for link in self.links.values():
            link.own.drop(self.fresh)
            link.relayed.drop(self.fresh)
            link.ihaves = {mid: None for mid in link.ihaves if mid not in self.fresh}
            link.answers -= self.fresh
        self.trail.drop(self.fresh)
        self.fresh.clear()
        self.awaited.clear()

    # -- local messages and verdicts

    def publish(self, mid: bytes, payload: bytes, topic: bytes, now: float) -> None:
        if mid in self.seen:
            return
        self.counters.published += 1
        self._settle(mid)
        self._mark_seen(mid)
        self.recent.put(mid, payload, 0, now, topic)
        self.trail.began(mid, "", now)
        self._spread(Push(mid, 0, payload), topic, (), now)

    def accepted(self, delivery: DeliverMessage, topic: bytes, also: Sequence[bytes], stale: int, now: float) -> bool:
        """Forwards a new message to the neighbours that are not known to have it. Returns whether it is new.

        also, stale: see `Gossip.accepted`.
        """
        mid, payload, hop, peer = delivery
        holders = self._settle(mid)
        for other in also:
            self._settle(other)
            self._mark_seen(other)
        if mid in self.seen:
            return False
        self.counters.accepted += 1
        self._mark_seen(mid)
        self.recent.put(mid, payload, hop, now, topic)
        link = self.links.get(peer)
        if link is not None:
            if not self._fed_by(link):
                link.score = min(2 * self.s.prune_at, link.score + self.s.fresh - 1)
                link.eager = link.eager or not (link.prune or self._feeds(link))
            if stale:
                self._tire(link, stale, now)
        holders.add(peer)
        self.trail.began(mid, peer, now)
        for holder in holders:
            self.trail.went(holder, (mid,), "has", now)
        self._spread(Push(mid, hop, payload), topic, holders, now)
        return True

    def ignored(self, mid: bytes) -> None:
        self.counters.ignored += 1
        self._settle(mid)

    def bare(self, mid: bytes, peer: PeerId, now: float) -> None:
        self.counters.ignored += 1
        self._ask_others(mid, peer, now)

    def rejected(self, mid: bytes, peer: PeerId, now: float) -> None:
        self.counters.rejected += 1
        self._ask_others(mid, peer, now)

    def _ask_others(self, mid: bytes, peer: PeerId, now: float) -> None:
        self.pending.pop(mid, None)
        note = self.notes.get(mid)
        if note is not None:  # others that announced this id may have an honest message: ask them now
            note.sources = [p for p in note.sources if p != peer]
            self._look(mid, note, now)

    def learned(self, mid: bytes, topic: bytes, now: float) -> None:
        if mid in self.seen:
            return
        self.counters.learned += 1
        awaited = mid in self.notes
        holders = self._settle(mid) if awaited or mid in self.pending else set()
        self._mark_seen(mid)
        if awaited:
            self.awaited.append((mid, topic, holders))

    def durable(self, now: float) -> None:
        """What was awaited and learned is still spreading: announces it, if it can be sent to whoever asks.

        Branches that do not count are held and not sent, and messages of accounts that are not held here are learned
        too. Who announces such a message is charged for it by every honest neighbour.
        """
        self.fresh.clear()
        awaited, self.awaited = self.awaited, []
        for mid, topic, holders in awaited:
            if self.fetch(mid) is None:
                continue
            for link in self._audience(topic, holders):
                self.outgoing.announce(link, mid, now)

    def _settle(self, mid: bytes) -> set[PeerId]:
        """Forgets the records of this message; returns the peers known to have it."""
        pending = self.pending.pop(mid, None)
        holders = pending.holders if pending is not None else set()
        note = self._drop_note(mid)
        if note is not None:
            holders.update(note.sources)
        return holders

    # -- frames in

    def receive(self, peer: PeerId, frame: PushFrame, now: float) -> list[DeliverMessage]:
        link = self.links.get(peer)
        out: list[DeliverMessage] = []
        duplicates = 0
        there = [*[item.mid for item in frame.items], *frame.ihaves]
        self.trail.went(peer, there, "has", now)
        if link is not None and link.ihaves:  # the peer has these, so they need not be announced to it
            for mid in there:
                link.ihaves.pop(mid, None)
        for mid, hop, payload in frame.items:
            if link is not None and link.debts:
                link.debts.pop(mid, None)
            if mid in self.seen:
                duplicates += 1
                continue
            pending = self.pending.get(mid)
            if pending is None or pending.until <= now:
                if pending is None and len(self.pending) >= self.s.pending:
                    self.counters.overflowed += 1
                    if link is not None:
                        self._note(mid, link, now)
                    continue
                self.pending[mid] = PendingMessage([payload], {peer}, now + self.s.pending_s)
                note = self.notes.get(mid)
                if note is not None:
                    self._look(mid, note, now + self.s.pending_s)
            else:
                pending.holders.add(peer)
                if payload in pending.payloads:
                    duplicates += 1
                    continue
                if len(pending.payloads) >= MAX_VERSIONS:
                    self.counters.overflowed += 1
                    continue
                pending.payloads.append(payload)
            out.append(DeliverMessage(mid, payload, min(hop + 1, MAX_HOP), peer))
        self.counters.duplicates += duplicates
        if link is None:
            return out
        if duplicates:
            self._tire(link, duplicates, now)
        for mid in frame.ihaves:
            if mid not in self.seen:
                self._note(mid, link, now)
        if frame.grafts:
            self._graft(link, frame.grafts, now)
        if frame.prune and (self._feeds(link) or self._eager_links() > 1):
            link.eager = False  # the last one stays, otherwise each message waits for a graft
            if self._feeds(link):
                link.own_until = -NEVER  # another one pushes to it what our people write, and it pays for each copy
        return out

    def _tire(self, link: TreeLink, duplicates: int, now: float) -> None:
        """The link brought messages that were known. It is pruned when it brought too many."""
        link.score -= duplicates
        if link.score > -(self.s.leaf_prune_at if self._fed_by(link) else self.s.prune_at):
            return
        link.score = 0
        if now < self.prune_ok or not (link.eager or self.is_leaf):
            return
        if self.is_leaf:
            needed = self._eager_links() <= link.eager
        else:
            needed = not self._feeds(link) and (
                len(self.links) <= self.s.flat or self._eager_links() <= self.s.eager_min
            )
        if not needed:
            self.prune_ok = now + self.s.prune_gap_s
            self._prune(link, now)

    def _note(self, mid: bytes, link: TreeLink, now: float) -> None:
        """The peer has a message that is not here: it is waited for, and then asked for."""
        pending = self.pending.get(mid)
        if pending is not None:
            pending.holders.add(link.peer)
        note = self.notes.get(mid)
        if note is not None:
            if link.peer not in note.sources and len(note.sources) < self.s.active:
                note.sources.append(link.peer)
        elif link.notes < self.s.notes_per_peer and len(self.notes) < self.s.notes:
            at = pending.until if pending is not None else now + self.s.graft_s
            link.notes += 1
            note = self.notes[mid] = MissingMessage(link.peer, at, [link.peer])
            self._look(mid, note, at)
            if link.notes == self.s.hurry and pending is None:
                self._ask(mid, note, now)
        else:
            self.counters.overflowed += 1

    def _drop_note(self, mid: bytes) -> MissingMessage | None:
        note = self.notes.pop(mid, None)
        if note is not None:
            link = self.links.get(note.by)
            if link is not None and link.notes:
                link.notes -= 1
        return note

    def _graft(self, link: TreeLink, mids: tuple[bytes, ...], now: float) -> None:
        link.grafted.sink(self.s.grafts_per_s, now)
        if not self._fed_by(link):
            link.eager = True
            link.score = 0
            link.prune = False
        for mid in mids:
            if link.grafted.level > self.s.grafts_per_s - 1:
                self.counters.grafts_refused += 1
                continue
            link.grafted.rise(1)
            kept = self.recent.get(mid)
            payload = kept.payload if kept is not None else self.fetch(mid)
            if payload is None:
                self.counters.grafts_refused += 1
                continue
            self.counters.grafts_answered += 1
            if kept is not None and kept.hop == 0:
                link.own_until = now + self.s.own_s
            self.outgoing.push(link, Push(mid, kept.hop if kept is not None else 1, payload), now, True)

    # -- frames out

    def _audience(self, topic: bytes, holders: Container[PeerId]) -> Iterator[TreeLink]:
        """The neighbours that a message of this topic is for."""
        for link in self.links.values():
            if link.peer not in holders and (link.topics is None or topic in link.topics):
                yield link

    def _spread(self, item: Push, topic: bytes, holders: Container[PeerId], now: float) -> None:
        for link in self._audience(topic, holders):
            relays = not self.is_leaf or link.topics is not None or item.hop == 0
            if (link.eager and relays) or (item.hop == 0 and now < link.own_until):
                self.outgoing.push(link, item, now)
            else:
                self.outgoing.announce(link, item.mid, now)

    # -- time

    def get_timer(self) -> float:
        return min(self.outgoing.get_timer(), self.due[0][0] if self.due else NEVER, self._collect_at())

    def handle_timer(self, now: float) -> None:
        self._repair(now)
        if self._collect_at() <= now:
            self.collected = now
            self._charge_overdue(now)
        self.outgoing.due(now)

    def _collect_at(self) -> float:
        return max(self.debt_at, self.collected + self.s.collect_s)

    def _look(self, mid: bytes, note: MissingMessage, at: float) -> None:
        """Has the note looked at then, and not before."""
        note.at = at
        heapq.heappush(self.due, (at, mid))
        if len(self.due) > 2 * len(self.notes) + STALE:
            self.due = [(note.at, mid) for mid, note in self.notes.items()]
            heapq.heapify(self.due)

    def _repair(self, now: float) -> None:
        """Asks for announced messages that have not arrived: first one source, then two others at once."""
        while self.due and self.due[0][0] <= now:
            at, mid = heapq.heappop(self.due)
            note = self.notes.get(mid)
            if note is None or note.at != at:
                continue
            note.sources = [p for p in note.sources if p in self.links]
            if not note.sources or note.tries >= self.s.graft_tries:
                self._drop_note(mid)
                self.counters.grafts_given_up += 1
            else:
                self._ask(mid, note, now)

    def _ask(self, mid: bytes, note: MissingMessage, now: float) -> None:
        """Asks a peer that announced the message, or two after the first try. Those that may be asked no more now may
        be asked again within a second."""
        waits = False
        for peer in note.sources[: 1 if note.tries == 0 else 2]:
            link = self.links[peer]
            note.sources.remove(peer)
            note.sources.append(peer)
            if mid in link.debts:  # the stream loses nothing: what it was asked for is on its way
                continue
            if not self._may_ask(link, now):
                waits = True
                continue
            if not self._feeds(link):
                link.eager = True
                link.score = 0
                link.prune = False
            link.grafts.append(mid)
            link.debts.setdefault(mid, now + self.s.honour_s)
            self.debt_at = min(self.debt_at, now + self.s.honour_s)
            self.counters.grafts += 1
            self.outgoing.mark(link, now)
        note.tries += not waits
        self._look(mid, note, now + (self.s.graft_s if waits else self.s.retry_graft_s))
        self.outgoing.at_once(now)

    def _may_ask(self, link: TreeLink, now: float) -> bool:
        """Asks for half of what a peer answers, so that frames which come together do not exceed its limit."""
        half = self.s.grafts_per_s // 2
        if link.asked.sink(half, now) > half - 1:
            return False
        link.asked.rise(1)
        return True

    def _charge_overdue(self, now: float) -> None:
        """Charges peers that announced a message and did not send it, even if another peer did. What they sent may wait
        here unread, since this node is busy: then it waits longer, but not for ever."""
        self.debt_at = NEVER
        for link in list(self.links.values()):
            if not self.unread(link.peer):
                link.patience = PATIENCE
            elif link.patience and any(until <= now for until in link.debts.values()):
                link.patience -= 1
                late = now + self.s.honour_s
                link.debts = {mid: max(until, late) for mid, until in link.debts.items()}
            for mid, until in list(link.debts.items()):
                if until <= now:
                    del link.debts[mid]
                    self.counters.unanswered += 1
                    self.unanswered(link.peer, now)
                else:
                    self.debt_at = min(self.debt_at, until)

    def _feeds(self, link: TreeLink) -> bool:
        """Whether it is a leaf at a node that relays."""
        return link.topics is not None and not self.is_leaf

    def _fed_by(self, link: TreeLink) -> bool:
        """Whether it relays, and this node is a leaf."""
        return link.topics is None and self.is_leaf

    def _eager_links(self) -> int:
        return sum(link.eager and not self._feeds(link) for link in self.links.values())
