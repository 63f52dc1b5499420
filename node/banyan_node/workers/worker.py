"""The replica's thread: one thread owns the store's pending transaction and the replica. Others post to its inbox.

Whatever waits in the inbox is taken together, up to TAKE items, and shares one commit: 64 people who post at once wait
for one fsync, not for 64. Effects leave for the event loop in order, after the commit that they depend on, and a call
is answered after it too: all of it in one hop. While the thread decodes, hashes or syncs the disk, the loop goes on.
"""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import structlog
import trio

from banyan_replica.effects import Commit, Effect
from banyan_replica.peers.flow import WINDOW
from banyan_replica.replica import Replica
from banyan_storage.errors import StorageError

log = structlog.get_logger("banyan")
T = TypeVar("T")
TAKE = 512
"""Items of the inbox that share one commit at most."""
TAKE_BYTES = WINDOW // 2
"""Bytes of frames that share one commit at most: half of what a peer may send ahead, so that it sends on meanwhile."""
ENOUGH_BYTES = 32 << 10
"""Bytes of frames that are worth a commit by themselves."""
GC_OBJECTS = 50_000
"""New objects between two runs of the cyclic garbage collector. A frame makes about as many, nearly all of them tuples
that end with it. With Python's default of 700 the collector took a seventh of the time."""
GC_BUSY = 10
"""Multiplier for GC_OBJECTS while busy: scanning live objects is wasted work."""
IDLE_S = 0.1
"""The thread is idle after this time without work; then the collector may run, seconds."""
WINDOW_S = 0.004
"""How long a commit of little waits for company, where several came lately."""


