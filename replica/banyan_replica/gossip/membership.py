"""HyParView: a small active view of neighbours that push to each other, and a larger passive view to replace them.

After Leitão, Pereira, Rodrigues 2007, with three rules against an eclipse:
  - the active view has one neighbour per address group, the passive view two per group;
  - no request from outside evicts the `chosen` links that this node picked itself, and it always tries to have so
    many; nor the `elders`, the oldest links that others picked, because at the other end they are chosen ones;
  - the answer to a walk is accepted only from the neighbour that the walk was sent to, and returns on the same path.
And a peer that is no neighbour, and brings more that is new than all neighbours together, is not hung up on. Those that
are `named` never are: they stay linked, and that makes no place for them in a view.

A leaf holds the messages of some topics only and relays next to nothing. A node that relays gives it a place in
`leaves`, not in the active view, answers its walks at once and tells nobody of it. A leaf has other leaves in its
active view until it knows nodes that relay. Counter-example: leaves had places in the active view; of ten nodes that
relay, among 100 leaves, each had two links to another one, and no leaf had any.
Invariant: both views are bounded subsets of the connected peers, and no two of the active view share a group.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container

from banyan_replica.gossip.address_groups import LOCAL, group_of
from banyan_replica.gossip.frames import (
    DialPeer,
    DropPeer,
    ForwardJoin,
    GossipEffect,
    Join,
    MemberFrame,
    Neighbour,
    NeighbourAnswer,
    NoNeighbour,
    PeerId,
    PeerInfo,
    SendFrame,
    Shuffle,
    Shuffled,
)
from banyan_replica.gossip.message_cache import News
from banyan_replica.gossip.passive import PassiveView, Shuffles, giving_way, pick
from banyan_replica.gossip.records import Conn, Dial, Neighbours
from banyan_replica.gossip.settings import MAX_ADDRS, GossipSettings, Rng
from banyan_replica.peers.ledger import Ledger

NEVER = float("inf")


class Membership:
    def __init__(
        self,
        me: PeerId,
        settings: GossipSettings,
        rng: Rng,
        out: deque[GossipEffect],
        ledger: Ledger,
        tree: Neighbours,
        named: Container[PeerId] = (),
    ) -> None:
        self.me, self.named, self.is_leaf = me, named, False
        self.addrs: tuple[str, ...] = ()
        self.s, self.rng, self.out, self.ledger, self.tree = settings, rng, out, ledger, tree
        self.up: dict[PeerId, Conn] = {}
        self.active: dict[PeerId, float] = {}  # neighbour since
        self.leaves: dict[PeerId, float] = {}  # empty in a node that is a leaf
        self.news = News()
        self.passive = PassiveView(settings, rng, ledger)
        self.contacts: dict[PeerId, PeerInfo] = {}  # dialled first: given by the operator, found near, of the last run
        self.anchored: dict[PeerId, PeerInfo] = {}
        self.dials: dict[PeerId, Dial] = {}
        self.asked: tuple[PeerId, float] | None = None  # the one open request to be neighbours, and its deadline
        self.expecting: dict[PeerId, float] = {}  # peers that owe an answer to join or neighbour, and the deadline
        self.shuffles = Shuffles(me, settings, rng, out, self.up, self.active, self.passive, self._note_passive)
        self.tick_at = self.audit_at = self.trust_at = NEVER
        self.retry_at, self.retry_s = 0.0, settings.retry_s

    # -- what the replica reports

    def start(self, now: float) -> None:
        """Starts the timers at a random phase; the first call of any kind does this."""
        self.tick_at = now + self.s.tick_s * self.rng.random()
        self.shuffles.start(now)
        self.audit_at = now + self.s.audit_s * (0.5 + self.rng.random())
        self.trust_at = now + self.s.trust_s

    def join(self, contact: PeerInfo, now: float) -> None:
        if contact.peer == self.me:
            return
        self._remember(self.contacts, contact)
        self._ask_to_join(contact, now)

    def remember(self, anchors: tuple[PeerInfo, ...], now: float) -> None:
        """Takes the anchors of the last run, and dials the first `chosen` of them."""
        for anchor in anchors[: self.s.anchors]:
            if anchor.peer != self.me:
                self._remember(self.anchored, anchor)
        for anchor in list(self.anchored.values())[: self.s.chosen]:
            self._ask_to_join(anchor, now)

    def anchors(self) -> tuple[PeerInfo, ...]:
        """The peers to write to disk: chosen neighbours first, then earlier anchors."""
        first = [PeerInfo(p, self.up[p].addrs) for p in self.active if self.up[p].chosen and self.up[p].addrs]
        rest = [a for a in self.anchored.values() if a.peer not in {p.peer for p in first}]
        return tuple((first + rest)[: self.s.anchors])

    def callers(self) -> tuple[PeerInfo, ...]:
        """Neighbours that dialled us, with those of their claimed addresses that are DNS names or in the group that
        they dialled from. A node that was only ever dialled knows no other peers after a restart."""
        found = []
        for peer in self.active:
            conn = self.up[peer]
            addrs = tuple(a for a in conn.addrs if a.startswith("/dns") or group_of(a) == conn.group)
            if addrs and conn.inbound:
                found.append(PeerInfo(peer, addrs))
        return tuple(found[: self.s.anchors])

    def peer_up(self, peer: PeerId, group: str, outbound: bool, addrs: tuple[str, ...], now: float) -> None:
        dial = self.dials.pop(peer, None)
        if peer == self.me or (peer not in self.up and len(self.up) >= self.s.links):
            why = f"{len(self.up)} connections are tracked already, no more than {self.s.links}"
            self.out.append(DropPeer(peer, why, False))
            return
        known = addrs[:MAX_ADDRS] or (dial.addrs if dial else ())
        chosen = dial.chosen if dial else outbound  # the operator had it dialled, so it counts as chosen
        self.up[peer] = Conn(group, known, dial is not None, not outbound, chosen, now + self.s.spare_s)
        if dial is not None:
            self.out += [SendFrame(peer, frame) for frame in dial.frames]
            if self.asked is not None and self.asked[0] == peer:
                self.asked = peer, now + self.s.ask_s
        elif outbound:
            self._remember(self.contacts, PeerInfo(peer, known))
            self.expecting[peer] = now + self.s.ask_s
            self.out.append(SendFrame(peer, Join(self.addrs)))

    def peer_down(self, peer: PeerId, now: float) -> None:
        if self.asked is not None and self.asked[0] == peer and peer in self.up and self.up[peer].dialled:
            self.passive.forget(peer)  # it hung up without an answer, and may have banned us
        self._forget_asked(peer)
        self.news.forget(peer)
        if self.is_neighbour(peer):
            self._let_go(peer, now)
        conn = self.up.pop(peer, None)
        if conn is None:
            return
        if conn.inbound and peer in self.named:  # at its end it may be a spare one; one that we dial is none
            self.trust_at = min(self.trust_at, now + self.s.tick_s)
        self._refill(now)

    def expel(self, peer: PeerId, now: float) -> None:
        """Removes the peer from all views."""
        self.passive.forget(peer)
        self.anchored.pop(peer, None)
        if self.is_neighbour(peer):
            self._leave(peer, now)
            self.anchored.pop(peer, None)
        self._refill(now)

    def dial_failed(self, peer: PeerId, now: float) -> None:
        self.dials.pop(peer, None)
        self.passive.forget(peer)
        self._forget_asked(peer)
        self._refill(now)

    # -- leaves

    def is_neighbour(self, peer: PeerId) -> bool:
        return peer in self.active or peer in self.leaves

    def become_leaf(self, is_leaf: bool, now: float) -> None:
        """Leaves that are neighbours come into the other view by asking again."""
        if is_leaf == self.is_leaf:
            return
        self.is_leaf = is_leaf
        for peer in [*self.leaves, *[p for p in self.active if self.up[p].is_leaf]]:
            self._part(peer, now)
        self._refill(now)

    def subscribe(self, peer: PeerId, topics: Container[bytes] | None, now: float) -> None:
        """See `Gossip.subscribe`."""
        if (conn := self.up.get(peer)) is None:
            return
        was, conn.topics = conn.is_leaf, topics
        self.passive.note_leaf(peer, conn.is_leaf)
        if was != conn.is_leaf and not self.is_leaf and self.is_neighbour(peer):
            self._leave(peer, now)
            if not self._admit(peer, now):
                self.out.append(SendFrame(peer, NoNeighbour()))
            self._refill(now)

    def _feeds(self, peer: PeerId) -> bool:
        """Whether it is a leaf at a node that relays."""
        return self.up[peer].is_leaf and not self.is_leaf

    def _part(self, peer: PeerId, now: float) -> None:
        self.out.append(SendFrame(peer, NoNeighbour()))
        self._let_go(peer, now)

    # -- frames of neighbours

    def receive(self, src: PeerId, frame: MemberFrame, now: float) -> None:
        match frame:
            case Join(addrs):
                self._may_dial(src, addrs)
                self._on_join(src, now)
            case ForwardJoin(joiner, ttl):
                if self.is_neighbour(src):
                    self._on_forward(src, joiner, ttl, now)
            case Neighbour(urgent, addrs):
                self._may_dial(src, addrs)
                self._answer(src, (urgent or self._has_place(src)) and self._admit(src, now))
            case NeighbourAnswer(yes):
                self._on_answer(src, yes, now)
            case NoNeighbour():
                if self.is_neighbour(src):
                    self._let_go(src, now)
                    self.passive.refused(src, now)
                    self._refill(now)
            case Shuffle():
                if src in self.active:
                    self.shuffles.walks(src, frame, now)
                elif src in self.leaves:
                    self.shuffles.answer(src, frame, PeerInfo(self.me, self.addrs))
            case Shuffled():
                self.shuffles.comes_back(src, frame, now)

    def _may_dial(self, src: PeerId, addrs: tuple[str, ...]) -> None:
        """Takes the claimed addresses of a peer that dialled us; for a peer that we dialled they are known."""
        self.up[src].addrs = self.up[src].addrs or addrs

    def _on_join(self, src: PeerId, now: float) -> None:
        conn = self.up[src]
        self._answer(src, self._admit(src, now))
        if now - conn.forwarded_at >= self.s.join_gap_s and not self._feeds(src):
            conn.forwarded_at = now
            told = ForwardJoin(PeerInfo(src, conn.addrs), self.s.join_ttl)
            self.out += [SendFrame(peer, told) for peer in self.active if peer != src]

    def _on_forward(self, src: PeerId, joiner: PeerInfo, ttl: int, now: float) -> None:
        if joiner.peer == self.me:
            return
        if ttl == self.s.join_spare_ttl:
            self._note_passive(joiner, now)
        onward = [p for p in self.active if p not in (src, joiner.peer)]
        if ttl > 0 and len(self.active) > 1 and onward:
            self.out.append(SendFrame(pick(self.rng, onward), ForwardJoin(joiner, min(ttl, self.s.join_ttl) - 1)))
        elif joiner.peer not in self.active:
            self._reach(joiner, Neighbour(len(self.active) <= 1, self.addrs), now, chosen=False)

    def _on_answer(self, src: PeerId, yes: bool, now: float) -> None:
        expected = src in self.expecting
        self._forget_asked(src)
        if yes and not self.is_neighbour(src) and not (expected and self._admit(src, now)):
            self.out.append(SendFrame(src, NoNeighbour()))
        if not self.is_neighbour(src):
            self.passive.refused(src, now)
        elif self.is_leaf:
            self.shuffles.hasten(now)
        if yes or len(self.active) <= self.s.active // 2:
            self._refill(now)

    # -- the views

    def _has_place(self, peer: PeerId) -> bool:
        full = len(self.leaves) >= self.s.leaves if self._feeds(peer) else len(self.active) >= self.s.active
        return self.is_neighbour(peer) or not full

    def _admit(self, peer: PeerId, now: float) -> bool:
        """Adds the peer to its view if the rules allow it. A full one drops another peer: unprotected, or a leaf."""
        if self.is_neighbour(peer):
            return True
        conn, fed = self.up[peer], self._feeds(peer)
        if not self.ledger.trusted(peer, now) or (not fed and self._clashes(conn.group)):
            return False
        if not self._has_place(peer):
            if fed and now < conn.waits_until and peer not in self.named:
                return False
            conn.waits_until = now + self.s.leaf_gap_s
            losers = giving_way(self.leaves, self.up, self.named) if fed else self._unprotected()
            self._part(pick(self.rng, losers), now)
        (self.leaves if fed else self.active)[peer] = now
        self.passive.forget(peer)
        self.tree.neighbour_up(peer, now, conn.topics)
        return True

    def _unprotected(self) -> list[PeerId]:
        """Leaves first, if this node is one."""
        protected = self._protected()
        found = [p for p in self.active if p not in protected]
        return [p for p in found if self.up[p].is_leaf] or found

    def _leave(self, peer: PeerId, now: float) -> None:
        kept = peer in self._protected()
        since = self.active.pop(peer, now)
        self.leaves.pop(peer, None)
        self.tree.neighbour_down(peer)
        conn = self.up[peer]
        conn.spare_at = now + self.s.spare_s
        if kept and conn.addrs and now - since >= self.s.anchor_s:
            self._remember(self.anchored, PeerInfo(peer, conn.addrs))

    def _let_go(self, peer: PeerId, now: float) -> None:
        """The neighbour leaves, and may be asked again later."""
        self._leave(peer, now)
        self._note_passive(PeerInfo(peer, self.up[peer].addrs), now)

    def relies_on(self, peer: PeerId) -> bool:
        return peer in self.active and peer in self._protected()

    def _protected(self) -> set[PeerId]:
        """Our chosen links, and the oldest links that others chose: those must also survive at our end."""
        chosen = sorted([p for p in self.active if self.up[p].chosen], key=lambda p: self.up[p].is_leaf)[
            : self.s.chosen
        ]
        return {*chosen, *[p for p in self.active if p not in chosen][: self.s.elders]}

    def _clashes(self, group: str) -> bool:
        if not group or (self.s.local_exempt and group.startswith(LOCAL)):
            return False
        return any(self.up[peer].group == group for peer in self.active)

    def _refill(self, now: float) -> None:
        """Asks one peer to be a neighbour if the view has free slots, or too few chosen links to nodes that relay."""
        short = len(self.active) < self.s.active
        own = sum(self.up[p].chosen and not self.up[p].is_leaf for p in self.active) < self.s.chosen
        if self.asked is not None or not (short or (own and self.passive)):
            return
        fit = [
            info
            for info, group in self.passive.candidates(now)
            if info.peer not in self.dials and not self._clashes(group)
        ]
        relays = [info for info in fit if not self.passive.is_leaf(info.peer)]
        fit = relays or (fit if self.is_leaf and short else [])
        trusted = [a for a in self.anchored.values() if not (self.is_neighbour(a.peer) or a.peer in self.dials)]
        if own and trusted and now >= self.retry_at:  # anchors first
            self.retry_at = now + self.retry_s
            fit = trusted
        if fit:
            info = pick(self.rng, fit)
            self.asked = info.peer, now + self.s.ask_s + (0 if info.peer in self.up else self.s.dial_s)
            self._reach(info, Neighbour(len(self.active) <= 1 or own, self.addrs), now, chosen=True)
        elif not self.active and now >= self.retry_at:
            known = [c for c in {**self.contacts, **self.anchored}.values() if c.peer not in self.dials]
            self.retry_at = now + self.retry_s
            self.retry_s = min(2 * self.retry_s, self.s.retry_max_s)
            if known:
                self._ask_to_join(pick(self.rng, known), now)

    # -- the passive view

    def _note_passive(self, info: PeerInfo, now: float) -> None:
        if info.peer != self.me and not self.is_neighbour(info.peer):
            self.passive.note(info, now)

    # -- dialling

    def _ask_to_join(self, contact: PeerInfo, now: float) -> None:
        if not self.is_neighbour(contact.peer):
            self._reach(contact, Join(self.addrs), now, chosen=True)

    def _reach(self, info: PeerInfo, frame: MemberFrame, now: float, *, chosen: bool) -> None:
        """Sends a request to a peer. If it is not connected, dials it and keeps the frame until it is up."""
        self.expecting[info.peer] = now + self.s.dial_s + self.s.ask_s
        conn = self.up.get(info.peer)
        if conn is not None:
            conn.chosen = conn.chosen or chosen
            conn.spare_at = now + self.s.spare_s
            self.out.append(SendFrame(info.peer, frame))
            return
        dial = self.dials.get(info.peer)
        if dial is None:
            if len(self.dials) >= self.s.dials or not info.addrs:
                self._forget_asked(info.peer)
                return
            dial = self.dials[info.peer] = Dial(info.addrs, chosen, now + self.s.dial_s)
            self.out.append(DialPeer(info.peer, info.addrs))
        if len(dial.frames) < self.s.held_frames:
            dial.frames.append(frame)

    def _answer(self, peer: PeerId, yes: bool) -> None:
        self.out.append(SendFrame(peer, NeighbourAnswer(yes)))

    def _forget_asked(self, peer: PeerId) -> None:
        self.expecting.pop(peer, None)
        if self.asked is not None and self.asked[0] == peer:
            self.asked = None

    # -- time

    def handle_timer(self, now: float) -> None:
        if self.tick_at <= now:
            self.tick_at = now + self.s.tick_s
            self._tick(now)
        if self.shuffles.at <= now:
            self.shuffles.send(self.addrs, now)

    def _tick(self, now: float) -> None:
        for peer in [p for p, d in self.dials.items() if d.until <= now]:
            self.dial_failed(peer, now)
        if self.asked is not None and self.asked[1] <= now:
            self.passive.forget(self.asked[0])
            self.passive.refused(self.asked[0], now)
            self._forget_asked(self.asked[0])
        self.expecting = {peer: until for peer, until in self.expecting.items() if until > now}
        for peer, conn in self.up.items():
            if not conn.dialled or conn.spare_at > now or self.is_neighbour(peer) or peer in self.named:
                continue
            if self.news.of([peer], now) > self.news.of(self.active, now):
                conn.spare_at = now + self.s.useful_s
            else:
                conn.spare_at = NEVER
                self.out.append(DropPeer(peer, "it is not a neighbour", False))
        if self.active:
            self.retry_s = self.s.retry_s
        if self.audit_at <= now:
            self._audit(now)
        self._ask_contact(now)
        self._refill(now)

    def _audit(self, now: float) -> None:
        """Dials a known peer that is no neighbour. After a partition both halves have full views and would never dial
        each other again; this connects them, so that they compare and exchange what they lack. With the chance
        `audit_trade` the peer replaces a neighbour, which merges the halves; more often would unsettle the tree."""
        self.audit_at = now + self.s.audit_s
        known = {**{info.peer: info for info in self.passive.infos()}, **self.contacts, **self.anchored}
        beyond = [info for p, info in known.items() if not (self.is_neighbour(p) or p in self.dials)]
        if self.active and beyond:
            urgent = self.rng.random() < self.s.audit_trade
            self._reach(pick(self.rng, beyond), Neighbour(urgent, self.addrs), now, chosen=False)

    def _ask_contact(self, now: float) -> None:
        """Dials a named contact that was not linked for long, others if none is linked. Strangers may have taken our
        neighbours and the passive view. A link is enough: linked peers compare what they hold."""
        away = [info for peer, info in self.contacts.items() if peer not in self.up and peer not in self.dials]
        if any(peer in self.up for peer in self.contacts):
            away = [info for info in away if info.peer in self.named]
        if not away:
            self.trust_at = now + self.s.trust_s
        elif self.trust_at <= now:
            self.trust_at = now + self.s.trust_s
            urgent = self.rng.random() < self.s.audit_trade
            self._reach(pick(self.rng, away), Neighbour(urgent, self.addrs), now, chosen=True)

    # -- small things

    def _remember(self, where: dict[PeerId, PeerInfo], info: PeerInfo) -> None:
        where.pop(info.peer, None)
        where[info.peer] = info
        while len(where) > 2 * self.s.anchors:
            del where[next((p for p in where if p not in self.named), next(iter(where)))]
