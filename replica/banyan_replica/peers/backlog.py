"""The frames of one peer that wait for the replica: how much memory they use, and whether the peer had credit for them.

The replica credits bulk when it has digested it. So waiting bulk used credit, and no honest peer sends more than a
window and one last frame. This is checked before the memory is used.
"""

from __future__ import annotations

from enum import IntEnum

from banyan_replica.gossip.pushes import opens_as_own, relays
from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.wire.message_table import goes_ahead, is_bulk, is_gossip, opens_as
from banyan_replica.wire.messages import Hello

FRAME_OVERHEAD = 256
"""Memory of a waiting frame in addition to its bytes."""


RELAYED = 1 << 20
"""Bytes of what a peer relays that wait, beyond which it counts as a flood: at the pace at which a node at work for its
own people judges strangers, some eight seconds. Less than what one network may have prepared ahead."""


class Lane(IntEnum):
    """The lines in which the frames of one peer wait. Each keeps its order."""

    FIRST = 0
    """What the peer's own people wrote, and questions that refer to no frame before: before all others."""
    GOSSIP = 1
    """What it relays and announces. It takes turns with the rest, because others can flood it."""
    REST = 2
    """Answers to this node's questions."""
    LAST = 3
    """After all that came before it, and before all that comes later."""


class BacklogBytes:
    """Bytes that wait. Each of its numbers is written by one thread only: the reader's, and the replica's."""

    __slots__ = ("put", "took")

    def __init__(self) -> None:
        self.put = self.took = 0

    @property
    def bytes(self) -> int:
        return self.put - self.took


class Backlog:
    """The reader calls `put`, the replica calls `took`, each on its own thread. all: what waits of all peers."""

    def __init__(self, all: BacklogBytes | None = None) -> None:
        self._all, self._greeted = all or BacklogBytes(), False
        self._put = self._took = self._bulk_put = self._bulk_took = self._relayed_put = self._relayed_took = 0

    def put(self, frame: bytes) -> str | None:
        """A sentence if the peer had no credit for the frame: then drop it."""
        if is_bulk(frame):
            here = self._bulk_put - self._bulk_took
            if here + len(frame) > WINDOW + OVERSHOOT:
                return f"sent {len(frame)} bytes of bulk more than it had credit for: {here} wait here already"
            self._bulk_put += len(frame)
        elif relays(frame):
            self._relayed_put += len(frame)
        self._put += len(frame) + FRAME_OVERHEAD
        self._all.put += len(frame) + FRAME_OVERHEAD
        return None

    def took(self, frame: bytes) -> None:
        if is_bulk(frame):
            self._bulk_took += len(frame)
        elif relays(frame):
            self._relayed_took += len(frame)
        self._took += len(frame) + FRAME_OVERHEAD
        self._all.took += len(frame) + FRAME_OVERHEAD
        self._greeted = self._greeted or opens_as(frame, Hello)

    def lane(self, frame: bytes) -> Lane:
        """Where a frame waits. Nothing goes before the peer's hello, because until that was read all else is ignored;
        it is not its first frame if one for a link before came late."""
        if not self._greeted:
            return Lane.REST
        if is_gossip(frame):
            return Lane.FIRST if opens_as_own(frame) else Lane.GOSSIP
        return Lane.FIRST if goes_ahead(frame) else Lane.REST

    def is_full(self, most: int, most_of_all: int) -> bool:
        """Whether to read nothing more from the peer now: more than `most` bytes of it wait, or any while more than
        `most_of_all` wait in all. So many peers together cannot use up the memory, and each may still send a frame."""
        return self.waiting > most or (self.waiting > 0 and self._all.bytes > most_of_all)

    @property
    def floods(self) -> bool:
        """Whether so much waits of what the peer relays that more of it is better dropped. Otherwise the link would
        fill up, and what the peer's own people write and ask would wait behind it, unread."""
        return self._relayed_put - self._relayed_took > RELAYED

    @property
    def waiting(self) -> int:
        return self._put - self._took
