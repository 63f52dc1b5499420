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
from banyan_replica.peers.states import LIFE, LifeEvent, LifeState, step
from banyan_replica.sync.course import Course
from banyan_replica.sync.orders import Orders
from banyan_replica.sync.peer_debt import PeerDebt
from banyan_replica.wire import NOTICES, READS_AS_IF, Hello

# What a peer claims about its own frontier. The sync decides what to do about it.


class PeerClaims:
    __slots__ = ("answers_notices", "arrival", "differences", "logs", "reads_as_if", "root")

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
        self.differences: OrderedDict[LogId, Head] = OrderedDict()
        """Its last claimed heads of logs where ours differed, oldest first."""

    def stands(self, logs: int, root: bytes, arrival: int) -> None:
        self.logs, self.root, self.arrival = logs, root, arrival

    def able(self, abilities: int) -> None:
        """Which later messages it reads."""
        self.answers_notices = bool(abilities & NOTICES)
        self.reads_as_if = bool(abilities & READS_AS_IF)

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
