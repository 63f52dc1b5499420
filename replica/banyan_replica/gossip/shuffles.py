"""Shuffles: nodes exchange samples of the peers they know, by random walks, so that views stay random.

A shuffle walks from neighbour to neighbour until its steps are used up. The last node's sample returns on the same
path. A node accepts it only from the neighbour that it sent its shuffle to; otherwise any peer could fill its passive
view.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from banyan_replica.gossip.drawing import pick, sample
from banyan_replica.gossip.frames import GossipEffect, PeerId, PeerInfo, SendFrame, Shuffle, Shuffled
from banyan_replica.gossip.passive import PassiveView
from banyan_replica.gossip.records import Conn
from banyan_replica.gossip.settings import GossipSettings, Rng


class Shuffles:
    """`up`, `active`, `passive`: the views, owned by the membership. `note`: takes a peer into the passive view."""

    def __init__(
        self,
        me: PeerId,
        settings: GossipSettings,
        rng: Rng,
        out: deque[GossipEffect],
        up: Mapping[PeerId, Conn],
        active: Mapping[PeerId, float],
        passive: PassiveView,
        note: Callable[[PeerInfo, float], None],
    ) -> None:
        self.me = me
        self.s = settings
        self.rng = rng
        self.out = out
        self.up, self.active, self.passive = up, active, passive
        self.note = note
        self.routes: dict[PeerId, PeerId] = {}  # origin of a shuffle -> the peer that sent it to us
        self.sent_to: PeerId | None = None
        self.at = float("inf")

    def start(self, now: float) -> None:
        self.at = now + 1.0 + self.s.shuffle_s * self.rng.random()

    def send(self, addrs: tuple[str, ...], now: float) -> None:
        """Sends our own shuffle. addrs: this node's addresses."""
        self.at = now + self.s.shuffle_s
        if not self.active:
            return
        target = pick(self.rng, list(self.active))
        mine = [PeerInfo(p, self.up[p].addrs) for p in self.active if p != target]
        shown = sample(self.rng, mine, self.s.shuffle_active)
        shown += sample(self.rng, self.passive.infos(), self.s.shuffle_passive)
        self.sent_to = target
        self.out.append(SendFrame(target, Shuffle(PeerInfo(self.me, addrs), self.s.shuffle_ttl, tuple(shown))))

    def walks(self, src: PeerId, shuffle: Shuffle, now: float) -> None:
        """Handles the shuffle of another node: forwards it, or answers it if it ends here."""
        origin, ttl, peers = shuffle
        if origin.peer == self.me:
            return
        self.routes.pop(origin.peer, None)
        if len(self.routes) >= self.s.routes:
            del self.routes[next(iter(self.routes))]
        onward = [p for p in self.active if p not in (src, origin.peer)]
        if ttl > 0 and onward:
            self.routes[origin.peer] = src
            on = Shuffle(origin, min(ttl, self.s.shuffle_ttl) - 1, peers)
            self.out.append(SendFrame(pick(self.rng, onward), on))
            return
        back = tuple(sample(self.rng, self.passive.infos(), self.s.shuffle_back))
        self.out.append(SendFrame(src, Shuffled(origin.peer, back)))
        for info in (origin, *peers):
            self.note(info, now)

    def comes_back(self, src: PeerId, shuffled: Shuffled, now: float) -> None:
        """Handles an answer: takes it if our shuffle was asked for, otherwise passes it back on its path."""
        origin, peers = shuffled
        if origin == self.me:
            if src == self.sent_to:
                self.sent_to = None
                for info in peers[: self.s.shuffle_back]:
                    self.note(info, now)
            return
        back = self.routes.pop(origin, None)
        if back is not None and back in self.up:
            self.out.append(SendFrame(back, shuffled))
