"""What the replica keeps of each neighbour: its window, what it asked for, and how far it is to be trusted.

Every bound on what a peer can make us keep or do is a field of `Limits`, with its reason.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_replica.peers.ledger import Scale
from banyan_replica.sync.catchup import Span
from banyan_replica.wire import Hello, Item

WINDOW = 4 << 20
"""Bulk bytes that either side may send before the first credit, and the most that it may have outstanding."""
OVERSHOOT = 4 << 20
"""What the last frame of a window may exceed it by."""
SUMS_LOGS = 4
"""An honest peer asks for the sums of one prefix in 60 logs or so, and that up to fifteen times a minute."""
Served = Item
"""What is given to those who ask."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one replica. Counts, bytes and seconds."""

    outbox: int = WINDOW
    """Bulk that waits for one peer at most, whatever credit it gave."""
    credit: int = 64 << 10
    """Bulk that is digested before we say so, to a peer that sends on: less than any usual frame."""
    piece: int = 256 << 10
    """Bytes of items in one data frame: large enough to fill the line, small enough to commit often."""
    jobs: int = 20_000
    """Logs that one peer may have asked for and not been served yet; more are dropped, it asks again."""
    asked: int = 20_000
    """Logs that we ask one peer for at a time; the others are told again."""
    bucket: int = 64
    """Heads below a prefix that are named one by one instead of summed further."""
    heads_rows: int = 8_000
    """Heads in one frame, about 900 kB."""
    root_s: float = 5.0
    """How often neighbours tell each other where they stand; bounds how long a lost gossip message stays lost."""
    session_s: float = 4.0
    """One comparison at a time with a peer, for at most so long."""
    salt_s: float = 30.0
    """How long a table under a salt waits for what may still be asked of it, and a refused question until its next."""
    salted_s: float = 600.0
    """How often a neighbour drawn at random is compared with under a fresh salt: so long may a hidden fork live."""
    parts_s: float = 1.0
    """How often missing content is asked for while some comes."""
    parts_most_s: float = 60.0
    """And at the least, where no neighbour has it: so late content may come that a neighbour got after it was asked."""
    parts_asked: int = 256
    """Pieces of content in one question."""
    work_burst: int = 100_000
    """Rows that one peer's questions may cost us at once: heads looked at, arrivals read, entries judged again."""
    work_per_s: int = 20_000
    """And per second from then on; what goes beyond is not answered, and asked again by an honest peer."""
    met: int = 1_024
    """Peers whose last arrival number is remembered on disk."""
    interest: int = 65_536
    """Accounts that a partial node names, and that a peer may: some 80 bytes each while it is linked."""
    interest_logs: int = 1 << 20
    """Logs of such accounts that a peer is compared over: 48 bytes each; of one that names more, none."""
    notes: int = 4_096
    """Remembered reasons of "not yet", for people who ask why; oldest go first."""
    differences: int = 4_096
    """Remembered claims of one peer about heads that differ from ours."""
    scale: Scale = field(default_factory=Scale)
    """What points come to (ledger.py)."""
    excused: int = 16
    """Claims that a peer may fail to serve, one after another, because its heads moved."""
    stall_s: float = 10.0
    """A peer that owes us something, has credit, and sends slower than `crawl` over so long, has stalled."""
    crawl: int = 1_000
    """Bytes per second."""
    strays: int = 20_000
    """Entries that nobody asked for and that are taken from one peer all the same; forgiven at 100 a second."""
    sums: int = 256
    """Questions by sums that a peer may ask in a minute, beside one for each SUMS_LOGS logs that are compared."""
    witness_s: float = 60.0
    """How often a platform signs where it stands."""


class Note(NamedTuple):
    """Why something was not taken yet."""

    reason: str
    sentence: str
    at: float


class Asked(NamedTuple):
    """A log asked for by name. `n`: its position among those asked for on this link. `head`: what the peer claims."""

    n: int
    head: Head | None
    root: bytes
    """The root that the peer had told last when it claimed that."""
    came: bool
    """Something of it came."""
    unready: bool
    """It came, and was not to be taken yet."""


