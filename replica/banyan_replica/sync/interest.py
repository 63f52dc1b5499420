"""What two nodes compare where one of them holds chosen accounts only: the frontier of the accounts that both hold.

A partial node names its accounts to each neighbour once, and from then on what came and what went. So both sides of a
link know the same set. Each keeps the frontier of that set in an index of its own (`Share`), with the same root,
sketches and ranges as a whole frontier has. The root is told every few seconds. Where two roots differ, they are
compared like any two frontiers (comparing.py), at a cost that follows the difference.

Each root is told with a digest of the names that its sender knows of the receiver. So a name that was lost shows, and
all names are told again, ever more slowly: a peer whose digest is never right costs little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_crdt.logs import NOTHING
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.wire import NAME_BYTES, Interest, Message
from banyan_storage.engine import after_prefix
from banyan_storage.reader import StoreReader

FRAME = 16_384
"""Names in one frame: 256 kB."""
AT_ONCE = 1_000
"""Accounts or heads that come or go in one step; more of them, and the share is read anew, in slices."""
AGAIN_S = 30.0
"""A peer whose digest is wrong is told all names again after so long, then twice as long each time, up to AGAIN_MOST_S.
The first frames to a new peer are on their way for a while."""
AGAIN_MOST_S = 3_600.0
FRUITLESS_MOST_S = 600.0
"""Two roots that stay as they are although they were compared are compared again ever more slowly, up to so long."""

ALL = bytes(8)
"""The digest of no names; a node that holds everything names none."""
REPLACE, ADD, REMOVE = 0, 1, 2
"""What an `interest` frame does to the names told before."""


class Names:
    """A set of accounts, each by the first 16 bytes of its id."""

    def __init__(self) -> None:
        self.held: set[bytes] = set()
        self._sum = 0

    @property
    def digest(self) -> bytes:
        """8 bytes: the sum of the first halves. It finds what was lost; nobody gains by forging it."""
        return self._sum.to_bytes(8, "big")

    def change(self, come: Collection[bytes], go: Collection[bytes]) -> None:
        """`come`: none of them held; `go`: all of them held."""
        self.held.update(come)
        self.held.difference_update(go)
        more = sum(int.from_bytes(n[:8], "big") for n in come) - sum(int.from_bytes(n[:8], "big") for n in go)
        self._sum = (self._sum + more) % (1 << 64)


class Share:
    """The frontier of some accounts of the store: a `FrontierSource`, and the index over it."""

    last_arrival = -1  # what no store has, and what the index begins with: it reads in slices, not at once

    def __init__(self, store: StoreReader, public: bytes, names: Iterable[bytes]) -> None:
        self._store, self._public = store, public
        self.names = set(names)
        self._sorted: list[bytes] | None = None
        self.tree = FrontierIndex(self, public)
        self.closed = False
        """It has too many logs, and is not compared: its index is never read."""
        self._pending = True
        """What was read into the index may not be durable."""

    @property
    def busy(self) -> bool:
        return self.tree.busy and not self.closed

    def close(self) -> None:
        self.names, self._sorted, self.closed = set(), None, True
        self.tree = FrontierIndex(self, self._public)

    def change(self, come: Collection[bytes], go: Collection[bytes]) -> int:
        """Accounts join or leave; how many names are to be read for it. Nothing that moved may wait to be written."""
        if self.closed or not (come or go):
            return 0
        self._sorted, self._pending = None, True
        few = len(come) + len(go) <= AT_ONCE
        gone = self._some(go) if few else None
        self.names.difference_update(go)
        self.names.update(come)
        came = self._some(come) if few else None
        if gone is None or came is None:
            self.tree = FrontierIndex(self, self._public)
            return len(self.names)
        for log, head in gone:
            self.tree.moved(log, head, NOTHING)
        for log, head in came:
            self.tree.moved(log, NOTHING, head)
        return len(come) + len(go)

    def durable(self) -> None:
        self._pending = False
        self.tree.durable()

    def rolled_back(self) -> None:
        if self._pending:
            self.tree = FrontierIndex(self, self._public)
        else:
            self.tree.rolled_back()

    def _some(self, names: Collection[bytes]) -> list[tuple[LogId, Head]] | None:
        """Heads of these accounts; None where they are too many for one step."""
        each = (self._store.all_heads(name, after_prefix(name)) for name in names)
        heads = list(islice(chain.from_iterable(each), AT_ONCE + 1))
        return heads if len(heads) <= AT_ONCE else None

    def below(self, prefix: bytes) -> int:
        """How many names may have to be looked at for the heads below a prefix of nibbles, whatever is held of them."""
        names, nibbles = self._ordered(), prefix[: 2 * NAME_BYTES]
        first = int.from_bytes(bytes.fromhex(nibbles.hex()[1::2].ljust(2 * NAME_BYTES, "0")), "big")
        after = first + (1 << 128 - 4 * len(nibbles))
        last = len(names) if after >> 128 else bisect_left(names, after.to_bytes(NAME_BYTES, "big"))
        return last - bisect_left(names, first.to_bytes(NAME_BYTES, "big"))

    def _ordered(self) -> list[bytes]:
        if self._sorted is None:
            self._sorted = sorted(self.names)
        return self._sorted

    # -- as a source

    def head(self, log: LogId) -> Head:
        return self._store.head(log) if log.account[:NAME_BYTES] in self.names else NOTHING

    def all_heads(self, start: bytes | None = None, stop: bytes | None = None) -> Iterator[tuple[LogId, Head]]:
        """A walk over the store that leaps over accounts which are not in the share, and over names that it lacks."""
        names, at = self._ordered(), bisect_left(self._ordered(), (start or b"")[:NAME_BYTES])
        while at < len(names) and (stop is None or names[at] < stop):
            leap: bytes | None = None
            for log, head in self._store.all_heads(max(start or b"", names[at]), stop):
                name = log.account[:NAME_BYTES]
                if name not in self.names:
                    leap = name
                    break
                yield log, head
            if leap is None:
                return
            at = bisect_left(names, leap)

    def note(self, key: bytes) -> bytes | None:
        return None

    def put_note(self, key: bytes, value: bytes | None) -> None:
        return


@dataclass(slots=True)
class Pair:
    """What we and one peer compare. `theirs`: the names that it told us, None: it holds everything."""

    share: Share
    theirs: Names | None
    told: bool
    """Whether we told it ours; else we hold everything."""
    again_at: float
    again_s: float = AGAIN_S
    said: bytes = b""
    """The root that we told it last."""
    tried: tuple[bytes, bytes] = (b"", b"")
    """Our root and its root when they were compared last."""
    fruitless_s: float = 0.0
    next_at: float = 0.0

    def worth(self, mine: bytes, theirs: bytes, now: float, least: float) -> bool:
        """Whether to compare now. Roots that were compared and are as before wait twice as long each time."""
        if (mine, theirs) != self.tried:
            self.tried, self.fruitless_s, self.next_at = (mine, theirs), 0.0, now
        if now < self.next_at:
            return False
        self.fruitless_s = min(max(2 * self.fruitless_s, least), FRUITLESS_MOST_S)
        self.next_at = now + self.fruitless_s
        return True


class Interests:
    """What this node holds, what each partial peer holds, and the share of both; `out` takes the frames."""

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
        """What is compared with peers that hold everything; None while this node does."""
        self._mine = Names()
        self._pairs: dict[str, Pair] = {}

    def pair(self, peer: str) -> Pair | None:
        """None where both hold everything."""
        return self._pairs.get(peer)

    def shared_with(self, peer: str) -> Pair:
        """Where one of the two holds chosen accounts."""
        return self._pairs[peer]

    def lacked(self, peer: str, prefix: bytes, heads: int) -> int:
        """What it costs, in rows, to leap over names below a prefix of which nothing is held; `heads`: what is."""
        pair = self._pairs.get(peer)
        return 0 if pair is None else max(0, pair.share.below(prefix) - heads) >> 2

    # -- ours

    def limit(self, accounts: frozenset[AccountId] | None, now: float) -> None:
        """This node holds these accounts only. Nothing that moved may wait to be written.

        Links that were told names keep them where `accounts` is None: what else is held, new links compare.
        """
        if accounts is None:
            return
        names = self._chosen({account[:NAME_BYTES] for account in accounts})
        come, go = names - self._mine.held, self._mine.held - names
        self._mine.change(come, go)
        if self._own is None:
            self._own = Share(self._store, self._public, names)
        else:
            self._own.change(come, go)
        for link in self._links.values():
            if link.hello is None:
                continue
            pair = self._pairs.get(link.peer)
            if pair is None or not pair.told:
                self._pair(link, pair.theirs if pair else None, True, now)
                continue
            if pair.theirs is not None:
                pair.share.change(come & pair.theirs.held, go & pair.share.names)
            self._tell(link, ADD, come)
            self._tell(link, REMOVE, go)

    def _chosen(self, names: set[bytes]) -> set[bytes]:
        """As many as may be named: all, or those that follow a place drawn at random."""
        most = self._limits.interest
        if len(names) <= most:
            return names
        self._start = self._start or self._random_bytes(NAME_BYTES)
        ordered = sorted(names)
        at = bisect_left(ordered, self._start)
        return set((ordered[at:] + ordered[:at])[:most])

    def met(self, link: PeerSession, partial: bool, now: float) -> None:
        """Hellos were exchanged. `partial`: whether we said that we hold chosen accounts only."""
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
        """Whether the peer knows our names, by the digest that it told; all are told again where it long has not."""
        if told == (self._mine.digest if pair.told else ALL):
            return True
        if pair.told and now >= pair.again_at:
            pair.again_s = min(2 * pair.again_s, AGAIN_MOST_S)
            pair.again_at = now + pair.again_s
            self._tell_all(link)
        return False

    # -- theirs

    def told(self, link: PeerSession, m: Interest, now: float) -> None:
        """Raises Malformed where a peer names more accounts than it may."""
        names = {m.names[k : k + NAME_BYTES] for k in range(0, len(m.names), NAME_BYTES)}
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
        self._bound(pair.share)

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
        return bool(self._pairs or self._own is not None) and any(share.busy for share in self._shares())

    def work(self) -> list[PeerSession]:
        """One slice of one share. The links whose shares stand now and did not before: they are to be told a root."""
        for share in self._shares():
            tree = share.tree
            if not share.busy:
                continue
            ready, rows = tree.ready, tree.rows
            tree.work()
            links = [
                link for peer, pair in self._pairs.items() if pair.share is share and (link := self._links.get(peer))
            ]
            if share is not self._own:
                for link in links:
                    link.load.cost(tree.rows - rows >> 2)
                self._bound(share)
            return links if share.tree.ready and not ready else []
        return []
