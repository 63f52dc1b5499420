"""What waits for the replica's thread, and how long the thread waits for more.

Calls of this node's own people are apart from frames, behind which they would be found late. Frames are in turns
(fair_queue.py). The thread has the inbox to itself, but for `put`, `call` and `stop`.
"""

import gc
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import trio

from banyan_node.admission.fair_queue import FairQueue, JobOwner, TurnRights
from banyan_node.admission.throttle import Throttle
from banyan_node.workers import process_memory
from banyan_node.workers.publisher import AnswerScope
from banyan_replica.peers.backlog import Lane
from banyan_storage.errors import StorageError

ENOUGH_BYTES = 32 << 10
"""Frames of so many bytes are committed without waiting for more."""
HANDED_S = 0.01
"""How often it is looked whether the links have taken what was handed to them, seconds."""
MAY_S = 0.02  # how often it is looked whether one of those that have to wait may go on
IDLE_S = 0.1
"""The thread is idle after this time without work; then the collector may run, seconds."""
SORTED = 4_096
"""Frames that are sorted at once: tiny ones can come by the hundred thousand, and a call must not wait for all."""
WINDOW_S = 0.004
"""How long a small commit waits for more writes if several came together last time."""
NODE = JobOwner()
"""The node itself, for what no peer caused."""


class JobAnswer:
    """The answer to a call: written by the replica's thread, read after `given` is set on the event loop."""

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
            raise StorageError("the node stopped before it answered; check after its next start whether it was done")
        return self._value


class Arrivals(NamedTuple):
    """Of what effects tell. before: the last arrival before the jobs, up to which all events were delivered; last: the
    last one after them."""

    before: int
    last: int


class Job(NamedTuple):
    do: Callable[[Any, float], Any]
    answer: JobAnswer | None
    alone: bool = False
    together: bool = False
    size: int = 0
    writes: bool = False
    whose: JobOwner = NODE
    lane: Lane = Lane.REST

    def run(self, context: Any, now: float) -> None:
        """Raises StorageError; any other error becomes the answer of the call."""
        if self.answer is None:
            self.do(context, now)
            return
        try:
            self.answer.took(self.do(context, now), None)
        except StorageError:
            raise
        except Exception as error:
            self.answer.took(None, error)


def together(own: deque[Job], most: int) -> list[Job]:
    """Takes the calls that share the next commit, at most so many."""
    out = [own.popleft()]
    while own and len(out) < most and not (out[-1].alone or own[0].alone):
        out.append(own.popleft())
    return out


def answered(calls: Sequence[Job]) -> AnswerScope:
    """Who is answered after these calls."""
    if any(job.answer is not None and not job.together for job in calls):
        return AnswerScope.OTHERS
    return AnswerScope.PUBLISHERS if calls else AnswerScope.NOBODY


WAKE = Job(lambda context, now: None, None)
"""Says that a call came."""


class Inbox:
    """relied_on: see `FairQueue`; it is asked on the replica's thread. now: the time, seconds."""

    def __init__(self, throttle: Throttle, relied_on: Callable[[str], bool], now: Callable[[], float]) -> None:
        self._throttle, self._now = throttle, now
        self._came: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._called: deque[Job] = deque()
        self.calls: deque[Job] = deque()
        """Calls that wait."""
        self.turns: FairQueue[Job] = FairQueue(relied_on)
        """Frames that wait."""
        self.stopping = False
        self._crowd = False
        """Whether several jobs that write came together last time, which predicts that more will."""

    # -- any thread

    def put(self, job: Job) -> None:
        self._came.put(job)

    def call(self, job: Job) -> None:
        self._called.append(job)
        self._came.put(WAKE)

    def stop(self) -> None:
        """Nothing is waited for any more."""
        self._came.put(None)

    @property
    def unsorted(self) -> int:
        """Jobs that came and were not looked at yet."""
        return self._came.qsize()

    # -- the replica's thread

    def wait(self, due: float, full: bool) -> None:
        """Waits until there is work, or it is `due`. full: no frame may run, since the links have much to send."""
        self._take_in()
        if not self.calls and (full or not self.turns.can_run(self.may())):
            owed = self._throttle.owed()
            longest = HANDED_S if full else min(MAY_S, owed) if self.turns.count and owed else 1.0
            patience = max(0.0, min(longest, due - self._now()))
            held = self.turns.count and owed and not full
            try:
                with self._throttle.tally.delay("turns", self.turns.oldest.peer) if held else nullcontext():
                    self._sort(self._came.get(timeout=patience) if patience else self._came.get_nowait())
            except queue.Empty:
                if patience > IDLE_S and gc.get_count()[0] > process_memory.GC_OBJECTS:
                    gc.collect(0)
                return
            self._take_in()
        if self._waits():
            time.sleep(WINDOW_S)
            self._take_in()
        self._crowd = self._writing() > 1

    def may(self) -> TurnRights | None:
        """Who may have a turn (fair_queue.py); None: all."""
        return TurnRights(self._throttle.is_behind, self._throttle.allows) if self._throttle.owed() else None

    def calls_wait(self) -> bool:
        """Whether a call came, or the end."""
        self._take_in()
        return bool(self.calls) or self.stopping

    def _take_in(self) -> None:
        """Takes over the calls that came, and some of the frames."""
        while self._called:
            self.calls.append(self._called.popleft())
        for _ in range(SORTED):
            if self._came.empty():
                break
            self._sort(self._came.get_nowait())  # no other thread takes from it

    def _sort(self, job: Job | None) -> None:
        if job is None:
            self.stopping = True
        elif job is not WAKE:
            self.turns.put(job, self._now())

    def _writing(self) -> int:
        """How many of the waiting jobs may write."""
        return self.turns.writing + sum(job.writes for job in self.calls)

    def _waits(self) -> bool:
        """Whether to wait for more jobs: these are small, and several writes come together. A lone one starts now."""
        writing = len(self.calls) if self.may() else self._writing()
        return (writing > 1 or (self._crowd and writing > 0)) and self.turns.size < ENOUGH_BYTES
