"""Comparing if a node holds only some accounts: then two nodes compare the frontier of the accounts that both hold.

A partial node names its accounts to each neighbour once, and then only changes. So both sides of a link know the same
set. Each keeps the frontier of that set in a separate index (`Share`), with a root, sketches and ranges like a whole
frontier. Roots are told every few seconds; if they differ, the shares are compared like whole frontiers (comparing.py),
at a cost proportional to the difference.

Each root is sent with a digest of the names that the sender knows of the receiver. So a lost name is noticed, and all
names are sent again. The pause doubles each time, so a peer whose digest is never right costs little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.gossip.groups import group_of
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.shares import Names, Share
from banyan_replica.wire import NAME_BYTES, Interest, Message
from banyan_storage.reader import StoreReader

FRAME = 16_384
"""Names in one frame: 256 kB."""
AGAIN_S = 30.0
"""A peer with a wrong digest gets all names again after so long; the pause doubles up to AGAIN_MOST_S. The first pause
is long enough for the first frames to arrive."""
AGAIN_MOST_S = 3_600.0
FRUITLESS_MOST_S = 600.0
"""If both roots stay the same after a comparison, the pause before the next one doubles up to so long."""

ALL = bytes(8)
"""The digest of no names, as of a node that holds everything."""
REPLACE, ADD, REMOVE = 0, 1, 2
"""What an `interest` frame does with the names told before."""


@dataclass(slots=True)
class Pair:
    """What we compare with one peer. theirs: the names that it told us, None: it holds everything."""

    share: Share
    theirs: Names | None
    told: bool
    """Whether we told it our names; otherwise we hold everything."""
    again_at: float
    again_s: float = AGAIN_S
    said: bytes = b""
    """The last root that we told it."""
    unheard: bool = False
    """Whether it changed its names since then, so that it can't know yet whether we agree."""
    tried: tuple[bytes, bytes] = (b"", b"")
    """Our root and its root at the last comparison."""
    fruitless_s: float = 0.0
    next_at: float = 0.0

    def worth(self, mine: bytes, theirs: bytes, now: float, least: float) -> bool:
        """Whether to compare now. While both roots stay the same, the pause doubles each time."""
        if (mine, theirs) != self.tried:
            self.tried, self.fruitless_s, self.next_at = (mine, theirs), 0.0, now
        if now < self.next_at:
            return False
        self.fruitless_s = min(max(2 * self.fruitless_s, least), FRUITLESS_MOST_S)
        self.next_at = now + self.fruitless_s
        return True


