"""Frames prepared ahead of the replica, on threads of their own.

What a frame of bulk says is decoded, hashed and verified without the store (prepare.py). So while the replica's thread
waits for the disk, or judges the frames before, other threads prepare those that wait: one decodes while the
signatures of another's frame are checked in processes of their own (checking.py). Frames that the replica comes to
first it prepares itself.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from banyan_crdt.realm import Realm
from banyan_node.workers.checking import Checking
from banyan_replica.intake.prepare import Prepared, prepare
from banyan_replica.wire import is_bulk

WORTH = 32 << 10
"""Bytes of a frame from which on a hop to another thread pays."""
THREADS = 2
"""Frames prepared at a time: one is decoded while another's signatures are checked."""


class Ahead:
    """Belongs to the event loop, which begins; the replica's thread takes."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._checking = Checking(realm)
        self._pool = ThreadPoolExecutor(THREADS, "ahead")
        self._closed = False

    def begin(self, frame: bytes) -> Future[Prepared] | None:
        if self._closed or len(frame) < WORTH or not is_bulk(frame):
            return None
        return self._pool.submit(prepare, self._realm, frame, self._checking)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checking.close()


def taken(begun: Future[Prepared] | None) -> Prepared | None:
    """What was prepared, after waiting for it if it is being done; None where nobody began."""
    return None if begun is None or begun.cancel() else begun.result()
