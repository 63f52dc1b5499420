"""One session: the replica's state of a peer while the link to it is up, what the peer claims included.

It is made when the connection is up and forgotten when that is down. Its states are in states.py. Every field that
changes belongs to one of the objects below, and only that object writes it (tests/node/test_sessions.py checks every
assignment). So one file shows all changes of a field.

| object | what | who calls it |
|---|---|---|
| `life`, `hello` | greeting, open, closing | message_dispatch.py, outbox.py |
| `flow` | bulk in both directions: windows and credit | message_dispatch.py, outbox.py, sync/bulk_sender.py |
| `load` | what its questions cost us, and of what use it is | sync/, replica.py |
| `told` | its claims about its own frontier | sync/ |
| `course` | how we reach its frontier | sync/ |
| `owed` | what it owes us | sync/fetcher.py |
| `orders` | what we owe it | sync/bulk_sender.py |
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from banyan_crdt.ids import Head, LogId
from banyan_replica.peers.flow import WINDOW, Flow
from banyan_replica.peers.ledger import Load
from banyan_replica.peers.states import COURSE, LIFE, CourseEvent, CourseState, LifeEvent, LifeState, step
from banyan_replica.sync.known_differences import KnownDifferences
from banyan_replica.sync.orders import Orders
from banyan_replica.sync.peer_debt import PeerDebt
from banyan_replica.wire.messages import CHARTER, NOTICES, READS_AS_IF, RELAYS, Hello

NEVER = -1e9


class Course:
    """Whether two frontiers are equal, and how they are being made equal. All times are seconds."""

    __slots__ = ("heard_at", "met", "settled_at", "state", "stuck", "told_at", "until")

    def __init__(self, now: float) -> None:
        self.state = CourseState.APART
        self.until = 0.0
        """No comparison of ours starts earlier: there is one at a time, whichever side asked for it."""
        self.told_at = now
        """When we last told the peer our root; the hello tells it too."""
        self.met = False
        """Whether the roots agreed once since the peer connected, over what is compared now."""
        self.settled_at = NEVER
        """When equal frontiers were last noted."""
        self.heard_at = NEVER
        """When the comparison began that the peer asked for, of those that are answered now and then only."""
        self.stuck = KnownDifferences(now)
        """What stands between us and the peer, and is known."""

    @property
    def live(self) -> bool:
        """Whether the roots were equal when they were last compared, and no head moved since."""
        return self.state is CourseState.LIVE

    @property
    def replaying(self) -> bool:
        """Whether the peer is sending a replay."""
        return self.state is CourseState.REPLAYING

    @property
    def replayed(self) -> bool:
        """Whether a replay has ended, and no comparison has followed."""
        return self.state is CourseState.REPLAYED

    def may_begin(self, now: float) -> bool:
        """Whether a comparison or a replay may start."""
        if now < self.until:
            return False
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)
        return self.state is not CourseState.REPLAYING

    def hears(self, now: float, every: float, within: float) -> bool:
        """Whether to answer the peer, one comparison in every so many seconds. within: how long it may take."""
        if now >= self.heard_at + every:
            self.heard_at = now
        return now < self.heard_at + within

    # -- events

    def equal(self) -> None:
        self._on(CourseEvent.EQUAL)
        self.met = True
        self.until = 0.0
        self.stuck.equal()

    def moved(self) -> None:
        self._on(CourseEvent.MOVED)

    def renew(self) -> None:
        """Other accounts are compared from now on, and nothing is known of them yet."""
        self.moved()
        self.met = False

    def compare(self, until: float) -> None:
        """We ask for a comparison, which may take until then."""
        self._on(CourseEvent.COMPARE)
        self.until = until

    def compared_with(self, until: float) -> None:
        """The peer asks for a comparison, from which we learn too; ours waits until then."""
        self.until = max(self.until, until)

    def again(self, standing: KnownDifferences) -> None:
        """The peer was linked before, and so much stood between us."""
        self.stuck = standing
        standing.want()

    def anew(self) -> None:
        """The comparison has told what it could; the next may start."""
        self.until, self.heard_at = 0.0, NEVER
        self.stuck.want()
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)

    def replay(self) -> None:
        """We ask for a replay."""
        self._on(CourseEvent.REPLAY)

    def end_replay(self) -> None:
        """The replay is complete."""
        self._on(CourseEvent.REPLAYED)

    def failed(self) -> None:
        """The peer failed; others are asked for what it owes us."""
        self._on(CourseEvent.FAILED)

    def told(self, now: float) -> None:
        """We told the peer our root."""
        self.told_at = now

    def settled(self, now: float) -> None:
        """Equal frontiers were noted."""
        self.settled_at = now

    def _on(self, event: CourseEvent) -> None:
        self.state = step(COURSE, self.state, event)


# What a peer claims about its own frontier. The sync decides what to do about it.


class PeerClaims:
    __slots__ = ("answers_notices", "arrival", "differences", "logs", "reads_as_if", "reads_charter", "relays", "root")

    def __init__(self) -> None:
        self.root = b""
        """The peer's root, of its whole frontier or of the accounts that both hold."""
        self.logs = 0
        """How many logs its whole frontier has."""
        self.arrival = 0
        """Its last arrival number."""
        self.answers_notices = False
        """Whether it answers `want-notices`."""
        self.reads_as_if = False
        """Whether it reads answers to a sketch that claim nothing."""
        self.reads_charter = False
        """Whether it reads the messages about a charter."""
        self.relays = False
        """Whether it passes on what is pushed to it, also if it holds chosen accounts."""
        self.differences: OrderedDict[LogId, Head] = OrderedDict()
        """Its last claimed heads of logs where ours differed, oldest first."""

    def stands(self, logs: int, root: bytes, arrival: int) -> None:
        self.logs, self.root, self.arrival = logs, root, arrival

    def able(self, abilities: int) -> None:
        """Which later messages it reads."""
        self.answers_notices = bool(abilities & NOTICES)
        self.reads_as_if = bool(abilities & READS_AS_IF)
        self.reads_charter = bool(abilities & CHARTER)
        self.relays = bool(abilities & RELAYS)

    def shares(self, root: bytes) -> None:
        """Its root of the accounts that both hold."""
        self.root = root

    def differs(self, log: LogId, head: Head, most: int) -> None:
        self.differences[log] = head
        self.differences.move_to_end(log)
        while len(self.differences) > most:
            self.differences.popitem(last=False)

    def agrees(self) -> None:
        """The frontiers are equal, so no claim differs."""
        self.differences.clear()


