"""What the replica's thread does: calls, with an answer, and frames of peers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import trio

from banyan_node.workers.fair_queue import JobOwner
from banyan_node.workers.publisher import AnswerScope
from banyan_replica.peers.backlog import Lane
from banyan_storage.errors import StorageError

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
