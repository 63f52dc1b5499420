"""The frames of one peer that wait for the replica: how much memory they use, and whether the peer had credit for them.

The replica credits bulk when it has digested it. So waiting bulk used credit, and no honest peer sends more than a
window and one last frame. This is checked before the memory is used.
"""

from __future__ import annotations

from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.wire import is_bulk

FRAME_OVERHEAD = 256
"""Memory of a waiting frame in addition to its bytes."""


class Backlog:
    """The reader calls `put`, the replica calls `took`, each on its own thread."""

    def __init__(self) -> None:
        self._put = self._took = self._bulk_put = self._bulk_took = 0

    def put(self, frame: bytes) -> str | None:
        """A sentence if the peer had no credit for the frame: then drop it."""
        if is_bulk(frame):
            here = self._bulk_put - self._bulk_took
            if here + len(frame) > WINDOW + OVERSHOOT:
                return f"sent {len(frame)} bytes of bulk more than it had credit for: {here} wait here already"
            self._bulk_put += len(frame)
        self._put += len(frame) + FRAME_OVERHEAD
        return None

    def took(self, frame: bytes) -> None:
        if is_bulk(frame):
            self._bulk_took += len(frame)
        self._took += len(frame) + FRAME_OVERHEAD

    @property
    def waiting(self) -> int:
        return self._put - self._took
