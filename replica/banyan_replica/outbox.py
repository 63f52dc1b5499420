"""The effects of the replica, in order, and which of them survive a rollback of the store. `Commit` comes before every
effect that depends on what it makes durable.

Reconciliation and gossip keep their messages until `collect` and `collect_gossip` move them here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from banyan_crdt.entry import Entry
from banyan_crdt.ids import LogId
from banyan_replica.gossip.frames import DialPeer, DropPeer, PushFrame, SendFrame, encode_frame, is_own
from banyan_replica.gossip.gossip import Gossip
from banyan_replica.peers.session import PeerSession
from banyan_replica.sync.sync import Sync
from banyan_replica.wire.message_table import encode_message, is_bulk, says_nothing_stored
from banyan_replica.wire.messages import MAX_REASON, Bye, Credit, GossipFrame, Message, Witness

# The effects.


class Send(NamedTuple):
    """One frame for one peer. own: it pushes what this node's people wrote, and goes before others that wait."""

    peer: str
    data: bytes
    own: bool = False


class Commit(NamedTuple):
    """Make the store durable before the effects that follow; if that fails, call `commit_failed`."""


class Connect(NamedTuple):
    """Dial the peer at one of these addresses; answer with `peer_up` or `dial_failed`."""

    peer: str
    addrs: tuple[str, ...]


class Disconnect(NamedTuple):
    peer: str
    reason: str


class Event(NamedTuple):
    """Information for people and programs."""

    name: str
    fields: dict[str, Any]


Effect: TypeAlias = Send | Commit | Connect | Disconnect | Event


class Outbox:
    """Waiting effects. links: the peers that messages can be sent to."""

    def __init__(self, links: Mapping[str, PeerSession], sync: Sync, gossip: Gossip) -> None:
        self._links, self._sync, self._gossip = links, sync, gossip
        self._waits: deque[Effect] = deque()
        self.size = 0
        """Bytes that were put in with `send` since `next` found nothing more."""

    def next(self) -> Effect | None:
        if not self._waits:
            self.size = 0
            self.collect_gossip()
        return self._waits.popleft() if self._waits else None

    def send(self, peer: str, message: Message | bytes) -> int:
        """Returns how many bytes it is."""
        data = message if isinstance(message, bytes) else encode_message(message)
        self.size += len(data)
        self._waits.append(Send(peer, data))
        return len(data)

    def tell(self, name: str, **fields: Any) -> None:
        """Adds an event for this node's listeners."""
        self._waits.append(Event(name, fields))

    def counted(self, log: LogId, added: Sequence[Entry]) -> None:
        """The same of entries that count from now on."""
        self.tell("entries", log=log, entries=len(added), length=added[-1].header.seq + 1, head=added[-1].id)

    def refuse(self, peer: str, reason: str) -> None:
        """Ends a link before the hello."""
        self._waits.append(Disconnect(peer, reason))

    def hang_up(self, link: PeerSession, reason: str) -> None:
        self._waits.append(Disconnect(link.peer, reason))
        link.close()

    def bye(self, link: PeerSession, gate: str, reason: str) -> None:
        """Sends the reason, then ends the link. gate: that did not let the peer pass; empty: the driver counts it."""
        if gate:
            link.load.stopped(gate)
        self.send(link.peer, Bye(reason.encode()[:MAX_REASON]))
        self.hang_up(link, reason)

    def credit(self, link: PeerSession) -> None:
        """Credits the peer with the bulk bytes that were digested."""
        self.send(link.peer, Credit(link.flow.give_back()))

    def spread(self, witness: Witness, came_from: str) -> None:
        """Sends it to every peer except the one that it came from."""
        for peer, link in self._links.items():
            if peer != came_from and link.hello is not None:
                self.send(peer, witness)

    def collect(self) -> None:
        """Collects the messages and faults of reconciliation."""
        for peer, message in self._sync.out:
            if peer in self._links:
                standing, size = self._links[peer].course.stuck, self.send(peer, message)
                if not isinstance(message, bytes):
                    standing.passed(message, size)
        self._sync.out.clear()
        for sentence in self._sync.serving.sound.found:
            self.tell("storage", error=sentence)
        self._sync.serving.sound.found.clear()

    def collect_gossip(self) -> None:
        while (effect := self._gossip.next_effect()) is not None:
            match effect:
                case SendFrame(peer, frame):
                    own = isinstance(frame, PushFrame) and is_own(frame)
                    self._waits.append(Send(peer, encode_message(GossipFrame(encode_frame(frame))), own))
                case DialPeer(peer, addrs):
                    self._waits.append(Connect(peer, addrs))
                case DropPeer(peer, reason, fault):
                    link = self._links.get(peer)
                    if link is not None and (fault or not self._in_use(link)):
                        self.hang_up(link, reason)

    def gone(self, peer: str) -> None:
        """Drops what waits for a closed connection: on the next one it would arrive before the hello."""
        self.collect()
        self.collect_gossip()
        self._waits = deque(e for e in self._waits if not (isinstance(e, Send) and e.peer == peer))

    def taken_back(self) -> None:
        """Drops messages that may depend on rolled-back writes, and restores the credit that dropped bulk used."""
        self.collect()
        waits, self._waits = self._waits, deque()
        for effect in waits:
            if isinstance(effect, Connect | Disconnect) or (
                isinstance(effect, Send) and says_nothing_stored(effect.data)
            ):
                self._waits.append(effect)
            elif isinstance(effect, Send) and is_bulk(effect.data) and effect.peer in self._links:
                self._links[effect.peer].flow.unsent(len(effect.data))

    def _in_use(self, link: PeerSession) -> bool:
        """Whether reconciliation still uses the link."""
        owed = len(link.owed.logs) > 0 or link.course.replaying or self._sync.asking.catchup.reads(link.peer)
        return owed or link.orders.any
