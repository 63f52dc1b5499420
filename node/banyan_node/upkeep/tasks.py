"""Background tasks of the node, none of which ends it: one that fails is named in `status`, logged, and made again. And
work that takes long.

A full disk, or a mistake in the daily work, must not take a node from its people: what it holds can still be read, and
most of what it does does not need the task that failed. Only two things end a node: the replica's thread, without which
nothing is true, and the control API, which the operator would miss.
"""

import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

import structlog
import trio

from banyan_node.operator_errors import CallError, conflict
from banyan_storage.errors import StorageError

log = structlog.get_logger("banyan")
AGAIN_S, LONGEST_S = 1.0, 60.0
"""The first pause before a task is made again, and the longest: it doubles each time."""
SOUND_S = 2 * LONGEST_S
"""A task that has not failed for so long is sound again: longer than the longest pause."""


async def every(seconds: float, do: Callable[[], Awaitable[object]]) -> None:
    """Does it now, and again after each pause, for ever."""
    while True:
        await do()
        await trio.sleep(seconds)


class Failure(NamedTuple):
    """sentence: without a full stop. at: when, on trio's clock. pause: until it was made again, seconds."""

    sentence: str
    at: float
    pause: float


class Tasks:
    """Guards the tasks of one node. stopping: whether it stops, when failures mean nothing any more."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._failures: dict[str, Failure] = {}

    async def keep(self, name: str, do: Callable[[], Awaitable[None]]) -> None:
        """Runs `do`, and again whenever it failed, until it returns."""
        while True:
            try:
                await do()
                return
            except Exception as why:  # also a group of them
                if self._stopping():
                    return
                pause = self._failed(name, why)
            await trio.sleep(pause)

    def failing(self) -> dict[str, str]:
        """The tasks that failed lately, each with why. Only on the event loop."""
        now = trio.current_time()
        return {name: f.sentence for name, f in self._failures.items() if now < f.at + SOUND_S}

    def _failed(self, name: str, why: Exception) -> float:
        while isinstance(why, ExceptionGroup):
            why = why.exceptions[0]
        known = isinstance(why, StorageError | OSError)
        sentence = str(why).rstrip(".") if known else f"a mistake in banyan, {type(why).__name__}: {why}"
        now, before = trio.current_time(), self._failures.get(name)
        lately = before is not None and now < before.at + SOUND_S
        pause = min(2 * before.pause, LONGEST_S) if before is not None and lately else AGAIN_S
        self._failures[name] = Failure(sentence, now, pause)
        log.error("a task failed", task=name, reason=sentence, again_in_s=pause, exc_info=None if known else why)
        return pause


# Work that takes long: what runs, how far it is, and what ended lately. What does the work opens it here, on any
# thread; others can ask that it stops. Somebody who begins one in the background announces it first, to know its
# number.

KEPT = 50
"""Of those that ended."""
Stage: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled"]
Step: TypeAlias = Callable[[int], None]
"""Says how far the work is. Raises CallError if somebody asked that it stops."""


@dataclass(slots=True)
class LongWork:
    """do: a method. about: a file, a view. done, of: how far, in what it counts; `of` None: not known. why: of a
    failure. stoppable: whether it looks if it is to stop."""

    id: int
    do: str
    about: str
    stage: Stage
    began_ms: int
    ended_ms: int | None = None
    done: int = 0
    of: int | None = None
    why: str | None = None
    stoppable: bool = True
    to_stop: bool = False


class LongWorks:
    """Those of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[int, LongWork] = {}
        self._next = 1

    def announce(self, do: str, about: str) -> int:
        """The number of what is about to begin."""
        with self._lock:
            return self._new(do, about).id

    @contextmanager
    def running(self, do: str, about: str, of: int | None = None, stoppable: bool = True) -> Iterator[Step]:
        """While the work is done."""
        with self._lock:
            waits = (w for w in self._works.values() if w.stage == "waiting" and (w.do, w.about) == (do, about))
            one = next(waits, None) or self._new(do, about)
            one.stage, one.of, one.stoppable = "running", of, stoppable
        step = _step(one)
        try:
            step(0)
            yield step
        except BaseException as error:
            stopped = one.to_stop and isinstance(error, CallError) and error.code == "refused"
            self._end(one.id, "cancelled" if stopped else "failed", str(error) or type(error).__name__)
            raise
        self._end(one.id, "done", None)

    def failed(self, number: int, why: str) -> None:
        """What was announced did not begin, unless it ended."""
        with self._lock:
            one = self._works.get(number)
        if one is not None and one.ended_ms is None:
            self._end(number, "cancelled" if one.to_stop else "failed", why)

    def ended(self, number: int) -> None:
        """What was announced is done, if it has not ended: it was too short to be opened."""
        with self._lock:
            one = self._works.get(number)
        if one is not None and one.ended_ms is None:
            self._end(number, "done", None)

    def stop(self, number: int) -> LongWork | None:
        """Asks that one stops. None if there is none."""
        with self._lock:
            one = self._works.get(number)
            if one is None:
                return None
            if one.stoppable and one.ended_ms is None:
                one.to_stop = True
            return replace(one)

    def rows(self) -> list[LongWork]:
        """The newest first."""
        with self._lock:
            return [replace(one) for one in sorted(self._works.values(), key=lambda one: -one.id)]

    def _new(self, do: str, about: str) -> LongWork:
        one = LongWork(self._next, do, about, "waiting", _now_ms())
        self._next += 1
        self._works[one.id] = one
        ended = [work.id for work in self._works.values() if work.ended_ms is not None]
        for old in ended[:-KEPT]:
            del self._works[old]
        return one

    def _end(self, number: int, stage: Stage, why: str | None) -> None:
        with self._lock:
            one = self._works[number]
            one.stage, one.why, one.ended_ms = stage, why, _now_ms()


async def carry_out(works: LongWorks, number: int, do: Callable[[], Awaitable[object]]) -> None:
    """Does what was announced. Nothing is raised: it stands in the row."""
    try:
        await do()
    except CallError as why:
        works.failed(number, why.message)
    except Exception:  # a mistake of ours costs this work and not the node
        log.exception("long work failed")
        works.failed(number, "a mistake in banyan: the node's log says more")
    else:
        works.ended(number)


def _step(one: LongWork) -> Step:
    def step(done: int) -> None:
        one.done = done
        if one.to_stop:
            raise conflict("It was cancelled.")

    return step


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
