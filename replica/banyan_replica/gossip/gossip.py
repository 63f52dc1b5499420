"""The facade: membership decides who the neighbours are, the tree decides what goes to whom, this joins the two.

Calls bring what happened and the time; `next_effect` yields what to do, in order, until None; `get_timer` says when to
call `handle_timer`. A message is handed out by `receive`, judged and made durable outside, and answered with one of:
  accepted   it is marked seen and goes on;
  ignored    "not yet": no trace is kept, no one pays;
  rejected   the same verdict at every node: others that announced it are asked. The sender is charged by whoever
             judged (conduct.py); what the tree finds out by itself, an announcement not honoured, is charged here.
Invariant: nothing is forwarded or announced before it was accepted, published or learned, hence durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict

from banyan_replica.gossip.frames import (
    AnyFrame,
    Delivery,
    DropPeer,
    GossipEffect,
    PeerId,
    PeerInfo,
    Push,
    Pushes,
    SendFrame,
)
from banyan_replica.gossip.membership import Membership
from banyan_replica.gossip.plumtree import Plumtree
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.peers.ledger import Charge, Ledger, Offence


def _nothing(_mid: bytes) -> bytes | None:
    return None


class Gossip:
    """`fetch(mid)` reads a durable message back from the store, for grafts that come late.

    `addrs`: where this node may be dialled. `join(items)` says the same in fewer messages, each named as its last.
    `ledger`: who is trusted; shared with whoever judges the messages.
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
    ) -> None:
        self.settings = settings
        self._out: deque[GossipEffect] = deque()
        self._now: float | None = None
        self._ledger = ledger or Ledger()
        self._tree = Plumtree(settings, self._out, fetch, self._unhonoured, join)
        self._members = Membership(me, settings, rng, self._out, self._ledger, self._tree)
        self._members.addrs = addrs

    # -- peers

    def set_addrs(self, addrs: tuple[str, ...]) -> None:
        """Where this node may be dialled, as joins and shuffles tell others."""
        self._members.addrs = addrs

    def join(self, peer: PeerId, addrs: tuple[str, ...], now: float) -> None:
        """Asks this contact for a place in the network, dialling it if need be; remembered for when it is alone."""
        self._clock(now)
        self._members.join(PeerInfo(peer, addrs), now)

    def remember(self, anchors: tuple[PeerInfo, ...], now: float) -> None:
        """The anchors() of the last run, from disk."""
        self._clock(now)
        self._members.remember(anchors, now)

    def anchors(self) -> tuple[PeerInfo, ...]:
        """Peers worth dialling first after a restart; write them to disk now and then."""
        return self._members.anchors()

    def callers(self) -> tuple[PeerInfo, ...]:
        """Neighbours that dialled us, with addresses that they tell: where there are no anchors, those to look for."""
        return self._members.callers()

    def peer_up(
        self, peer: PeerId, *, group: str, operator: str | None, outbound: bool, addrs: tuple[str, ...], now: float
    ) -> None:
        """A connection stands. `group` is group_of() the address it really has, `operator` is proven or None."""
        self._clock(now)
        self._members.peer_up(peer, group, operator, outbound, addrs, now)

    def peer_down(self, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._members.peer_down(peer, now)

    def dial_failed(self, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._members.dial_failed(peer, now)

    def hold(self, peer: PeerId, held: bool, now: float) -> None:
        """The peer's stream is full (True) or flows again (False); meanwhile its frames wait, bounded."""
        self._clock(now)
        self._tree.hold(peer, held, now)

    # -- messages

    def publish(self, mid: bytes, payload: bytes, now: float) -> None:
        """A local message, durable already."""
        self._clock(now)
        self._tree.publish(mid, payload, now)

    def receive(self, peer: PeerId, frame: AnyFrame, now: float) -> tuple[Delivery, ...]:
        """The messages of the frame that are not known here, to be judged. A peer that is not up is not heard."""
        self._clock(now)
        if peer not in self._members.up:
            return ()
        if isinstance(frame, Pushes):
            return tuple(self._tree.receive(peer, frame, now))
        self._members.receive(peer, frame, now)
        return ()

    def accepted(self, delivery: Delivery, now: float, also: Sequence[bytes] = (), stale: int = 0) -> None:
        """`also`: other messages that came in it and were new; `stale`: how many came in it and were not."""
        self._clock(now)
        if self._tree.accepted(delivery, also, stale, now):
            self._ledger.news(delivery.peer, now)

    def ignored(self, mid: bytes, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._tree.ignored(mid)

    def rejected(self, mid: bytes, peer: PeerId, now: float) -> None:
        self._clock(now)
        self._tree.rejected(mid, peer, now)

    def expel(self, peer: PeerId, now: float) -> None:
        """The peer lied: it is no neighbour and no candidate any more. Whoever says so ends its connection."""
        self._clock(now)
        self._members.expel(peer, now)

    def learned(self, mid: bytes, now: float) -> None:
        """It came by reconciliation: no longer asked for, never pushed, announced only if it was awaited."""
        self._clock(now)
        self._tree.learned(mid, now)

    def durable(self) -> None:
        """All that was published, accepted or learned until now is on disk."""
        self._tree.fresh.clear()

    def forget_messages(self) -> None:
        """What came since the last `durable` was lost with its transaction: it does not go out, and may come again."""
        kept = [e for e in self._out if not (isinstance(e, SendFrame) and isinstance(e.frame, Pushes))]
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

    # -- what an operator may ask

    def neighbours(self) -> tuple[PeerId, ...]:
        return tuple(self._members.active)

    def passive(self) -> tuple[PeerInfo, ...]:
        return tuple(self._members.passive.infos())

    def eager(self) -> tuple[PeerId, ...]:
        return tuple(link.peer for link in self._tree.links.values() if link.eager)

    def chosen(self) -> tuple[PeerId, ...]:
        """The neighbours this node picked itself."""
        return tuple(p for p in self._members.active if self._members.up[p].chosen)

    def knows(self, mid: bytes) -> bool:
        return mid in self._tree.seen

    def stats(self) -> dict[str, int]:
        members = self._members
        return {
            **asdict(self._tree.counters),
            "connected": len(members.up),
            "active": len(members.active),
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

    def _unhonoured(self, peer: PeerId, now: float) -> None:
        sentence = "announced messages and did not send them when asked"
        verdict = self._ledger.charge(peer, Charge(Offence.UNHONOURED, sentence), now)
        if verdict == "let go" and peer in self._members.active:  # it may owe several, and is let go once
            self._members.expel(peer, now)
            self._out.append(DropPeer(peer, sentence, True))
