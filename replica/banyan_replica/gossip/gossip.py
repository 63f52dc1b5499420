"""The facade of the gossip. The membership chooses neighbours, the tree decides what goes to which of them.

Calls report events with the time; `next_effect` yields effects in order until None; `get_timer` says when to call
`handle_timer`. `receive` returns new messages. The caller judges each, makes it durable, and calls one of:
  accepted   it is marked seen and forwarded;
  ignored    "not yet": nothing is remembered, and no points are charged;
  rejected   every node rejects it: other peers that announced its id are asked. The caller charges the sender
             (peers/peers.py). Only an announced message that is not sent when asked for is charged here.
Invariant: only a message that was accepted, published or learned, and so is durable, is forwarded or announced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict

from banyan_replica.gossip.frames import (
    AnyFrame,
    DeliverMessage,
    DropPeer,
    GossipEffect,
    PeerId,
    PeerInfo,
    Push,
    PushFrame,
    SendFrame,
)
from banyan_replica.gossip.membership import Membership
from banyan_replica.gossip.message_cache import Spread
from banyan_replica.gossip.plumtree import Plumtree
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.peers.ledger import Charge, Ledger, Offence


def _nothing(_mid: bytes) -> bytes | None:
    return None


class Gossip:
    """fetch(mid): reads a durable message from the store, for late grafts. addrs: this node's own addresses.
    join(items): the same content in fewer messages, each named after the last that it contains. ledger: points of
    peers, shared with the caller that judges messages. named: peers that stay linked.
    """

    def __init__(
        self,
        me: PeerId,
        settings: GossipSettings,
        rng: Rng,
        fetch: Callable[[bytes], bytes | None] = _nothing,
        addrs: tuple[str, ...] = (),
        join: Callable[[Sequence[Push]], list[Push]] = list,
        ledger: Ledger | None = None,
        unread: Callable[[PeerId], int] = lambda peer: 0,
        named: Container[PeerId] = (),
    ) -> None:
        self.settings = settings
        self._out: deque[GossipEffect] = deque()
        self._now: float | None = None
        self._ledger = ledger or Ledger()
        self._tree = Plumtree(settings, self._out, fetch, self._unanswered, join, unread)
        self._members = Membership(me, settings, rng, self._out, self._ledger, self._tree, named)
        self._members.addrs = addrs

    # -- peers

    def set_addrs(self, addrs: tuple[str, ...]) -> None:
        """Sets this node's own addresses, which joins and shuffles tell others."""
        self._members.addrs = addrs

    def join(self, peer: PeerId, addrs: tuple[str, ...], now: float) -> None:
        """Joins the network through this contact, dialling it if needed. It is asked again if all links are lost."""
        self._clock(now)
        self._members.join(PeerInfo(peer, addrs), now)

    def remember(self, anchors: tuple[PeerInfo, ...], now: float) -> None:
        """Restores the `anchors()` of the last run."""
        self._clock(now)
        self._members.remember(anchors, now)

    def anchors(self) -> tuple[PeerInfo, ...]:
        """Peers to dial first after a restart; the caller writes them to disk now and then."""
        return self._members.anchors()

    def callers(self) -> tuple[PeerInfo, ...]:
        """Neighbours that dialled us, with their own addresses: the peers to dial if there are no anchors."""
        return self._members.callers()

    def peer_up(self, peer: PeerId, *, group: str, outbound: bool, addrs: tuple[str, ...], now: float) -> None:
        """A connection was made. group: `group_of` its actual address."""
        self._clock(now)
        self._members.peer_up(peer, group, outbound, addrs, now)

    def peer_down(self, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._members.peer_down(peer, now)

    def become_leaf(self, is_leaf: bool, now: float) -> None:
        """Whether this node holds messages of some topics only. Its peers learn it apart, and call `subscribe`."""
        self._clock(now)
        self._members.become_leaf(is_leaf, now)
        self._tree.is_leaf = is_leaf

    def subscribe(self, peer: PeerId, topics: Container[bytes] | None, now: float) -> None:
        """The peer is a leaf: it gets only messages of these topics, which may change, and relays none. None: it is no
        leaf. Call it before the peer's first frame of gossip, and whenever it says otherwise."""
        self._clock(now)
        self._members.subscribe(peer, topics, now)
        link = self._tree.links.get(peer)
        if link is not None:
            link.topics = topics

    def dial_failed(self, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._members.dial_failed(peer, now)

    def hold(self, peer: PeerId, held: bool, now: float) -> None:
        """held: the peer's stream is full, so what is relayed waits in a bounded queue; False: it can take more."""
        self._clock(now)
        self._tree.hold(peer, held, now)

    def lost(self, peer: PeerId) -> None:
        """Messages of the peer were dropped unread, because too many waited. It may have sent what it was asked for, so
        it owes nothing of that any more; others are asked."""
        link = self._tree.links.get(peer)
        if link is not None:
            link.debts.clear()

    # -- messages

    def publish(self, mid: bytes, payload: bytes, now: float, topic: bytes = b"") -> None:
        """Sends a local message that is already durable. topic: see `subscribe`."""
        self._clock(now)
        self._tree.publish(mid, payload, topic, now)

    def forget_content(self, raw: bytes) -> None:
        """Keeps no message that has these bytes, which the store erases; b"": none at all. Who asks for one late gets
        what the store still has."""
        self._tree.recent.forget(raw)

    def receive(self, peer: PeerId, frame: AnyFrame, now: float) -> tuple[DeliverMessage, ...]:
        """The new messages of the frame, to be judged. Frames of a peer that is not up are ignored."""
        self._clock(now)
        if peer not in self._members.up:
            return ()
        if isinstance(frame, PushFrame):
            return tuple(self._tree.receive(peer, frame, now))
        self._members.receive(peer, frame, now)
        return ()

    def accepted(
        self, delivery: DeliverMessage, now: float, also: Sequence[bytes] = (), stale: int = 0, topic: bytes = b""
    ) -> None:
        """also: other new messages that it contained. stale: how many known ones it contained."""
        self._clock(now)
        if self._tree.accepted(delivery, topic, also, stale, now):
            self._ledger.news(delivery.peer, now)

    def ignored(self, mid: bytes, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._tree.ignored(mid)

    def bare(self, mid: bytes, peer: PeerId, now: float) -> None:
        """It came without content, so others that announced it are asked for it, and it is not passed on."""
        self._clock(now)
        self._tree.bare(mid, peer, now)

    def brought(self, peer: PeerId, now: float) -> None:
        """The peer brought an item that was new here, in whichever way."""
        self._members.news.brought(peer, now)

    def rejected(self, mid: bytes, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._tree.rejected(mid, peer, now)

    def expel(self, peer: PeerId, now: float) -> None:
        """Removes a lying peer from all views. The caller ends its connection."""
        self._clock(now)
        self._members.expel(peer, now)

    def learned(self, mid: bytes, now: float, topic: bytes = b"") -> None:
        """It came by reconciliation, or is not for this node: stops asking for it, and never pushes it. If it was
        awaited and can be sent from here, it is announced once it is durable."""
        self._clock(now)
        self._tree.learned(mid, topic, now)

    def durable(self) -> None:
        """Everything published, accepted or learned until now is on disk."""
        if self._now is not None:
            self._tree.durable(self._now)

    def forget_messages(self) -> None:
        """Forgets messages since the last `durable`, which were rolled back: they are not sent, and may come again."""
        kept = [e for e in self._out if not (isinstance(e, SendFrame) and isinstance(e.frame, PushFrame))]
        self._out.clear()
        self._out.extend(kept)
        self._tree.forget_fresh()

    # -- time and effects

    def handle_timer(self, now: float) -> None:
        self._clock(now)
        self._tree.handle_timer(now)
        self._members.handle_timer(now)

    def get_timer(self) -> float | None:
        """When to call handle_timer; None before the first call of any kind."""
        if self._now is None:
            return None
        return min(self._tree.get_timer(), self._members.tick_at, self._members.shuffles.at)

    def next_effect(self) -> GossipEffect | None:
        if not self._out and self._now is not None:
            self._tree.outgoing.flush(self._now)
        return self._out.popleft() if self._out else None

    # -- for operators

    def neighbours(self) -> tuple[PeerId, ...]:
        """Those that are pushed and announced messages, leaves last."""
        return (*self._members.active, *self._members.leaves)

    def leaves(self) -> tuple[PeerId, ...]:
        """The neighbours that are leaves, at a node that relays."""
        return tuple(self._members.leaves)

    def is_neighbour(self, peer: PeerId) -> bool:
        return self._members.is_neighbour(peer)

    def passive(self) -> tuple[PeerInfo, ...]:
        return tuple(self._members.passive.infos())

    def eager(self) -> tuple[PeerId, ...]:
        return tuple(link.peer for link in self._tree.links.values() if link.eager)

    def chosen(self) -> tuple[PeerId, ...]:
        """The neighbours that this node picked itself."""
        return tuple(p for p in self._members.active if self._members.up[p].chosen)

    def relies_on(self, peer: PeerId) -> bool:
        """Whether it is a neighbour that this node chose, or one of those that others chose and that stayed longest.
        These are soon so old that no request from outside can displace them."""
        return self._members.relies_on(peer)

    def spreads(self) -> tuple[Spread, ...]:
        """The last messages that were new here, and which neighbour was told of each when."""
        return self._tree.trail.spreads()

    def knows(self, mid: bytes) -> bool:
        return mid in self._tree.seen

    def stats(self) -> dict[str, int]:
        members = self._members
        return {
            **asdict(self._tree.counters),
            "connected": len(members.up),
            "active": len(members.active),
            "leaves": len(members.leaves),
            "passive": len(members.passive),
            "eager": len(self.eager()),
            "seen": len(self._tree.seen),
            "recent_bytes": self._tree.recent.held,
            "pending": len(self._tree.pending),
            "missing": len(self._tree.notes),
        }

    def _clock(self, now: float) -> None:
        if self._now is None:
            self._members.start(now)
        self._now = now

    def _unanswered(self, peer: PeerId, now: float) -> None:
        sentence = "announced messages and did not send them when asked"
        verdict = self._ledger.charge(peer, Charge(Offence.UNHONOURED, sentence), now)
        if verdict == "let go" and self._members.is_neighbour(peer):  # drop it once, even if it owes several messages
            self._members.expel(peer, now)
            self._out.append(DropPeer(peer, sentence, True))
