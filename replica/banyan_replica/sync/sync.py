"""Reconciliation: finds and fetches what differs between two frontiers.

Neighbours tell each other their roots every few seconds. If they differ, the cheapest way that can work is taken:

- A node that was away gets, from a peer that it met before, all that came since, in arrival order (replay.py).
- A node that holds little has several neighbours read the network to it, in account order (catchup.py).
- Otherwise a sketch of the whole frontier tells what differs, in one round trip (comparison.py).
- If too much differs for a sketch, sums are compared prefix by prefix, down to heads. First both tell each other where
  the logs of their own people stand (own_tips.py).

Each side asks for what it lacks (fetcher.py) and hears what the other lacks, so one exchange informs both. If one side
holds only some accounts, the accounts that both hold are compared (partial_compare.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from itertools import islice

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.sums import DEPTH
from banyan_replica.gossip.settings import Rng
from banyan_replica.host import ReplicaHost
from banyan_replica.intake.ingest import Ingest
from banyan_replica.intake.own_tips import RecentOwnHeads
from banyan_replica.intake.untrusted import AccountFilter
from banyan_replica.peers.limits import SUMS_LOGS, Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.bulk_sender import BulkSender
from banyan_replica.sync.comparison import SketchComparison
from banyan_replica.sync.fetcher import Fetcher
from banyan_replica.sync.known_differences import KnownDifferences
from banyan_replica.sync.notice_exchange import NoticeExchange
from banyan_replica.sync.partial_compare import ALL, PartialComparison
from banyan_replica.sync.repeats import difference
from banyan_replica.sync.replay import ReplayPlanner
from banyan_replica.wire.messages import (
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

STOOD = 64
"""Peers without a link of which it is remembered what stands: 100 kB each."""


class Sync:
    """Decides what to ask a peer and what to answer it. out: frames for the replica to send. near: whether a peer is a
    neighbour, or the operator named it."""

    def __init__(
        self,
        ingest: Ingest,
        tree: FrontierIndex,
        limits: Limits,
        links: dict[str, PeerSession],
        room: AccountFilter,
        around: ReplicaHost,
        near: Callable[[str], bool],
        rng: Rng,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.ingest, self.tree, self.limits, self._links = ingest, tree, limits, links
        self.store, self.around, self.near = ingest.store, around, near
        self.out: list[tuple[str, Message | bytes]] = []
        """Frames to send: messages, or encoded ones."""
        self._stood: dict[str, KnownDifferences] = {}
        """What stood between us and peers whose link is down."""
        self.moves = self._settled = 0
        """How many heads have moved in all."""
        self.meetings = 0
        """Grows with each peer that says hello or leaves."""
        self.asking = Fetcher(ingest, limits, links, room, around, self.out)
        self.lately = RecentOwnHeads(around.is_hosted)
        self.serving = BulkSender(ingest.store, limits, links, around, self.out, ingest.pinned, room.reads)
        self.comparing = SketchComparison(self, links, rng, random_bytes)
        self.replaying = ReplayPlanner(ingest.store, limits, links, self.out)
        self.interests = PartialComparison(ingest.store, ingest.realm.id, limits, links, around, random_bytes, self.out)
        self.notices = NoticeExchange(self, links)

    @property
    def interest(self) -> AbstractSet[AccountId] | None:
        """The accounts that this node holds, those that name its own included; None: all."""
        return self.asking.room.interest

    @property
    def relays(self) -> bool:
        """Whether others can rely on this node to pass messages on: it holds all accounts, or all that a charter's
        members list."""
        return self.asking.readers.wanted

    def may(self, link: PeerSession, rows: int, now: float) -> bool:
        """Whether a question of the peer may cost so many rows more."""
        if link.load.may(rows, self._burst, self.limits.work_per_s, now):
            return True
        link.load.stopped("questions")
        return False

    def may_judge(self, link: PeerSession, rows: int, now: float) -> bool:
        """Whether judging what the peer sends may."""
        return link.load.may_judge(rows, self._burst, self.limits.work_per_s, now)

    @property
    def _burst(self) -> int:
        return self.limits.work_burst + self.limits.work_a_log * min(self.tree.count, self.limits.asked)

    # -- starting

    def tree_of(self, link: PeerSession) -> FrontierIndex:
        """The frontier that is compared with the peer: the whole one, or that of the accounts that both hold."""
        pair = self.interests.pair(link.peer)
        return self.tree if pair is None else pair.share.tree

    def met(self, link: PeerSession, now: float) -> None:
        """Hellos were exchanged."""
        self.meetings += 1
        if link.peer in self._stood:
            link.course.again(self._stood.pop(link.peer))
        self.interests.met(link, self.interest is not None, now)
        if link.hello is not None and self.interests.pair(link.peer) is None:
            self.compare(link, link.hello.logs, link.hello.root, link.hello.arrival, now)
        else:
            self.root(link, now)
            if link.hello is not None and link.hello.partial and not self.asking.room.closed_to(link.peer):
                self.asking.readers.read_through(link, link.hello.logs, self.tree.count, now)
        self.comparing.met(link, now)

    def gone(self, link: PeerSession, now: float) -> None:
        """The link is down."""
        self.meetings += 1
        self._stood[link.peer] = link.course.stuck
        if len(self._stood) > STOOD:
            del self._stood[next(iter(self._stood))]
        link.course.stuck.unshown = None
        self.asking.gone(link, now)
        self.comparing.gone(link.peer)
        self.serving.gone(link)
        self.interests.gone(link.peer)
        self.notices.gone(link.peer)

    def root(self, link: PeerSession, now: float) -> None:
        link.course.told(now)
        pair = self.interests.pair(link.peer)
        if pair is None:
            self.out.append((link.peer, Root(self.tree.count, self.tree.root, self.store.last_arrival)))
            return
        pair.unheard = False
        if pair.share.tree.ready:
            pair.said = pair.share.tree.root
            told = ALL if pair.theirs is None else pair.theirs.digest
            self.out.append((link.peer, Shared(told, pair.said)))

    def news(self, link: PeerSession) -> bool:
        """Whether to tell the peer our root early, because heads moved that it may not know."""
        pair = self.interests.pair(link.peer)
        return not link.course.live and (pair is None or pair.said != pair.share.tree.root)

    def due(self, link: PeerSession, now: float) -> bool:
        """Whether to tell the peer our root though nothing moved."""
        pair = self.interests.pair(link.peer)
        return now - link.course.told_at >= self.limits.root_s or (pair is not None and pair.unheard)

    def shared(self, link: PeerSession, m: Shared, now: float) -> None:
        """The peer told its root of the accounts that we both hold."""
        pair = self.interests.shared_with(link.peer)
        self.ingest.flush()
        if not self.interests.known(link, pair, m.told, now) or not pair.share.tree.ready:
            return
        mine = pair.share.tree.root
        link.told.shares(m.root)
        if m.root == mine:
            self._equal(link)
            return
        link.course.moved()
        if self.asking.catchup.keeps(link.peer, now):
            return
        if link.course.may_begin(now) and pair.worth(mine, m.root, now, self.limits.session_s):
            if now - link.course.told_at > 1.0:
                self.root(link, now)
            self.ask(link, now)

    def compare(self, link: PeerSession, count: int, root: bytes, arrival: int, now: float) -> None:
        """The peer told its root."""
        link.told.stands(count, root, arrival)
        if root == self.tree.root:
            self._equal(link)
            self.asking.readers.close()
            return
        link.course.moved()
        if link.orders.reading or self.asking.resting or not link.course.may_begin(now):
            return
        if self.replaying.under_way(now) or self.asking.catchup.keeps(link.peer, now):
            return
        if now - link.course.told_at > 1.0:
            self.root(link, now)
        self.start(link, count, now)

    def _equal(self, link: PeerSession) -> None:
        link.course.equal()
        link.told.agrees()

    def start(self, link: PeerSession, count: int, now: float) -> None:
        """Starts one comparison, by the cheapest way that can work."""
        if self.asking.room.closed_to(link.peer) or not (
            self.asking.readers.read_through(link, count, self.tree.count, now) or self.replaying.ask(link, now)
        ):
            self.ask(link, now)

    def ask(self, link: PeerSession, now: float) -> None:
        """Starts one comparison by sketch."""
        link.course.compare(now + self._pause(link))
        self.comparing.ask(link, now)

    def spares(self, link: PeerSession, now: float) -> bool:
        """Whether to leave a question of the peer unanswered: most of its entries would not be taken, and its last
        comparison found the same differences lately."""
        if not self.asking.room.closed_to(link.peer):
            return False
        return not link.course.hears(now, self._pause(link), self.limits.session_s)

    def _pause(self, link: PeerSession) -> float:
        """Seconds from one comparison with the peer to the next."""
        if not self.asking.room.closed_to(link.peer):
            return self.limits.session_s
        differ = max(abs(link.told.logs - self.tree.count), len(link.told.differences))
        return min(max(self.limits.session_s, differ * self.limits.closed_log_s), self.limits.closed_s)

    def by_ranges(self, link: PeerSession, salt: bytes, prefix: bytes = b"") -> bool:
        """Compares sums below a prefix, if a sketch is not enough. Not while much of what the peer answered before
        waits here: it would find the same again, and all that the peer says would wait behind it. Returns whether it
        asked."""
        if not prefix:
            self.tell_lately(link)
        tree = self.tree_of(link)
        children = None if self._behind(link) else tree.children(salt, prefix)
        if children is not None:
            link.load.cost(tree.rows >> 9 if len(prefix) >= DEPTH else 0)  # at this depth all rows are read
            self.out.append((link.peer, Sums(salt, prefix, children)))
        return children is not None

    def limit(
        self, accounts: Collection[AccountId] | None, now: float, far: Collection[AccountId] = (), read_to: bool = False
    ) -> None:
        """Holds only these accounts, the most important first, then those that name this node's own, then the far ones;
        None: all. Peers are told, and their entries of new accounts are fetched. read_to: see `Replica.set_interest`.
        """
        self.ingest.flush()
        held = self.notices.held(accounts, far)
        self.asking.room.chosen = (self.notices.chosen or {}).keys()
        self.asking.limit(None if held is None else held.keys(), read_to)
        for link in self.interests.limit(held, now):
            link.course.renew()
            self.root(link, now)

    def compare_again(self, now: float) -> None:
        """More is taken of accounts that are held, so a comparison that was in vain is not any more."""
        for link in self._links.values():
            pair = self.interests.pair(link.peer)
            if pair is not None and link.hello is not None:
                pair.tried = b"", b""
                link.course.anew()
                link.course.moved()
                self.root(link, now)

    def hold(self, now: float) -> None:
        """Others name this node's accounts than before."""
        self.limit(self.notices.near, now, self.notices.far, self.asking.readers.wanted)

    def told(self, link: PeerSession, m: Interest, now: float) -> None:
        """The peer named accounts that it holds, or no longer holds."""
        if not self.may(link, 16 + len(m.names) // NAME_BYTES, now):
            return  # our digest will show that, and the peer names them again
        self.ingest.flush()
        if self.interests.pair(link.peer) is None:
            self.asking.readers.gone(link.peer, now)
        self.interests.told(link, m, now)
        link.course.moved()

    def settled(self, link: PeerSession, now: float) -> None:
        """Frontiers are equal."""
        self.replaying.agreed(link, now)

    def tell_lately(self, link: PeerSession) -> None:
        """Tells a peer that is near where those logs of this node's people stand that moved last, since comparing will
        take its time. Nobody else: it says who they are, as pushes do."""
        if not self.near(link.peer):
            return
        heads = [(log, self.ingest.head(log)) for log in self.lately]
        link.load.cost(len(heads))
        self.tell(link, heads)

    def _behind(self, link: PeerSession) -> bool:
        """Whether much of what the peer sent was not read yet."""
        return self.around.unread(link.peer) > self.limits.unread

    # -- answering

    def sums(self, link: PeerSession, m: Sums, now: float) -> None:
        """Answers a question by sums. Raises Breach if the peer asks far more than comparing everything takes."""
        if self.asking.catchup.keeps(link.peer, now) or self.spares(link, now):
            return
        tree = self.tree_of(link)
        link.load.sums(self.limits.sums + tree.count // SUMS_LOGS, now)
        if not self.may(link, 2 * FANOUT, now):
            return
        if not m.prefix:
            self.tell_lately(link)
        if self._behind(link):
            return
        mine = tree.children(m.salt, m.prefix)
        for n, (theirs, own) in enumerate(zip(m.children, mine or (), strict=mine is not None)):
            if theirs == own:
                continue
            below = m.prefix + bytes((n,))
            link.load.cost(min(own[0], self.limits.bucket) + self.interests.lacked(link.peer, below, own[0]))
            if max(theirs[0], own[0]) <= self.limits.bucket or len(below) > MAX_RANGE:
                self._send_heads(link, below, list(tree.heads(below)), 1)
            else:
                self.by_ranges(link, m.salt, below)

    def heads(self, link: PeerSession, m: Heads, now: float) -> None:
        if not self.may(link, 1 + len(m.heads), now):
            return
        theirs = dict(m.heads)
        if m.answer:
            most = 4 * self.limits.bucket if len(m.prefix) <= MAX_RANGE else None
            mine = list(islice(self.tree_of(link).heads(m.prefix), most))
            link.load.cost(len(mine) + self.interests.lacked(link.peer, m.prefix, len(mine)))
            if len(mine) == most:  # too many for one list of heads, so sums divide them
                self.by_ranges(link, b"", m.prefix)
                mine = []
            self._send_heads(link, m.prefix, [(log, h) for log, h in mine if theirs.get(log) != h], 0)
        self.asking.pull(link, theirs)

    # -- in the background

    @property
    def busy(self) -> bool:
        return self.tree.busy or self.interests.busy

    def work(self, now: float) -> None:
        """Reads or builds one slice, and sends what waited for it."""
        if self.tree.busy:
            self.tree.work()
        if self.interests.busy:
            self.ingest.flush()
        for link in self.interests.work():
            self.root(link, now)
        self.comparing.work(now)

    def moved(self, log: LogId, old: Head, new: Head) -> None:
        if old != new:
            self.moves += 1
            if not self.asking.moved(log):
                self._recounted(log, old, new)
            self.lately.moved(log)
        self.tree.moved(log, old, new)
        self.interests.moved(log, old, new)

    def _recounted(self, log: LogId, old: Head, new: Head) -> None:
        """A head moved though nothing was stored for it."""
        at, w = difference(self.asking.key, log, old, new)
        for link in self._links.values():
            pair = self.interests.pair(link.peer)
            if pair is None or log.account[:NAME_BYTES] in pair.share.names:
                link.course.stuck.recounted(at, w, self.asking.now)

    def durable(self) -> None:
        self.tree.durable()
        if self._settled != self.moves:
            self._settled = self.moves
            self.interests.durable()

    def rolled_back(self) -> None:
        self.tree.rolled_back()
        self.interests.rolled_back()

    # -- asked and answered

    def wants(self, link: PeerSession, m: Wants) -> None:
        self.serving.wants(link, m)
        self.serving.pump(link)

    def scan(self, link: PeerSession, m: Scan, now: float) -> None:
        if self.may(link, 64, now):
            self.serving.scan(link, m, whole=not self.asking.catchup.reading)
            self.serving.pump(link)

    def replay(self, link: PeerSession, m: Replay, now: float) -> None:
        if self.interests.pair(link.peer) is not None:  # it was asked for before the peer knew
            self.out.append((link.peer, Replayed(m.arrival, 1)))
        elif self.may(link, 64, now):
            self.serving.replay(link, m)
            self.serving.pump(link)

    def replayed(self, link: PeerSession, m: Replayed, now: float) -> None:
        if self.replaying.replayed(link, m):
            self.root(link, now)  # a comparison finds what could not be accepted yet, and what came meanwhile

    def scanned(self, link: PeerSession, m: Scanned, now: float) -> None:
        if self.asking.readers.scanned(link, m, now):
            self.root(link, now)  # a comparison finds what came meanwhile, and what a reader left out

    def answered(self, link: PeerSession, m: Answered, now: float) -> None:
        if self.asking.answered(link, m):
            link.course.anew()
            self.root(link, now)

    def lost(self, link: PeerSession) -> None:
        """After a rollback: drops bulk that was read from it."""
        self.serving.drop(link)

    def tell(self, link: PeerSession, heads: list[tuple[LogId, Head]]) -> None:
        """Tells the peer our heads of these logs, without asking for an answer."""
        self._send_heads(link, b"", heads, 0)

    def _send_heads(self, link: PeerSession, prefix: bytes, heads: list[tuple[LogId, Head]], answer: int) -> None:
        rows = self.limits.heads_rows
        answer = answer if len(heads) <= rows else 0
        for k in range(0, max(len(heads), answer), rows):
            self.out.append((link.peer, Heads(prefix, answer, heads[k : k + rows])))
