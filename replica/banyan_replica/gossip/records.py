"""The gossip's records: of each neighbour, connection, spare peer and dial, and of each message in transit."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

from banyan_replica.gossip.frames import MemberFrame, PeerId, PeerInfo, Push
from banyan_replica.gossip.settings import MAX_ITEMS
from banyan_replica.peers.ledger import Leak

PATIENCE = 4
"""How often debts of a peer are extended while frames of it wait here unread: it may have sent what it owes."""


@dataclass(slots=True)
class PushQueue:
    """Messages that wait to be pushed. size: bytes of their payloads."""

    items: list[Push] = field(default_factory=list)
    size: int = 0

    def add(self, item: Push) -> None:
        self.items.append(item)
        self.size += len(item.payload)

    def take(self, most: int) -> list[Push]:
        """Takes what one frame holds: up to `most` bytes of payload, but at least one message."""
        n = size = 0
        if len(self.items) > MAX_ITEMS or self.size > most:
            for item in self.items[:MAX_ITEMS]:
                if n and size + len(item.payload) > most:
                    break
                n, size = n + 1, size + len(item.payload)
        else:
            n, size = len(self.items), self.size
        taken, self.items, self.size = self.items[:n], self.items[n:], self.size - size
        return taken

    def drop(self, mids: Container[bytes]) -> None:
        self.items = [item for item in self.items if item.mid not in mids]
        self.size = sum(len(item.payload) for item in self.items)


@dataclass(slots=True)
class TreeLink:
    """One neighbour in the tree. own: messages of this node's people. relayed: those of others, which come after."""

    peer: PeerId
    topics: Container[bytes] | None = None  # it is a leaf, and gets messages of these topics; None: it gets all
    eager: bool = True
    score: int = 0
    own: PushQueue = field(default_factory=PushQueue)
    relayed: PushQueue = field(default_factory=PushQueue)
    ihaves: dict[bytes, None] = field(default_factory=dict)  # in the order in which they are announced
    grafts: list[bytes] = field(default_factory=list)
    prune: bool = False
    answers: set[bytes] = field(default_factory=set)  # of what waits, those that it asked for
    held: bool = False  # its stream is full, so only `own` leaves
    debts: dict[bytes, float] = field(default_factory=dict)  # messages asked of it, and by when it must send them
    patience: int = PATIENCE  # how often its debts may still be extended
    notes: int = 0
    grafted: Leak = field(default_factory=Leak)  # how much it asked of us
    asked: Leak = field(default_factory=Leak)  # how much we asked of it
    own_until: float = -inf  # until then it gets own messages pushed, eager or not


@dataclass(slots=True)
class MissingMessage:
    """An announced message that has not arrived."""

    by: PeerId
    at: float  # when to ask for it; later while a copy is being judged
    sources: list[PeerId]
    tries: int = 0


@dataclass(slots=True)
class PendingMessage:
    """Copies of a message that are being judged, and the peers known to have it."""

    payloads: list[bytes]
    holders: set[PeerId]
    until: float  # how long to wait for the verdict


@dataclass(slots=True)
class Counters:
    published: int = 0
    accepted: int = 0
    learned: int = 0
    ignored: int = 0
    rejected: int = 0
    duplicates: int = 0
    pushed: int = 0
    announced: int = 0
    prunes: int = 0
    grafts: int = 0
    grafts_answered: int = 0
    grafts_refused: int = 0
    grafts_given_up: int = 0
    unanswered: int = 0
    overflowed: int = 0
    frames: int = 0


class Neighbours(Protocol):
    """Is told of changes of the active view: the tree."""

    def neighbour_up(self, peer: PeerId, now: float, topics: Container[bytes] | None) -> None: ...

    def neighbour_down(self, peer: PeerId) -> None: ...


@dataclass(slots=True)
class Conn:
    group: str
    addrs: tuple[str, ...]
    dialled: bool  # the gossip asked for this connection
    inbound: bool  # the peer dialled
    chosen: bool  # and picked the peer itself
    spare_at: float
    topics: Container[bytes] | None = None  # those of a leaf; None: it relays
    forwarded_at: float = -inf  # when neighbours were told that it joins
    waits_until: float = -inf  # a leaf takes no place of another one before

    @property
    def is_leaf(self) -> bool:
        return self.topics is not None


class Spare(NamedTuple):
    info: PeerInfo
    group: str


class NeighbourRefusal(NamedTuple):
    """Of a peer that refused to be a neighbour, or let this node go. again_at: when it may be asked again. wait_s: how
    long that was then."""

    again_at: float
    wait_s: float


@dataclass(slots=True)
class Dial:
    addrs: tuple[str, ...]
    chosen: bool
    until: float
    frames: list[MemberFrame] = field(default_factory=list)
