"""Frames of one peer that wait for the replica: how much memory they take, and whether it had credit for them.

The replica credits bulk when it has digested it. So what waits here was sent on credit, and no honest peer sends more
than a window and one last frame. This is checked before the memory is used.
"""

from __future__ import annotations

from banyan_replica.peers.flow import OVERSHOOT, WINDOW
from banyan_replica.wire import is_bulk

FRAME_OVERHEAD = 256
"""What a frame costs beside its bytes while it waits."""


class Backlog:
    """`put` is the reader's, `took` the replica's, each on its own thread."""

    def __init__(self) -> None:
        self._put = self._took = self._bulk_put = self._bulk_took = 0

    def put(self, frame: bytes) -> str | None:
        """A sentence if the peer had no credit for it: then it is not to be kept."""
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
