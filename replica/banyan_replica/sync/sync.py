"""Reconciliation: what differs between two frontiers, found and fetched.

Roots are told every few seconds. Where they differ: a node that was away has what came since sent to it by a peer that
it met before, in the order in which it came and without asking for anything by name (replaying.py); one that
holds little beside its neighbours has them read to it in account order, all at once (catchup.py); otherwise a sketch
of the whole frontier tells what differs in one round trip (comparing.py), and where too much does for a sketch, sums
are compared, prefix by prefix, down to heads. Each side pulls what it lacks (asking.py) and hears what the other
lacks, so one exchange informs both. Where either side holds chosen accounts only, all this is done over the accounts
that both hold (interest.py).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.table import DEPTH
from banyan_replica.gossip.settings import Rng
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.ledger import Breach, Offence
from banyan_replica.peers.links import SUMS_LOGS, Limits, Link
from banyan_replica.sync.asking import Asking
from banyan_replica.sync.comparing import Comparing
from banyan_replica.sync.interest import ALL, Interests
from banyan_replica.sync.replaying import Replaying
from banyan_replica.sync.serving import Serving
from banyan_replica.wire import (
    FANOUT,
    MAX_RANGE,
    NAME_BYTES,
    Answered,
    Heads,
    Interest,
    Message,
    Replay,
    Replayed,
    Root,
    Scan,
    Scanned,
    Shared,
    Sums,
    Wants,
)


class Sync:
    """Decides what to ask of a peer and what to answer it; the replica sends what `out` collects."""

    def __init__(
        self,
        ingest: Ingest,
        tree: FrontierIndex,
        limits: Limits,
        links: dict[str, Link],
        rng: Rng,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.ingest, self.tree, self.limits, self._links = ingest, tree, limits, links
        self.store = ingest.store
        self.out: list[tuple[str, Message | bytes]] = []
        """Frames to send: messages, or those that are encoded already."""
        self.moves = 0
        """How many heads moved in all."""
        self.asking = Asking(ingest, limits, links, self.out)
        self.serving = Serving(ingest.store, limits, self.out)
        self.comparing = Comparing(self, links, rng, random_bytes)
        self.replaying = Replaying(ingest.store, limits, links, self.out)
        self.interests = Interests(ingest.store, ingest.realm.id, limits, links, random_bytes, self.out)

    @property
    def interest(self) -> frozenset[AccountId] | None:
        """The accounts that this node holds; None: all."""
        return self.asking.interest

    def may(self, link: Link, rows: int, now: float) -> bool:
        """Whether the peer may have us look at so many rows more: a few bytes must not buy work without end."""
        rate = self.limits.work_per_s
        link.work = max(0.0, link.work - rate * (now - link.work_at))
        link.work_at = now
        if link.work >= self.limits.work_burst:
            return False
        link.work += rows
        return True

    # -- starting

    def tree_of(self, link: Link) -> FrontierIndex:
        """What is compared with the peer: the whole frontier, or that of the accounts that both hold."""
        pair = self.interests.pair(link.peer)
        return self.tree if pair is None else pair.share.tree

    def met(self, link: Link, now: float) -> None:
        """The hellos are exchanged."""
        self.interests.met(link, self.interest is not None, now)
        if link.hello is not None and self.interests.pair(link.peer) is None:
            self.compare(link, link.hello.logs, link.hello.root, link.hello.arrival, now)
        else:
            self.root(link, now)
        self.comparing.met(link, now)

    def gone(self, link: Link, now: float) -> None:
        """The link is down."""
        self.asking.gone(link, now)
        self.comparing.gone(link.peer)
        self.serving.gone(link.peer)
        self.interests.gone(link.peer)

    def root(self, link: Link, now: float) -> None:
        link.root_at = now
        pair = self.interests.pair(link.peer)
        if pair is None:
            self.out.append((link.peer, Root(self.tree.count, self.tree.root, self.store.last_arrival)))
        elif pair.share.tree.ready:
            pair.said = pair.share.tree.root
            told = ALL if pair.theirs is None else pair.theirs.digest
            self.out.append((link.peer, Shared(told, pair.said)))

    def news(self, link: Link) -> bool:
        """Whether there is something to tell the peer before its time: heads moved that it may not know."""
        pair = self.interests.pair(link.peer)
        return not link.equal and (pair is None or pair.said != pair.share.tree.root)

    def shared(self, link: Link, m: Shared, now: float) -> None:
        """The peer told where it stands in what we both hold."""
        pair = self.interests.pair(link.peer)
        if pair is None or not self.interests.known(link, pair, m.told, now) or not pair.share.tree.ready:
            return
        mine, link.root = pair.share.tree.root, m.root
        link.equal = m.root == mine
        if link.equal:
            link.differences.clear()
            link.session_until = 0.0
        elif now >= link.session_until and pair.worth(mine, m.root, now, self.limits.session_s):
            if now - link.root_at > 1.0:
                self.root(link, now)
            link.session_until = now + self.limits.session_s
            self.comparing.ask(link, now)

    def compare(self, link: Link, count: int, root: bytes, arrival: int, now: float) -> None:
        """The peer told where it stands."""
        link.arrival, link.root = arrival, root
        if self.interests.pair(link.peer) is not None:
            return  # it crossed our word that we hold chosen accounts only
        link.equal = root == self.tree.root
        if link.equal:
            link.differences.clear()
            link.session_until = 0.0
            self.asking.agrees()
            return
        if link.aloud is not None or link.retold is not None or now < link.session_until:
            return
        if link.replaying is not None or self.replaying.under_way(now) or self.asking.catchup.keeps(link.peer, now):
            return
        if now - link.root_at > 1.0:
            self.root(link, now)
        self.start(link, count, now)

    def start(self, link: Link, count: int, now: float) -> None:
        """One comparison, by the cheapest way that can work."""
        link.session_until = now + self.limits.session_s
        if self.asking.read_through(link, count, self.tree.count, now) or self.replaying.ask(link, now):
            link.session_until = 0.0
        else:
            link.replayed = False
            self.comparing.ask(link, now)

    def by_ranges(self, link: Link, salt: bytes, prefix: bytes = b"") -> None:
        """What is not for a sketch, or did not come out of one."""
        tree = self.tree_of(link)
        children = tree.children(salt, prefix)
        if children is not None:
            link.work += tree.rows >> 9 if len(prefix) >= DEPTH else 0  # so deep, all rows are looked at
            self.out.append((link.peer, Sums(salt, prefix, children)))

    def limit(self, accounts: frozenset[AccountId] | None, now: float) -> None:
        """Hold these accounts only; None: all. Peers are told what is new, and what they hold of it comes."""
        self.ingest.flush()
        self.asking.limit(accounts)
        self.interests.limit(accounts, now)
        self._tell_pairs(now)

    def told(self, link: Link, m: Interest, now: float) -> None:
        """The peer named accounts that it holds, or does not hold any more."""
        if not self.may(link, 16 + len(m.names) // NAME_BYTES, now):
            return  # the digest says so, and it names them again
        self.ingest.flush()
        self.interests.told(link, m, now)
        link.equal = False

    def _tell_pairs(self, now: float) -> None:
        for link in self._links.values():
            if link.hello is not None and self.interests.pair(link.peer) is not None:
                link.equal = False
                if self.news(link):
                    self.root(link, now)

    def settled(self, link: Link, now: float) -> None:
        """Frontiers agree."""
        self.replaying.agreed(link, now)

    # -- answering

    def sums(self, link: Link, m: Sums, now: float) -> None:
        """Raises Breach where a peer asks for more than comparing everything again and again would take."""
        if self.asking.catchup.keeps(link.peer, now):
            return
        tree = self.tree_of(link)
        most = self.limits.sums + tree.count // SUMS_LOGS
        link.sums = max(0.0, link.sums - most / 60 * (now - link.sums_at)) + 1
        link.sums_at = now
        if link.sums > most:
            raise Breach(Offence.TOO_OFTEN, f"asks for sums more than {most} times a minute")
        if not self.may(link, 2 * FANOUT, now):
            return
        mine = tree.children(m.salt, m.prefix)
        for n, (theirs, own) in enumerate(zip(m.children, mine or (), strict=mine is not None)):
            if theirs == own:
                continue
            below = m.prefix + bytes((n,))
            link.work += min(own[0], self.limits.bucket) + self.interests.lacked(link.peer, below, own[0])
            if max(theirs[0], own[0]) <= self.limits.bucket or len(below) > MAX_RANGE:
                self._send_heads(link, below, list(tree.heads(below)), 1)
            else:
                self.by_ranges(link, m.salt, below)

    def heads(self, link: Link, m: Heads, now: float) -> None:
        if not self.may(link, 1 + len(m.heads), now):
            return
        theirs = dict(m.heads)
        if m.answer:
            most = 4 * self.limits.bucket if len(m.prefix) <= MAX_RANGE else None
            mine = list(islice(self.tree_of(link).heads(m.prefix), most))
            link.work += len(mine) + self.interests.lacked(link.peer, m.prefix, len(mine))
            if len(mine) == most:  # more than one list of heads is for: sums divide it
                self.by_ranges(link, b"", m.prefix)
                mine = []
            self._send_heads(link, m.prefix, [(log, h) for log, h in mine if theirs.get(log) != h], 0)
        self.asking.pull(link, theirs)

    # -- in the background

    @property
    def busy(self) -> bool:
        return self.tree.busy or self.interests.busy

    def work(self, now: float) -> None:
        """A slice of what is being read or built; what waited for it goes out."""
        if self.tree.busy:
            self.tree.work()
        for link in self.interests.work():
            self.root(link, now)
        self.comparing.work(now)

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        self.moves += old != new
        self.tree.moved(log, old, new)
        self.interests.moved(log, old, new)

    def durable(self) -> None:
        self.tree.durable()
        self.interests.durable()

    def rolled_back(self) -> None:
        self.tree.rolled_back()
        self.interests.rolled_back()

    # -- asked and answered

    def wants(self, link: Link, m: Wants) -> None:
        self.serving.wants(link, m)
        self.serving.pump(link)

    def scan(self, link: Link, m: Scan, now: float) -> None:
        if self.may(link, 64, now):
            self.serving.scan(link, m, whole=not self.asking.catchup.reading)
            self.serving.pump(link)

    def replay(self, link: Link, m: Replay, now: float) -> None:
        if self.may(link, 64, now):
            self.serving.replay(link, m)
            self.serving.pump(link)

    def replayed(self, link: Link, m: Replayed, now: float) -> None:
        if self.replaying.replayed(link, m):
            self.root(link, now)  # what of it was not to be taken yet, and what came meanwhile, is found by comparing

    def scanned(self, link: Link, m: Scanned, now: float) -> None:
        if self.asking.scanned(link, m, now):
            self.root(link, now)  # what came meanwhile, and what a reader left out, is found by comparing

    def answered(self, link: Link, m: Answered, now: float) -> None:
        if self.asking.answered(link, m):
            link.session_until = 0.0
            self.root(link, now)

    def lost(self, link: Link) -> None:
        """What was pending was rolled back: bulk that was read from it is not sent."""
        self.serving.drop(link)

    def tell(self, link: Link, heads: list[tuple[LogId, Head]]) -> None:
        """Where we stand in these logs; no answer is wanted."""
        self._send_heads(link, b"", heads, 0)

    def _send_heads(self, link: Link, prefix: bytes, heads: list[tuple[LogId, Head]], answer: int) -> None:
        rows = self.limits.heads_rows
        answer = answer if len(heads) <= rows else 0
        for k in range(0, max(len(heads), answer), rows):
            self.out.append((link.peer, Heads(prefix, answer, heads[k : k + rows])))