class Waiting(NamedTuple):
    """Heads that a peer claimed, and the root that it had told last."""

    heads: dict[LogId, Head]
    root: bytes


@dataclass(slots=True)
class Aloud:
    """A range that is read to a peer. `at`: the account that was read last; `stop`, the last, may be moved nearer."""

    number: int
    at: bytes
    stop: bytes
    said: bytes
    """Where we last said that we are."""
    items: Iterator[Served | None]
    """None between accounts."""


@dataclass(slots=True)
class Retold:
    """What came since a peer was here, as it is sent to it. `at`: the arrival that was reached."""

    at: int
    said: int
    """Where we last said that we are."""
    items: Iterator[Served | None]
    """None where `at` moved."""


@dataclass(slots=True)
class Link:
    """One neighbour."""

    peer: str
    outbound: bool
    since: float
    address: str = ""
    hello: Hello | None = None
    may_send: int = WINDOW
    """Bytes of bulk that the peer still has room for."""
    window: int = WINDOW
    """Bytes of bulk that it may still send us."""
    leaving: bool = False
    """Told goodbye: nothing it says counts any more."""
    work: float = 0.0
    """Rows that its questions cost us, as of `work_at`; sinks with time."""
    work_at: float = 0.0
    sums: float = 0.0
    """Questions by sums that it asked, as of `sums_at`; sinks with time."""
    sums_at: float = 0.0
    undigested: int = 0
    """Bulk bytes taken in and not credited back yet."""
    jobs: deque[Iterator[Served]] = field(default_factory=deque)
    """Logs that it asked for by name."""
    aloud: Aloud | None = None
    """The range that is read to it; one at a time."""
    retold: Retold | None = None
    """What came since it was here and is sent to it."""
    replaying: float | None = None
    """Since when it has been sending us what came since we were there."""
    replayed: bool = False
    """It did, and was not compared with since."""
    answered: int = 0
    """How many of its questions for logs were answered."""
    asked: OrderedDict[LogId, Asked] = field(default_factory=OrderedDict)
    """What it owes us, in the order in which it was asked for."""
    unserved: list[tuple[LogId, bytes]] = field(default_factory=list)
    """Claims that it did not serve, each with the root that it had told last: judged when it tells its root again."""
    excused: int = 0
    """How many it did not serve in a row because its root had moved meanwhile."""
    asked_n: int = 0
    """How many logs it was ever asked for."""
    unasked: bool = False
    """It claims more than it was asked for, because enough was asked for."""
    ranges: dict[int, Span] = field(default_factory=dict)
    """What it was asked to read to us and did not say that it ended, by number."""
    reading: int = 0
    """The number of what it was asked last to read to us."""
    gave: int = 0
    """Bulk bytes ever sent to it."""
    came: int = 0
    """Bulk bytes that ever came."""
    watched: tuple[float, int] = (0.0, 0)
    """Since when it has owed us something, and how much had come then."""
    strays: float = 0.0
    """Entries that came unasked, as of `strays_at`; sinks with time."""
    strays_at: float = 0.0
    waiting: OrderedDict[AccountId, Waiting] = field(default_factory=OrderedDict)
    """Heads to be looked at once the account's control log has come."""
    waiting_heads: int = 0
    """How many heads are in `waiting`."""
    settled_at: float = -1e9
    """When it was last noted where we met."""
    differences: OrderedDict[LogId, Head] = field(default_factory=OrderedDict)
    """What the peer last claimed of logs where we stood elsewhere."""
    parts_asked: dict[tuple[EntryId, int], float] = field(default_factory=dict)
    session_until: float = 0.0
    equal: bool = False
    """Whether the roots agreed when they were last compared."""
    arrival: int = 0
    """The peer's last arrival number, by its own word."""
    root: bytes = b""
    """Its root, or that of what both hold, by its own word."""
    root_at: float = 0.0
    """When we last told it our root."""

    @property
    def asks(self) -> bool:
        """Whether it is owed bulk, or word that there is no more."""
        return bool(self.jobs) or self.retold is not None or self.aloud is not None