class Interests:
    """The accounts of this node, of each partial peer, and the shares of both. out: takes the frames."""

    def __init__(
        self,
        store: StoreReader,
        public: bytes,
        limits: Limits,
        links: dict[str, PeerSession],
        random_bytes: Callable[[int], bytes],
        out: list[tuple[str, Message | bytes]],
    ) -> None:
        self._store, self._public, self._limits, self._links, self._out = store, public, limits, links, out
        self._random_bytes, self._start = random_bytes, b""
        self._own: Share | None = None
        """Our share, compared with peers that hold everything; None while this node holds everything."""
        self._mine = Names()
        self._pairs: dict[str, Pair] = {}
        """By peer, those first whose share was read least recently."""
        self.waits: Callable[[str], bool] = lambda peer: False
        """Whether reading a peer's share has to wait now. The driver may say so."""
        self._read_for = ""

    def pair(self, peer: str) -> Pair | None:
        """None if both hold everything."""
        return self._pairs.get(peer)

    def shared_with(self, peer: str) -> Pair:
        """For a peer with which only some accounts are compared."""
        return self._pairs[peer]

    def lacked(self, peer: str, prefix: bytes, heads: int) -> int:
        """The cost, in rows, of skipping names below a prefix that are not held. heads: those held there."""
        pair = self._pairs.get(peer)
        return 0 if pair is None else max(0, pair.share.below(prefix) - heads) >> 2

    # -- ours

    def limit(self, accounts: frozenset[AccountId] | None, now: float) -> list[PeerSession]:
        """This node holds only these accounts. Call it only when no write is waiting. Returns the links over which
        other accounts are compared from now on.

        None (all) changes nothing on links that were told names: only new links compare everything.
        """
        if accounts is None:
            return []
        names = self._chosen({account[:NAME_BYTES] for account in accounts})
        come, go = names - self._mine.held, self._mine.held - names
        self._mine.change(come, go)
        if self._own is None:
            self._own = Share(self._store, self._public, names)
        else:
            self._own.change(come, go)
        changed = list[PeerSession]()
        for link in self._links.values():
            if link.hello is None:
                continue
            pair = self._pairs.get(link.peer)
            if pair is None or not pair.told:
                self._pair(link, pair.theirs if pair else None, True, now)
                changed.append(link)
                continue
            if pair.theirs is not None:
                pair.share.change(come & pair.theirs.held, go & pair.share.names)
            if come or go:
                changed.append(link)
            self._tell(link, ADD, come)
            self._tell(link, REMOVE, go)
        return changed

    def _chosen(self, names: set[bytes]) -> set[bytes]:
        """As many names as may be told: all, or those after a random place."""
        most = self._limits.interest
        if len(names) <= most:
            return names
        self._start = self._start or self._random_bytes(NAME_BYTES)
        ordered = sorted(names)
        at = bisect_left(ordered, self._start)
        return set((ordered[at:] + ordered[:at])[:most])

    def met(self, link: PeerSession, partial: bool, now: float) -> None:
        """Hellos were exchanged. partial: whether we said that we hold only some accounts."""
        theirs = Names() if link.hello is not None and link.hello.partial else None
        if partial or theirs is not None:
            self._pair(link, theirs, partial, now)

    def _pair(self, link: PeerSession, theirs: Names | None, told: bool, now: float) -> Pair:
        if theirs is None:
            assert self._own is not None
            share = self._own
        else:
            share = Share(self._store, self._public, theirs.held & self._mine.held if told else theirs.held)
        pair = self._pairs[link.peer] = Pair(share, theirs, told, now + AGAIN_S)
        if told:
            self._tell_all(link)
        return pair

    def _tell_all(self, link: PeerSession) -> None:
        self._out.append((link.peer, Interest(REPLACE, b"")))
        self._tell(link, ADD, self._mine.held)

    def _tell(self, link: PeerSession, how: int, names: Collection[bytes]) -> None:
        ordered = sorted(names)
        for k in range(0, len(ordered), FRAME):
            self._out.append((link.peer, Interest(how, b"".join(ordered[k : k + FRAME]))))

    def known(self, link: PeerSession, pair: Pair, told: bytes, now: float) -> bool:
        """Whether the peer knows our names, by its digest. If it has not for long, all are told again."""
        if told == (self._mine.digest if pair.told else ALL):
            return True
        if pair.told and now >= pair.again_at:
            pair.again_s = min(2 * pair.again_s, AGAIN_MOST_S)
            pair.again_at = now + pair.again_s
            self._tell_all(link)
        return False

    # -- theirs

    def told(self, link: PeerSession, m: Interest, now: float) -> None:
        """The peer changed its names. Raises Malformed if they are too many."""
        names: set[bytes] = set(np.frombuffer(m.names, f"V{NAME_BYTES}").tolist())
        pair = self._pairs.get(link.peer)
        if pair is None or pair.theirs is None:  # it held everything until now
            pair = self._pair(link, Names(), pair.told if pair else False, now)
        theirs = pair.theirs
        assert theirs is not None
        held = theirs.held
        come = set[bytes]() if m.how == REMOVE else names - held
        go = held - names if m.how == REPLACE else names & held if m.how == REMOVE else set[bytes]()
        if len(held) + len(come) - len(go) > self._limits.interest:
            raise Malformed(f"names more than {self._limits.interest} accounts of interest")
        theirs.change(come, go)
        if pair.told:
            come, go = come & self._mine.held, go & pair.share.names
        link.load.cost(pair.share.change(come, go))
        pair.unheard = True
        self._bound(pair.share)
        self._make_room()

    def _make_room(self) -> None:
        """Forgets names while peers tell too many together. The peer sees by the digest that we do not know its names,
        and tells them again, less and less often."""
        held = {peer: len(pair.theirs.held) for peer, pair in self._pairs.items() if pair.theirs is not None}
        total = sum(held.values())
        while total > self._limits.interest_of_all:
            groups = Counter[str]()
            for peer, number in held.items():
                groups[self._group(peer)] += number
            most = max(held, key=lambda peer: (groups[self._group(peer)], held[peer]))
            pair, names = self._pairs[most], Names()
            pair.share.close()
            pair.theirs, pair.share = names, Share(self._store, self._public, set() if pair.told else names.held)
            total -= held.pop(most)

    def _group(self, peer: str) -> str:
        link = self._links.get(peer)
        return group_of(link.address) if link is not None else ""

    def _bound(self, share: Share) -> None:
        if max(share.tree.rows, share.tree.count) > self._limits.interest_logs:
            share.close()

    def gone(self, peer: str) -> None:
        self._pairs.pop(peer, None)

    # -- heads that move

    def _shares(self) -> Iterator[Share]:
        if self._own is not None:
            yield self._own
        for pair in self._pairs.values():
            if pair.theirs is not None:
                yield pair.share

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        if self._own is None and not self._pairs:
            return
        name = log.account[:NAME_BYTES]
        for share in self._shares():
            if name in share.names:
                share.tree.moved(log, old, new)

    def durable(self) -> None:
        if self._pairs or self._own is not None:
            for share in self._shares():
                share.durable()

    def rolled_back(self) -> None:
        for share in self._shares():
            share.rolled_back()

    # -- in the background

    @property
    def busy(self) -> bool:
        return next(self._due(), None) is not None

    def _due(self) -> Iterator[tuple[str, Share]]:
        """The shares to read on, and for which peer; ours first."""
        if self._own is not None and self._own.busy:
            yield "", self._own
        for peer, pair in self._pairs.items():
            if pair.theirs is not None and pair.share.busy and not self.waits(peer):
                yield peer, pair.share

    def work(self) -> list[PeerSession]:
        """Reads one slice of one share. Returns the links whose share has become ready, to be told a root."""
        reader, share = next(self._due(), ("", None))
        if share is None:
            return []
        tree = share.tree
        ready, rows = tree.ready, tree.rows
        tree.work()
        if reader:
            self._pairs[reader] = self._pairs.pop(reader)  # the others come before its next slice
            self._read_for = reader
        links = [link for peer, pair in self._pairs.items() if pair.share is share and (link := self._links.get(peer))]
        if share is not self._own:
            for link in links:
                link.load.cost(tree.rows - rows >> 2)
            self._bound(share)
        return links if share.tree.ready and not ready else []

    def reader(self) -> str:
        """For which peer a share was read since the last call; empty if for none."""
        peer, self._read_for = self._read_for, ""
        return peer
