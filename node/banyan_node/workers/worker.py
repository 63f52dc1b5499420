"""The replica's thread: it owns the store's pending transaction and the replica. Other threads post to its inbox.

Calls of this node's own people come first. All that wait, at most TAKE, are committed together: 64 people who post at
once wait for one fsync, not for 64. Then frames of peers come, in turns (fair_queue.py), and share a commit too. They
make way when a call comes. Effects go to the event loop in order, after the commit that they depend on, together with
the answers to calls. The event loop runs on while this thread decodes, hashes or syncs the disk.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
import trio

from banyan_node.admission.fair_queue import JobOwner
from banyan_node.admission.throttle import Throttle
from banyan_node.workers import process_memory
from banyan_node.workers.inbox import NODE, Arrivals, Inbox, Job, JobAnswer, answered, together
from banyan_node.workers.publisher import AnswerScope
from banyan_replica.outbox import Commit, Effect, Send
from banyan_replica.peers.backlog import Lane
from banyan_replica.peers.flow import WINDOW
from banyan_replica.replica import Replica
from banyan_storage.errors import StorageError

log = structlog.get_logger("banyan")
T = TypeVar("T")
TAKE = 512
"""The most items of the inbox that share one commit."""
TAKE_BYTES = WINDOW // 2
"""The most bytes of frames that share one commit: half of a peer's credit, so that it can send more meanwhile."""
HANDED_BYTES = 16 << 20
"""Bytes of answers that may be on their way to the links, of all peers together: a question of a few hundred bytes can
be answered with megabytes. Beyond it frames wait; calls do not."""
ANSWERS_BYTES = 64 << 10
"""After so many bytes of answers a batch of frames ends: the links send them while the next batch is worked on."""
FRAMES_S = 0.005
"""How long frames go on while calls wait, at least, seconds; then what FRAMES_SHARE says."""
FRAMES_SHARE = 0.3
"""The part of the thread's time that frames get while calls wait all the time: peers must not wait for ever either."""
OWN_S = 0.005, 0.05
"""How long frames share a commit, at least and at most, when one of them brings what a peer's own people wrote,
seconds: their posts are not to wait for a flood that is relayed with them. Between these, OWN_COMMITS times what the
last commit took, so that a slow disk is not busy with commits alone."""
OWN_COMMITS = 2


