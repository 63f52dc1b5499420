"""Comparing if a node holds only some accounts: then two nodes compare the frontier of the accounts that both hold.

A partial node names its accounts to each neighbour once, the most important first, and then only changes. A neighbour
keeps as many of the first names as it has room for, and says how many (partial_frontier.py). So both sides of a link
know the same set. Each keeps the frontier of that set in a separate index (`PartialFrontier`), with a root, sketches
and ranges like a whole frontier. Roots are told every few seconds; if they differ, the shares are compared like whole
frontiers (comparison.py), at a cost proportional to the difference.

Each root is sent with a digest of the names that the sender keeps of the receiver's. So lost names are noticed, and all
names are sent again. The pause doubles each time, so a peer whose digest is never right costs little.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.gossip.address_groups import group_of
from banyan_replica.host import ReplicaHost
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.partial_frontier import REPLACE, Names, PartialFrontier, SentNames
from banyan_replica.wire.messages import NAME_BYTES, Interest, Message
from banyan_storage.reader import StoreReader

FRUITLESS_MOST_S = 600.0
"""If both roots stay the same after a comparison, the pause before the next one doubles up to so long."""

ALL = bytes(8)
"""The digest of no names, as of a node that holds everything."""


@dataclass(slots=True)
class Pair:
    """What we compare with one peer."""

    share: PartialFrontier
    theirs: Names | None
    """The names that we keep of its; None: it holds everything."""
    ours: SentNames | None
    """The names that we sent it; None: we hold everything."""
    keeps: Collection[bytes] = ()
    """Those of our names of which the share is, if both are partial."""
    compared: bytes = b""
    """The digest of our names of which the share is; empty: of others, or nobody knows."""
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


class PartialComparison:
    """The accounts of this node, of each partial peer, and the shares of both. out: takes the frames."""

    def __init__(
        self,
        store: StoreReader,
        public: bytes,
        limits: Limits,
        links: dict[str, PeerSession],
        around: ReplicaHost,
        random_bytes: Callable[[int], bytes],
        out: list[tuple[str, Message | bytes]],
    ) -> None:
        self._store, self._public, self._limits, self._links, self._out = store, public, limits, links, out
        self._around, self._random_bytes, self._start = around, random_bytes, b""
        self._own: PartialFrontier | None = None
        """Our share, compared with peers that hold everything; None while this node holds everything."""
        self._mine = Names()
        self._pairs: dict[str, Pair] = {}
        """By peer, those first whose share was read least recently."""
        self._read_for = ""
        self._asleep = False
        """Whether no share has anything to read; a driver asks `busy` after each frame, and pairs may be hundreds."""

    def _share(self, names: dict[bytes, None]) -> PartialFrontier:
        return PartialFrontier(self._store, self._public, names, self._wake)

    def _wake(self) -> None:
        self._asleep = False

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

    def logs(self, whole: int) -> int:
        """How many logs this node names to peers. whole: all that are here."""
        return whole if self._own is None else self._own.tree.count

    def limit(self, accounts: Collection[AccountId] | None, now: float) -> list[PeerSession]:
        """This node holds only these accounts, the most important first: names beyond `Limits.interest` are not sent.
        Call it only when no write is waiting. Returns the links over which other accounts are compared from now on.

        None (all) changes nothing on links that were told names: only new links compare everything.
        """
        if accounts is None:
            return []
        names = Names(islice(dict.fromkeys(account[:NAME_BYTES] for account in accounts), self._limits.interest))
        come, go = names.held.keys() - self._mine.held.keys(), self._mine.held.keys() - names.held.keys()
        self._mine.become(names)
        if self._own is None:
            self._own = self._share(self._mine.held)
        else:
            self._own.change(come, go)
        changed = list[PeerSession]()
        for link in self._links.values():
            if link.hello is None:
                continue
            pair = self._pairs.get(link.peer)
            if pair is None or pair.ours is None:
                self._pair(link, pair.theirs if pair else None, True, now)
                changed.append(link)
            elif come or go:
                pair.compared = b""
                self._send(link, pair.ours.frames(self._mine, now, self._random_bytes(NAME_BYTES)))
                changed.append(link)
        return changed

    def met(self, link: PeerSession, partial: bool, now: float) -> None:
        """Hellos were exchanged. partial: whether we said that we hold only some accounts."""
        theirs = Names() if link.hello is not None and link.hello.partial else None
        if partial or theirs is not None:
            self._pair(link, theirs, partial, now)

    def _pair(self, link: PeerSession, theirs: Names | None, partial: bool, now: float) -> Pair:
        ours = SentNames(self._limits.interest) if partial else None
        if theirs is None:
            assert self._own is not None
            share = self._own
        else:
            share = self._share({} if partial else theirs.held)
        pair = self._pairs[link.peer] = Pair(share, theirs, ours)
        if ours is not None:
            self._send(link, [Interest(REPLACE, b""), *ours.frames(self._mine, now, b"")])
        return pair

    def _send(self, link: PeerSession, frames: list[Interest]) -> None:
        self._out.extend((link.peer, frame) for frame in frames)

    def known(self, link: PeerSession, pair: Pair, told: bytes, now: float) -> bool:
        """Whether it is known which of our names the peer keeps, by its digest, and the share is of these. If names
        were lost, or it may have room for more, they are sent again. Call it only when no write is waiting."""
        if pair.ours is None:
            return told == ALL
        pair.ours.answered(told, now)
        self._send(link, pair.ours.again(self._mine, now, self._random_bytes(NAME_BYTES)))
        if pair.ours.known:
            self._align(link, pair, pair.ours, told)
        return pair.ours.known

    def _align(self, link: PeerSession, pair: Pair, ours: SentNames, told: bytes) -> None:
        """Lets the share be of the accounts that both keep."""
        if pair.compared == told:
            return
        pair.compared, pair.keeps = told, ours.keeps
        if pair.theirs is None and told == self._mine.digest:
            assert self._own is not None
            pair.share = self._own
            return
        both = pair.theirs.held.keys() & pair.keeps if pair.theirs is not None else dict.fromkeys(pair.keeps).keys()
        if pair.share is self._own:
            pair.share = self._share(dict.fromkeys(both))
        else:
            names = pair.share.names.keys()
            link.load.cost(len(names) + pair.share.change(both - names, names - both))

    # -- theirs

    def told(self, link: PeerSession, m: Interest, now: float) -> None:
        """The peer changed its names. Those for which there is no room are forgotten."""
        pair = self._pairs.get(link.peer)
        if pair is None or pair.theirs is None:  # it held everything until now
            pair = self._pair(link, Names(), pair is not None and pair.ours is not None, now)
        theirs = pair.theirs
        assert theirs is not None
        come, go = theirs.receive(m, self._limits.interest_kept)
        if pair.ours is not None and not pair.ours.known:
            pair.compared = b""
        else:
            come, go = self._both(pair, come), self._both(pair, go)
            link.load.cost(pair.share.change(come, go))
        pair.unheard = True
        link.load.cost(self._bound(pair) + self._make_room())

    def _both(self, pair: Pair, names: list[bytes]) -> list[bytes]:
        """Those that are compared."""
        return names if pair.ours is None else [name for name in names if name in pair.keeps]

    def _make_room(self) -> int:
        """Forgets the last names of those who named most, while peers tell too many together. The peer sees by the
        digest how many are kept, and sends the others again, less and less often. Returns what that costs."""
        held = {peer: len(pair.theirs) for peer, pair in self._pairs.items() if pair.theirs is not None}
        beyond, cost = sum(held.values()) - self._limits.interest_of_all, 0
        while beyond > 0:
            groups = Counter[str]()
            for peer, number in held.items():
                groups[self._group(peer)] += number
            most = max(held, key=lambda peer: (groups[self._group(peer)], held[peer]))
            kept = max(held[most] - beyond, held[most] // 2)
            cost += self._cut(self._pairs[most], kept)
            beyond -= held[most] - kept
            held[most] = kept
        return cost

    def _cut(self, pair: Pair, number: int) -> int:
        """Keeps only the first so many names of the peer."""
        assert pair.theirs is not None
        gone = pair.theirs.cut(number)
        pair.unheard = True
        if pair.ours is not None and not pair.ours.known:
            pair.compared = b""
            return 0
        return pair.share.change((), self._both(pair, gone))

    def _group(self, peer: str) -> str:
        link = self._links.get(peer)
        return group_of(link.address) if link is not None else ""

    def _bound(self, pair: Pair) -> int:
        """Of accounts with too many logs, only the first are compared. Returns what that costs."""
        many = max(pair.share.tree.rows, pair.share.tree.count) > self._limits.interest_logs
        return self._cut(pair, len(pair.theirs) // 4) if many and pair.theirs is not None else 0

    def gone(self, peer: str) -> None:
        self._pairs.pop(peer, None)

    # -- heads that move

    def _shares(self) -> Iterator[PartialFrontier]:
        if self._own is not None:
            yield self._own
        for pair in self._pairs.values():
            if pair.share is not self._own:
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
        if self._asleep or not (self._own or self._pairs):
            return False
        if next(self._due(), None) is not None:
            return True
        self._asleep = not any(share.tree.busy for share in self._shares())  # else some have to wait
        return False

    def _due(self) -> Iterator[tuple[str, PartialFrontier]]:
        """The shares to read on, and for which peer; ours first."""
        if self._own is not None and self._own.tree.busy:
            yield "", self._own
        for peer, pair in self._pairs.items():
            if pair.share is not self._own and pair.share.tree.busy and not self._around.has_to_wait(peer):
                yield peer, pair.share

    def work(self) -> list[PeerSession]:
        """Reads one slice of one share. Returns the links whose share has become ready, to be told a root. Call it only
        when no write is waiting."""
        reader, share = ("", None) if self._asleep else next(self._due(), ("", None))
        if share is None:
            return []
        tree = share.tree
        ready, rows = tree.ready, tree.rows
        tree.work()
        if reader:
            self._pairs[reader] = self._pairs.pop(reader)  # the others come before its next slice
            self._read_for = reader
        links = [link for peer, pair in self._pairs.items() if pair.share is share and (link := self._links.get(peer))]
        if reader:
            cost = (tree.rows - rows >> 2) + self._bound(self._pairs[reader])
            for link in links:
                link.load.cost(cost)
        return links if share.tree.ready and not ready else []

    def reader(self) -> str:
        """For which peer a share was read since the last call; empty if for none."""
        peer, self._read_for = self._read_for, ""
        return peer