class Worker(Generic[T]):
    """Runs `make()` on its own thread, then feeds what it made. `C`, the context, is whatever `make` returns."""

    def __init__(
        self,
        make: Callable[[], T],
        replica_of: Callable[[T], Replica],
        close: Callable[[T], None],
        deliver: Callable[[Sequence[Effect], int], None],
        after: Callable[[T, float, bool], float] = lambda context, now, answers: float("inf"),
    ) -> None:
        """after: is called on the thread behind each batch, before its calls are answered, with whether there are any;
        returns by when it wants to be called again."""
        self._make, self._replica_of, self._close, self._deliver = make, replica_of, close, deliver
        self._after, self._again = after, float("inf")
        self._inbox: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)
        self._ready = trio.Event()
        self._done = trio.Event()
        self._calls: set[_Answer] = set()
        self._crowd = False
        """Whether several jobs that write came together last time: then they will again."""
        self._error: BaseException | None = None
        self._stopping = False
        self._epoch = time.time() - time.monotonic()

    async def start(self) -> None:
        """Returns once `make` has returned; raises what it raised."""
        spare_garbage_collection()
        self._thread.start()
        await self._ready.wait()
        if self._error is not None:
            raise self._error

    def post(self, do: Callable[[T, float], None], size: int = 0, writes: bool = False) -> None:
        """Have `do(context, now)` run; any thread may ask. `size`: bytes of a frame that it takes in. `writes`: whether
        it may bring something that is to be committed."""
        self._inbox.put(_Job(do, None, size=size, writes=writes))

    async def call(self, do: Callable[[T, float], Any], alone: bool = False, together: bool = False) -> Any:
        """The result of `do(context, now)`, after what it wrote is durable. Raises what it raised.

        `alone`: it commits by itself on its way, so nothing else shares its transaction. `together`: it reads nothing
        that another such call could have published just before it, so what they publish is written together.
        """
        answer = _Answer()
        if not self._done.is_set():
            self._calls.add(answer)
            try:
                self._inbox.put(_Job(do, answer, alone, together, writes=True))
                await answer.given.wait()
            finally:
                self._calls.discard(answer)
        return answer.result()

    async def stop(self) -> None:
        """Takes what is in the inbox, commits, closes. Never cancelled: an open transaction must not be left behind."""
        self._inbox.put(None)
        with trio.CancelScope(shield=True):
            await self._done.wait()

    @property
    def waiting(self) -> int:
        """Items in the inbox."""
        return self._inbox.qsize()

    async def failed(self) -> None:
        """Returns when the thread ends; raises if it ended by an error."""
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def _now(self) -> float:
        """Steady seconds that began as the wall clock: a clock set back must not stop the timers."""
        return self._epoch + time.monotonic()

    def _run(self) -> None:
        context: T | None = None
        try:
            context = self._make()
            self._tell(self._ready.set)
            self._serve(context, self._replica_of(context))
        except BaseException as error:
            self._error = error
        finally:
            if context is not None:
                self._close(context)
            self._tell(self._end)

    def _end(self) -> None:
        """Nobody waits for a thread that is gone."""
        self._ready.set()
        self._done.set()
        for answer in self._calls:
            answer.given.set()

    def _serve(self, context: T, replica: Replica) -> None:
        while not self._stopping:
            for jobs in _batches(self._next(replica)):
                self._serve_batch(context, replica, jobs)

    def _serve_batch(self, context: T, replica: Replica, jobs: Sequence[_Job]) -> None:
        now, reached = self._now(), replica.store.last_arrival
        replica.ahead_s = time.time() - now
        error = self._run_all(context, replica, jobs, now)
        effects, failed = self._effects(replica)
        answers = [job.answer for job in jobs if job.answer is not None]
        for answer in answers:
            answer.ready(error or failed)
        try:
            self._again = self._after(context, now, bool(answers))
        except Exception:
            log.exception("what is done after each batch failed")
            self._again = float("inf")
        if effects or answers:
            self._tell(partial(self._give, effects, answers, reached))
        if (timer := replica.get_timer()) is not None and timer <= now:
            self._guarded(replica, partial(replica.handle_timer, now))
            effects, _ = self._effects(replica)
            if effects:
                self._tell(partial(self._give, effects, (), reached))

    def _give(self, effects: Sequence[Effect], answers: Sequence[_Answer], reached: int) -> None:
        """On the event loop. reached: the last arrival before the jobs; all that was told of it and before has left."""
        self._deliver(effects, reached)
        for answer in answers:
            answer.given.set()

    def _run_all(self, context: T, replica: Replica, jobs: Sequence[_Job], now: float) -> StorageError | None:
        """Runs jobs that share a commit: frames, or calls. None of them may leave half of itself in it.

        A frame that fails takes back what the frames before it brought, which is left to reconciliation. A call that
        is refused after it wrote takes the shared transaction back, and the other calls of the batch run again.
        """
        for job in jobs:
            error = self._guarded(replica, replica.hold if job.together else replica.settle)
            before = replica.changes
            error = error or self._guarded(replica, partial(job.run, context, now))
            if job.answer is None:
                continue
            if error is not None:
                return error
            if job.answer.refused and replica.changes != before:
                self._undo(replica, None)
                return self._run_all(context, replica, [j for j in jobs if j is not job], now)
        return self._guarded(replica, replica.settle)

    def _guarded(self, replica: Replica, do: Callable[[], object]) -> StorageError | None:
        """A full disk or a bug in handling one frame ends neither the thread nor the node; what was pending is gone."""
        try:
            do()
        except StorageError as why:
            self._undo(replica, why)
            return why
        except Exception as bug:
            log.exception("a frame could not be handled")
            lost = StorageError(f"an error inside the node took back what was pending: {bug!r}")
            self._undo(replica, lost)
            return lost
        return None

    def _undo(self, replica: Replica, why: StorageError | None) -> None:
        replica.store.rollback()
        replica.commit_failed(str(why) if why else None)

    def _next(self, replica: Replica) -> list[_Job]:
        timer = replica.get_timer()
        due = self._again if timer is None else min(timer, self._again)
        patience = max(0.0, min(1.0, due - self._now()))
        jobs: list[_Job] = []
        try:
            job = self._inbox.get(timeout=patience) if patience else self._inbox.get_nowait()
            if self._drain(job, jobs) and self._waits(jobs):
                # a crowd is waited for while one is arriving, a lone job goes at once
                time.sleep(WINDOW_S)
                self._drain(self._inbox.get_nowait(), jobs)
        except queue.Empty:
            if not jobs and patience > IDLE_S and gc.get_count()[0] > GC_OBJECTS:
                gc.collect(0)
        self._crowd = sum(job.writes for job in jobs) > 1
        return jobs

    def _waits(self, jobs: Sequence[_Job]) -> bool:
        """Whether a commit of so little is worth waiting for what may come with it."""
        writing = sum(job.writes for job in jobs)
        return (writing > 1 or (self._crowd and writing > 0)) and sum(job.size for job in jobs) < ENOUGH_BYTES

    def _drain(self, job: _Job | None, jobs: list[_Job]) -> bool:
        """Adds the job and whatever waits behind it; whether there is room for more."""
        size = sum(j.size for j in jobs)
        while job is not None:
            jobs.append(job)
            size += job.size
            if len(jobs) >= TAKE or size >= TAKE_BYTES:
                return False
            try:
                job = self._inbox.get_nowait()
            except queue.Empty:
                return True
        self._stopping = True
        return False

    def _effects(self, replica: Replica) -> tuple[list[Effect], StorageError | None]:
        """Carries out commits; the rest is for the event loop."""
        out: list[Effect] = []
        error: StorageError | None = None
        while (effect := replica.next_effect()) is not None:
            if not isinstance(effect, Commit):
                out.append(effect)
                continue
            try:
                replica.store.commit()
            except StorageError as why:
                error = why
                replica.commit_failed(str(why))
                out.clear()
        return out, error

    def _tell(self, do: Callable[[], None]) -> None:
        try:
            self._loop.run_sync_soon(do)
        except trio.RunFinishedError:
            pass  # the event loop is gone, nobody is left to be told