class Worker(Generic[T]):
    """Runs `make()` on its own thread, then runs jobs on the context that it returned."""

    def __init__(
        self,
        make: Callable[[], T],
        replica_of: Callable[[T], Replica],
        close: Callable[[T], None],
        deliver: Callable[[Sequence[Effect], Arrivals], None],
        after: Callable[[T, float, AnswerScope], float],
        throttle: Throttle,
    ) -> None:
        """after(context, now, answers): called on the thread after each batch, before its calls are answered. Returns
        when it must be called again at the latest. throttle: how much of the processor other peers get."""
        self._make, self._replica_of, self._close, self._deliver = make, replica_of, close, deliver
        self._after, self._throttle = after, throttle
        self._inbox = Inbox(throttle, self._relies_on, self.now)
        self._loop = trio.lowlevel.current_trio_token()
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)
        self._ready = trio.Event()
        self._done = trio.Event()
        self._calls: set[JobAnswer] = set()
        self._context: T
        self._replica: Replica
        """What `make` returned, and its replica. On the replica's thread only."""
        self._cpu: float | None = None
        self._due = 0.0
        """When to go on though no job comes: the replica's timer is due, or `after` is."""
        self._handed = self._taken = 0
        """Bytes that this thread handed to the event loop, and that the links took over."""
        self._calls_s = 0.0
        """How long the last calls took together, with their commit, seconds."""
        self._own_s = OWN_S[0]  # by the last commit
        self._error: BaseException | None = None
        self._began: float | None = None
        """When it took up what it does now; None: it waits for work."""
        self._worked_s = 0.0
        self._epoch = time.time() - time.monotonic()

    async def start(self) -> None:
        """Returns once `make` has returned; raises what it raised."""
        process_memory.prepare()
        self._thread.start()
        await self._ready.wait()
        if self._error is not None:
            raise self._error

    def post(
        self,
        do: Callable[[T, float], None],
        size: int = 0,
        writes: bool = False,
        whose: JobOwner = NODE,
        lane: Lane = Lane.REST,
    ) -> None:
        """Runs `do(context, now)` later, those of one peer by lanes. Any thread. size: bytes of the frame that it
        handles. writes: whether it may write something that must be committed. whose: the peer that caused it."""
        self._inbox.put(Job(do, None, size=size, writes=writes, whose=whose, lane=lane))

    async def call(self, do: Callable[[T, float], Any], alone: bool = False, together: bool = False) -> Any:
        """The result of `do(context, now)`, once its writes are durable. Raises what it raised.

        alone: it commits by itself, so no other job shares its transaction. together: it does not read what other such
        calls publish, so their publications are written together.
        """
        answer = JobAnswer()
        if not self._done.is_set():
            self._calls.add(answer)
            try:
                self._inbox.call(Job(do, answer, alone, together, writes=True))
                await answer.given.wait()
            finally:
                self._calls.discard(answer)
        return answer.result()

    async def stop(self) -> None:
        """Runs the calls in the inbox, commits and closes; reconciliation brings again what frames are dropped. Never
        cancelled, so no open transaction is left behind."""
        self._inbox.stop()
        with trio.CancelScope(shield=True):
            await self._done.wait()

    @property
    def waiting(self) -> int:
        """Jobs that came and were not looked at yet."""
        return self._inbox.unsorted

    @property
    def at_one_thing_s(self) -> float:
        """How long the thread has been at what it does now, seconds; all else waits for that."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    @property
    def worked_s(self) -> float:
        """How long the thread has been at work so far, with what it does now, seconds."""
        return self._worked_s + self.at_one_thing_s

    async def failed(self) -> None:
        """Returns when the thread ends; raises if it ended by an error."""
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def now(self) -> float:
        """Monotonic seconds that started at the wall clock's time: a clock set back must not stop the timers."""
        return self._epoch + time.monotonic()

    def _run(self) -> None:
        try:
            self._context = self._make()
            try:
                self._replica = self._replica_of(self._context)
                self._tell(self._ready.set)
                self._serve()
            finally:
                self._close(self._context)
        except BaseException as error:
            self._error = error
        finally:
            self._tell(self._end)

    def _end(self) -> None:
        """Wakes everything that waits for this thread."""
        self._ready.set()
        self._done.set()
        for answer in self._calls:
            answer.given.set()

    def _serve(self) -> None:
        self._spent()
        inbox = self._inbox
        while not inbox.stopping:
            self._began = None
            inbox.wait(self._due, full=self._under_way >= HANDED_BYTES)
            self._began = time.monotonic()
            began, calls = time.perf_counter(), bool(inbox.calls)
            while inbox.calls:
                self._began = time.monotonic()
                self._serve_batch(together(inbox.calls, TAKE))
            self._calls_s = time.perf_counter() - began
            if inbox.turns.count or not calls:
                self._serve_batch(())
            self._worked_s += time.perf_counter() - began

    def _serve_batch(self, calls: Sequence[Job]) -> None:
        """Runs calls, or frames if there are none, then timers that are due."""
        now, reached = self.now(), self._replica.store.last_arrival
        self._replica.set_clock(time.time() - now)
        error = self._run_calls(calls, now) if calls else self._run_frames(now)
        effects, failed = self._effects()
        answers = [job.answer for job in calls if job.answer is not None]
        for answer in answers:
            answer.ready(error or failed)
        self._due = float("inf")
        try:
            self._due = self._after(self._context, now, answered(calls))
        except Exception:
            log.exception("publishing after a batch failed")
        if effects or answers:
            self._hand(effects, answers, reached)
        timer = self._replica.get_timer()
        if timer is not None and timer <= now:
            self._guarded(partial(self._handle_timer, now))
            effects, _ = self._effects()
            if effects:
                self._hand(effects, (), reached)
            timer = self._replica.get_timer()
        if timer is not None:
            self._due = min(self._due, timer)
        if calls:
            self._spent()  # own people owe nothing

    @property
    def _under_way(self) -> int:
        """Bytes that the links have not taken over yet."""
        return self._handed - self._taken

    def _handle_timer(self, now: float) -> None:
        began = self._cpu and time.thread_time()
        reader = self._replica.handle_timer(now)
        if reader and began and self._cpu:
            took = time.thread_time() - began
            self._throttle.spent(reader, "", took)
            self._cpu += took  # and nobody else pays for it

    def _hand(self, effects: Sequence[Effect], answers: Sequence[JobAnswer], reached: int) -> None:
        """Has the event loop carry out effects, and then give answers."""
        size = sum(len(effect.data) for effect in effects if isinstance(effect, Send))
        self._handed += size
        self._tell(partial(self._give, effects, answers, Arrivals(reached, self._replica.store.last_arrival), size))

    def _give(self, effects: Sequence[Effect], answers: Sequence[JobAnswer], arrivals: Arrivals, size: int) -> None:
        """On the event loop."""
        try:
            self._deliver(effects, arrivals)
        except Exception:  # here it would end the event loop
            log.exception("effects could not be carried out")
        self._taken += size
        for answer in answers:
            answer.given.set()

    def _run_calls(self, jobs: Sequence[Job], now: float) -> StorageError | None:
        """Runs calls that share a commit. No call may leave half of its writes in it: if one is refused after it wrote,
        the transaction is rolled back and the others run again."""
        for job in jobs:
            error = self._guarded(self._replica.writes.hold if job.together else self._replica.writes.settle)
            before = self._replica.writes.changes
            error = error or self._guarded(partial(job.run, self._context, now))
            if error is not None:
                return error
            if job.answer is not None and job.answer.refused and self._replica.writes.changes != before:
                self._undo(None)
                return self._run_calls([j for j in jobs if j is not job], now)
        return self._guarded(self._replica.writes.settle)

    def _run_frames(self, now: float) -> StorageError | None:
        """Runs waiting frames that share a commit, in turns. They share none with calls, so a failing frame cannot roll
        back an answered call, nor the reverse. If one fails, the writes of those before it are rolled back too, and
        reconciliation brings them again."""
        began = at = time.perf_counter()
        most = max(FRAMES_S, self._calls_s * FRAMES_SHARE / (1 - FRAMES_SHARE))
        turns, status = self._inbox.turns, self._replica.status
        count, size, own = 0, 0, False
        self._guarded(self._replica.writes.settle)
        while count < TAKE and size < TAKE_BYTES and self._under_way + status.unsent < HANDED_BYTES:
            if (job := turns.next(self._inbox.may())) is None:
                break
            self._guarded(partial(job.run, self._context, now))
            before, at = at, time.perf_counter()
            spent = self._spent()
            turns.took(job, at - before, now)
            if job.whose.peer:
                self._throttle.spent(*job.whose, spent, job.lane is Lane.FIRST)
            count, size, own = count + 1, size + job.size, own or job.lane is Lane.FIRST
            if at - began > most and self._inbox.calls_wait():
                break
            if status.unsent > ANSWERS_BYTES or (at - began > self._own_s and (own or turns.first)):
                break
        return None

    def _relies_on(self, peer: str) -> bool:
        return self._throttle.relies(peer, self._replica.gossip.relies_on(peer))

    def _spent(self) -> float:
        """The processor time of this thread since the last call, seconds, while own people work. So a frame also pays
        for the commit of those before it. Elsewhere 0: nobody has to pay then, and to ask the system costs too."""
        before, self._cpu = self._cpu, time.thread_time() if self._throttle.busy else None
        return self._cpu - before if self._cpu is not None and before is not None else 0.0

    def _guarded(self, do: Callable[[], object]) -> StorageError | None:
        """Runs `do`. On a full disk or a bug it rolls back and returns an error, and the thread continues."""
        try:
            do()
        except StorageError as why:
            self._undo(why)
            return why
        except Exception as bug:
            log.exception("a frame could not be handled")
            lost = StorageError(f"an error inside the node rolled back uncommitted writes: {bug!r}")
            self._undo(lost)
            return lost
        return None

    def _undo(self, why: StorageError | None) -> None:
        self._replica.store.rollback()
        self._replica.commit_failed(str(why) if why else None)

    def _effects(self) -> tuple[list[Effect], StorageError | None]:
        """Carries out commits; returns the other effects for the event loop."""
        out: list[Effect] = []
        error: StorageError | None = None
        while True:
            try:
                effect = self._replica.next_effect()
            except StorageError as why:  # it writes what was collected, and notes of its own
                error = why
                self._undo(why)
                out.clear()
                continue
            if effect is None:
                break
            if not isinstance(effect, Commit):
                out.append(effect)
                continue
            began = time.perf_counter()
            try:
                self._replica.store.commit()
                self._own_s = min(max(OWN_S[0], OWN_COMMITS * (time.perf_counter() - began)), OWN_S[1])
            except StorageError as why:
                error = why
                self._replica.commit_failed(str(why))
                out.clear()
        return out, error

    def _tell(self, do: Callable[[], None]) -> None:
        try:
            self._loop.run_sync_soon(do)
        except trio.RunFinishedError:
            pass  # the event loop has ended
