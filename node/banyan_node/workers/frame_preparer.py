"""Prepares bulk frames on other threads before the replica needs them.

A frame of bulk is decoded, hashed and verified without the store (prepare.py). So while the replica's thread waits for
the disk or judges earlier frames, two threads prepare waiting ones: one decodes while the signatures of the other's
frame are checked in separate processes (signature_pool.py). If the replica gets to a frame first, it prepares it
itself.

While own people work it does not prepare a stranger's: the frame comes to it prepared, in slices (prepare.py), and
calls go between them.
"""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import thread_time

import trio

from banyan_crdt.realm import Realm
from banyan_node.workers.signature_pool import SignaturePool
from banyan_replica.intake.prepare import PreparedFrame, prepare, slices
from banyan_replica.wire.message_table import is_bulk

WORTH = 32 << 10
"""Bytes of the smallest frame for which another thread saves time."""
AHEAD_BYTES = 4 << 20
"""Frames of so many bytes are prepared ahead at most, of all peers: decoded, they take up to ten times their size. For
slices one network may have half of that, or one frame, and peers that this node relies on as much again: who waits for
its turn with what is prepared must not keep others out."""
NETWORKS = 1_024
"""Networks of which it is remembered how much was prepared, at least."""
SLICE = 4 << 10
"""While own people work, a stranger's frame of more bytes is judged in slices of about so many: some items each."""
ROOM_S = 0.01
"""How often it is looked whether there is room for one more frame, seconds."""
GIVE_WAY_S = 0.0002
"""While a stranger's frame is prepared for slices, a thread keeps the interpreter for so long if others wait, seconds.
A commit or an answer gives it up at every call into the store, and would wait for Python's usual 5 ms at each."""
THREADS = 2
"""Frames prepared at a time: one is decoded while another's signatures are checked."""


class FramePreparer:
    """The event loop calls `begin`; the replica's thread calls `taken` for each frame.

    Only the event loop writes `_begun`, only the replica's thread `_taken`, so neither needs a lock."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._checking = SignaturePool(realm)
        self._pool = ThreadPoolExecutor(THREADS, "ahead")
        self._one = trio.Lock()
        self._closed = False
        self._begun = self._taken = 0
        self._sliced, self._judged = Counter[str](), Counter[str]()
        """Bytes of frames in slices, by network. Only the replica's thread writes the second."""

    def begin(self, frame: bytes, spent: Callable[[float], None]) -> Future[PreparedFrame] | None:
        """None if the frame is not prepared ahead. spent(seconds): told on another thread what it cost."""
        if self._closed or len(frame) < WORTH or not is_bulk(frame) or self._begun - self._taken > AHEAD_BYTES:
            return None
        self._begun += len(frame)
        return self._pool.submit(self._prepare, frame, spent)

    def _prepare(self, frame: bytes, spent: Callable[[float], None]) -> PreparedFrame:
        began = thread_time()
        try:
            return prepare(self._realm, frame, self._checking, True)
        finally:
            spent(thread_time() - began)

    def has_room(self, frame: bytes, group: str, relied_on: bool) -> bool:
        """Whether a frame of a peer in this network need not wait for others to be judged before it is prepared."""
        if len(self._sliced) > NETWORKS:
            for name in [name for name, size in self._sliced.items() if size == self._judged[name]]:
                del self._sliced[name], self._judged[name]  # the replica's thread has nothing of it
        own = self._sliced[group] - self._judged[group]
        most = 2 * AHEAD_BYTES if relied_on else AHEAD_BYTES
        return self._begun - self._taken <= most and (not own or relied_on or own + len(frame) <= AHEAD_BYTES // 2)

    async def in_slices(
        self, frame: bytes, spent: Callable[[float], None], group: str = "", relied_on: bool = False
    ) -> list[PreparedFrame]:
        """The prepared frame, in slices, once there is room for it; cancelled only while it waits for that. One is
        prepared at a time. Call `judged` when they were judged. Empty if this was closed."""
        while not (self._closed or self.has_room(frame, group, relied_on)):
            await trio.sleep(ROOM_S)
        if self._closed:
            return []
        self._begun += len(frame)
        self._sliced[group] += len(frame)
        with trio.CancelScope(shield=True):
            async with self._one:
                done, loop = trio.Event(), trio.lowlevel.current_trio_token()
                try:
                    begun = self._pool.submit(lambda: slices(self._prepare(frame, spent), SLICE))
                except RuntimeError:  # closed meanwhile
                    return []
                begun.add_done_callback(lambda _: loop.run_sync_soon(done.set))
                with ShortSwitchInterval():
                    await done.wait()
        if begun.cancelled() or begun.exception() is not None:
            self._begun -= len(frame)
            self._sliced[group] -= len(frame)
        return [] if begun.cancelled() else begun.result()

    def judged(self, frame: bytes, group: str = "") -> None:
        """The replica judged all slices of it."""
        self._taken += len(frame)
        self._judged[group] += len(frame)

    def took(self, frame: bytes) -> None:
        """The replica has it."""
        self._taken += len(frame)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._checking.close()

    def taken(self, begun: Future[PreparedFrame] | None, frame: bytes) -> PreparedFrame | None:
        """The prepared frame, after waiting if it is in work; None if no thread has begun."""
        if begun is None:
            return None
        self.took(frame)
        return None if begun.cancel() else begun.result()


class ShortSwitchInterval:
    """Threads give way soon inside of this context, of all nodes of the process."""

    users, usual = 0, 0.0

    def __enter__(self) -> None:
        if not ShortSwitchInterval.users:
            ShortSwitchInterval.usual = sys.getswitchinterval()
            sys.setswitchinterval(GIVE_WAY_S)
        ShortSwitchInterval.users += 1

    def __exit__(self, *_: object) -> None:
        ShortSwitchInterval.users -= 1
        if not ShortSwitchInterval.users:
            sys.setswitchinterval(ShortSwitchInterval.usual)