class PeerSession:
    """since: when the connection came up. address: where the peer is now. outbox: the most bytes of bulk that wait for
    it. stops: see `Load`."""

    __slots__ = (
        "address", "course", "flow", "hello", "life", "load", "orders", "outbound", "owed", "peer", "since", "told",
    )  # fmt: skip

    def __init__(
        self,
        peer: str,
        outbound: bool,
        since: float,
        address: str = "",
        outbox: int = WINDOW,
        stops: Counter[tuple[str, str]] | None = None,
    ) -> None:
        self.peer, self.outbound, self.since, self.address = peer, outbound, since, address
        self.life = LifeState.GREETING
        self.hello: Hello | None = None
        """The peer's hello, of our version and realm; None before it came."""
        self.flow, self.load, self.told = Flow(outbox), Load(peer, stops), PeerClaims()
        self.course, self.owed, self.orders = Course(since), PeerDebt(), Orders()

    @property
    def closing(self) -> bool:
        """Whether the peer's messages are ignored from now on."""
        return self.life is LifeState.CLOSING

    def greeted(self, hello: Hello) -> None:
        self.life = step(LIFE, self.life, LifeEvent.HELLO)
        self.hello = hello

    def close(self) -> None:
        self.life = step(LIFE, self.life, LifeEvent.BYE)