def spare_garbage_collection() -> None:
    """For a process that has a replica, before its work begins: what was imported stays, so no look at it will find
    anything, and few looks are worth it while there is something to do."""
    gc.freeze()
    gc.set_threshold(GC_BUSY * GC_OBJECTS, 20, 100)


def _batches(jobs: list[_Job]) -> list[list[_Job]]:
    """Jobs that may share a commit; at least one batch, since time passes without jobs too.

    Frames and calls never share one: no peer's frame can take back what somebody is told is done, nor the other way.
    """
    frames = [job for job in jobs if job.answer is None]
    out: list[list[_Job]] = [frames, []]
    for job in jobs:
        if job.answer is None:
            continue
        if job.alone or (out[-1] and out[-1][-1].alone):
            out.append([])
        out[-1].append(job)
    return [batch for batch in out if batch] or [[]]


class _Answer:
    """What a call gets: written by the replica's thread, read once `given` is set on the event loop."""

    def __init__(self) -> None:
        self.given = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._answered = False

    @property
    def refused(self) -> bool:
        return self._error is not None

    def took(self, value: Any, error: BaseException | None) -> None:
        self._value, self._error = value, error

    def ready(self, error: StorageError | None) -> None:
        self._error = self._error or error
        self._answered = True

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        if not self._answered:
            raise StorageError("the node stopped before it answered; whether it was done, its next start will show")
        return self._value


class _Job(NamedTuple):
    do: Callable[[Any, float], Any]
    answer: _Answer | None
    alone: bool = False
    together: bool = False
    size: int = 0
    writes: bool = False

    def run(self, context: Any, now: float) -> None:
        """Raises StorageError; any other error of a call is its answer."""
        if self.answer is None:
            self.do(context, now)
            return
        try:
            self.answer.took(self.do(context, now), None)
        except StorageError:
            raise
        except Exception as error:
            self.answer.took(None, error)
