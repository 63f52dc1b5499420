"""Work that runs on a few threads beside the one that owns a store, where no node runs.

The owner waits for what it began, and meanwhile does what that work asks of it (`on_owner`): nobody else may touch the
store. So work that asks is answered while the owner waits, or between two of its own calls.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, TypeAlias

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId
from banyan_crdt.realm import Realm
from banyan_crdt.signing import SignatureClaim, Signer, sign_all, verify_all

Waiting: TypeAlias = Callable[[], Any]
"""Waits for the answer of what was begun, and returns it or raises."""


class OwnerGone(Exception):
    """The owner ended what it began."""


class SideThreads:
    """All but `on_owner` belong to the owner's thread."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "work")
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        """What the owner is asked to do; None: something ended, look again."""
        self._running = set[Future[Any]]()
        self._closed = False

    def begin(self, do: Callable[[], Any]) -> Waiting:
        """Runs it soon. Returns what waits for its result, or raises what it raised."""
        running = self._pool.submit(do)
        self._running.add(running)
        running.add_done_callback(lambda _: self._asked.put(None))

        def wait() -> Any:
            self._serve(running)
            return running.result()

        return wait

    def on_owner(self, do: Callable[[], None]) -> None:
        """Has the owner do it, from a thread of work. Raises what it raised; OwnerGone."""
        done = Future[None]()

        def answer() -> None:
            try:
                if self._closed:
                    raise OwnerGone
                do()
            except Exception as error:
                done.set_exception(error)
            else:
                done.set_result(None)

        self._asked.put(answer)
        done.result()

    def close(self) -> None:
        """Waits for what runs; what did not start yet never does."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for running in list(self._running):
            self._serve(running)
        self._pool.shutdown()

    def _serve(self, running: Future[Any]) -> None:
        """Until it is done."""
        while not running.done():
            asked = self._asked.get()
            if asked is not None:
                asked()
        self._running.discard(running)


# Checks and makes batches of signatures in two threads: libsodium releases the GIL, so two cores work at a time.
#
# Runs of one entry have as many signatures as entries. Handing work to another thread costs as much as a few checks, so
# small batches stay on the calling thread.

FEW = 24
"""The least number of signatures that are shared with the other thread."""


class Verifier:
    """One thread in addition to the calling one."""

    def __init__(self) -> None:
        self._other = ThreadPoolExecutor(1, "verifier")

    def __call__(self, realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
        if len(checks) < FEW:
            return verify_all(realm, checks)
        half = len(checks) // 2
        theirs = self._other.submit(verify_all, realm, checks[half:])
        return verify_all(realm, checks[:half]) + theirs.result()

    def sign(self, todo: Sequence[tuple[Signer, EntryId]]) -> list[bytes]:
        """Signatures, made in the same way."""
        if len(todo) < FEW:
            return sign_all(todo)
        half = len(todo) // 2
        theirs = self._other.submit(sign_all, todo[half:])
        return sign_all(todo[:half]) + theirs.result()

    def close(self) -> None:
        self._other.shutdown()
