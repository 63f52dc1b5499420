"""Prepares bulk frames on other threads before the replica needs them.

A frame of bulk is decoded, hashed and verified without the store (prepare.py). So while the replica's thread waits for
the disk or judges earlier frames, two threads prepare waiting ones: one decodes while the signatures of the other's
frame are checked in separate processes (checking.py). If the replica gets to a frame first, it prepares it itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import thread_time

from banyan_crdt.realm import Realm
from banyan_node.workers.checking import Checking
from banyan_replica.intake.prepare import Prepared, prepare
from banyan_replica.wire import is_bulk

WORTH = 32 << 10
"""Bytes of the smallest frame for which another thread saves time."""
AHEAD_BYTES = 4 << 20
"""Frames of so many bytes are prepared ahead at most, of all peers: decoded, they take up to ten times their size."""
THREADS = 2
"""Frames prepared at a time: one is decoded while another's signatures are checked."""


class Ahead:
    """The event loop calls `begin`; the replica's thread calls `taken` for each frame. Each counts bytes of its own."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._checking = Checking(realm)
        self._pool = ThreadPoolExecutor(THREADS, "ahead")
        self._closed = False
        self._begun = self._taken = 0

    def begin(self, frame: bytes, spent: Callable[[float], None]) -> Future[Prepared] | None:
        """None if the frame is not prepared ahead. spent(seconds): told on another thread what it cost."""
        if self._closed or len(frame) < WORTH or not is_bulk(frame) or self._begun - self._taken > AHEAD_BYTES:
            return None
        self._begun += len(frame)
        return self._pool.submit(self._prepare, frame, spent)

    def _prepare(self, frame: bytes, spent: Callable[[float], None]) -> Prepared:
        began = thread_time()
        try:
            return prepare(self._realm, frame, self._checking)
        finally:
            spent(thread_time() - began)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checking.close()

    def taken(self, begun: Future[Prepared] | None, frame: bytes) -> Prepared | None:
        """The prepared frame, after waiting if it is in work; None if no thread has begun."""
        if begun is None:
            return None
        self._taken += len(frame)
        return None if begun.cancel() else begun.result()
