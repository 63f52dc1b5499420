"""The passive view: known peers without a connection, to replace neighbours that leave, and the shuffles that fill it.

Invariant: it holds at most `passive` peers, and at most `passive_per_group` of one address group. Each has an address
and was trusted by the ledger when it was added.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Container, Mapping
from typing import TypeVar

from banyan_replica.gossip.address_groups import LOCAL, group_of_any
from banyan_replica.gossip.frames import GossipEffect, PeerId, PeerInfo, SendFrame, Shuffle, Shuffled
from banyan_replica.gossip.records import Conn, NeighbourRefusal, Spare
from banyan_replica.gossip.settings import GossipSettings, Rng
from banyan_replica.peers.ledger import Ledger

# Choices of peers, the random ones by the gossip's own generator.

T = TypeVar("T")


def pick(rng: Rng, of: list[T]) -> T:
    """One of a list that is not empty."""
    return of[rng.randrange(len(of))]


def sample(rng: Rng, of: list[T], most: int) -> list[T]:
    """At most `most` elements, each once. Shuffles the list."""
    for i in range(min(most, len(of))):
        j = i + rng.randrange(len(of) - i)
        of[i], of[j] = of[j], of[i]
    return of[:most]


def giving_way(leaves: Collection[PeerId], up: Mapping[PeerId, Conn], named: Container[PeerId]) -> list[PeerId]:
    """Of which leaves one makes room for another. Those of the address group that has most; if none has two, not
    the oldest quarter, which nobody displaces by coming again and again. None that is named, unless all are. leaves:
    oldest first, and not empty."""
    fit = [peer for peer in leaves if peer not in named] or list(leaves)
    groups = Counter(up[peer].group for peer in fit)
    most = max(groups.values())
    return fit[len(fit) // 4 :] if most == 1 else [peer for peer in fit if groups[up[peer].group] == most]


class PassiveView:
    def __init__(self, settings: GossipSettings, rng: Rng, ledger: Ledger) -> None:
        self.s = settings
        self.rng = rng
        self.ledger = ledger
        self.spares: dict[PeerId, Spare] = {}
        self.refusals: dict[PeerId, NeighbourRefusal] = {}
        """The last ones, oldest first."""
        self.leaves: dict[PeerId, None] = {}
        """The last peers that were linked and are leaves, oldest first."""

    def __len__(self) -> int:
        return len(self.spares)

    def note(self, info: PeerInfo, now: float) -> None:
        """Adds the peer if the rules allow it. A full view drops a random peer."""
        peer, addrs = info
        if peer in self.spares or not addrs or not self.ledger.trusted(peer, now):
            return
        group = group_of_any(addrs)
        if group and not (self.s.local_exempt and group.startswith(LOCAL)):
            same = sum(spare.group == group for spare in self.spares.values())
            if same >= self.s.passive_per_group:
                return
        if len(self.spares) >= self.s.passive:
            del self.spares[pick(self.rng, list(self.spares))]
        self.spares[peer] = Spare(info, group)

    def refused(self, peer: PeerId, now: float) -> None:
        """The peer refused to be a neighbour, or let this node go. Each time shortly after another, it is asked again
        after twice the wait."""
        last = self.refusals.pop(peer, None)
        again = last is not None and now < last.again_at + self.s.refused_max_s
        wait_s = min(2 * last.wait_s, self.s.refused_max_s) if last is not None and again else self.s.refused_s
        self.refusals[peer] = NeighbourRefusal(now + wait_s, wait_s)
        if len(self.refusals) > self.s.passive:
            del self.refusals[next(iter(self.refusals))]

    def candidates(self, now: float) -> list[Spare]:
        """Those that may be asked to be a neighbour."""
        waits = {peer for peer, refusal in self.refusals.items() if refusal.again_at > now}
        return [spare for peer, spare in self.spares.items() if peer not in waits]

    def note_leaf(self, peer: PeerId, leaf: bool) -> None:
        """A linked peer is a leaf, or is none."""
        self.leaves.pop(peer, None)
        if leaf:
            self.leaves[peer] = None
            if len(self.leaves) > self.s.known_leaves:
                del self.leaves[next(iter(self.leaves))]

    def is_leaf(self, peer: PeerId) -> bool:
        return peer in self.leaves

    def forget(self, peer: PeerId) -> None:
        self.spares.pop(peer, None)

    def infos(self) -> list[PeerInfo]:
        return [spare.info for spare in self.spares.values()]


# Shuffles keep views random: a sample of known peers walks from neighbour to neighbour until its steps are used up, and
# the last node's sample returns on the same path. A node accepts it only from the neighbour that it sent its shuffle
# to; otherwise any peer could fill its passive view.


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

    def hasten(self, now: float) -> None:
        """A leaf has a neighbour that can tell it of others."""
        if not self.passive.spares:
            self.at = min(self.at, now)

    def send(self, addrs: tuple[str, ...], now: float) -> None:
        """Sends our own shuffle. addrs: this node's addresses."""
        self.at = now + self.s.shuffle_s
        if not self.active:
            return
        target = pick(self.rng, list(self.active))
        mine = sample(self.rng, [p for p in self.active if p != target], len(self.active))
        mine.sort(key=lambda p: self.up[p].is_leaf)  # leaves last
        shown = [PeerInfo(p, self.up[p].addrs) for p in mine[: self.s.shuffle_active]]
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
        self.answer(src, shuffle)
        for info in (origin, *peers):
            self.note(info, now)

    def answer(self, src: PeerId, shuffle: Shuffle, *first: PeerInfo) -> None:
        """Answers a shuffle. A leaf is told of those first that relay: among leaves these are few, and what one leaf
        knows comes to the next."""
        near = self.active if self.up[src].is_leaf else ()
        relays = [PeerInfo(p, self.up[p].addrs) for p in near if not self.up[p].is_leaf]
        others = sample(self.rng, self.passive.infos(), self.s.shuffle_back)
        back = (*first, *relays, *others)[: self.s.shuffle_back]
        self.out.append(SendFrame(src, Shuffled(shuffle.origin.peer, back)))

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
