"""Background tasks of the node: none of them ends it. One that fails is named in `status`, logged, and made again.

A full disk, or a mistake in the daily work, must not take a node from its people: what it holds can still be read, and
most of what it does does not need the task that failed. Only two things end a node: the replica's thread, without which
nothing is true, and the control API, which the operator would miss.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog
import trio

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
