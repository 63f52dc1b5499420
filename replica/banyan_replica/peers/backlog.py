"""The frames of one peer that wait for the replica: how much memory they use, and whether the peer had credit for them.

The replica credits bulk when it has digested it. So waiting bulk used credit, and no honest peer sends more than a
window and one last frame. This is checked before the memory is used.
"""

from __future__ import annotations

from banyan_replica.gossip.pushes import opens_as_own
from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.wire import goes_ahead, is_bulk, is_gossip

FRAME_OVERHEAD = 256
"""Memory of a waiting frame in addition to its bytes."""


class Waiting:
    """Bytes that wait. Each of its numbers is written by one thread only: the reader's, and the replica's."""

    __slots__ = ("put", "took")

    def __init__(self) -> None:
        self.put = self.took = 0

    @property
    def bytes(self) -> int:
        return self.put - self.took


class Backlog:
    """The reader calls `put`, the replica calls `took`, each on its own thread. all: what waits of all peers."""

    def __init__(self, all: Waiting | None = None) -> None:
        self._all = all or Waiting()
        self._put = self._took = self._bulk_put = self._bulk_took = 0

    def put(self, frame: bytes) -> str | None:
        """A sentence if the peer had no credit for the frame: then drop it."""
        if is_bulk(frame):
            here = self._bulk_put - self._bulk_took
            if here + len(frame) > WINDOW + OVERSHOOT:
                return f"sent {len(frame)} bytes of bulk more than it had credit for: {here} wait here already"
            self._bulk_put += len(frame)
        self._put += len(frame) + FRAME_OVERHEAD
        self._all.put += len(frame) + FRAME_OVERHEAD
        return None

    def took(self, frame: bytes) -> None:
        if is_bulk(frame):
            self._bulk_took += len(frame)
        self._took += len(frame) + FRAME_OVERHEAD
        self._all.took += len(frame) + FRAME_OVERHEAD

    def is_first(self, frame: bytes) -> bool:
        """Whether a frame goes before those of the peer that wait: it brings what the peer's own people wrote, or is a
        question that refers to no frame before it. So what the peer relays, of which others can make a flood, keeps
        neither back. Nothing goes before the peer's first frame, its hello, because until that was read all else is
        ignored."""
        return self._took > 0 and (opens_as_own(frame) or (goes_ahead(frame) and not is_gossip(frame)))

    def is_full(self, most: int, most_of_all: int) -> bool:
        """Whether to read nothing more from the peer now: more than `most` bytes of it wait, or any while more than
        `most_of_all` wait in all. So many peers together cannot use up the memory, and each may still send a frame."""
        return self.waiting > most or (self.waiting > 0 and self._all.bytes > most_of_all)

    @property
    def waiting(self) -> int:
        return self._put - self._took
