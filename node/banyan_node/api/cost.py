"""What an answer costs: seconds of the processor, on the event loop and on all threads that work for it.

The work of one answer runs with a `CallCost` in `SPENT`. `TimedAwaitable` adds what its own steps take, and `timed`
what a function takes on another thread. Work that goes on in a process beside this one is added by whoever asks it.
"""

from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from time import thread_time
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class CallCost:
    """Seconds so far."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


SPENT: ContextVar[CallCost | None] = ContextVar("banyan_spent", default=None)


def timed(do: Callable[P, T]) -> Callable[P, T]:
    """The same function, whose time is added to the answer that is being made now. Call it on any thread."""
    cost = SPENT.get()
    if cost is None:
        return do

    def counted(*given: P.args, **named: P.kwargs) -> T:
        began = thread_time()
        try:
            return do(*given, **named)
        finally:
            cost.seconds += thread_time() - began

    return counted


class TimedAwaitable(Generic[T]):
    """Awaits what is given, and adds the time of its steps; what other tasks do between them is not its own."""

    def __init__(self, work: Coroutine[Any, Any, T], cost: CallCost) -> None:
        self._work, self._cost = work, cost

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._work.__await__()
        step: Callable[[], Any] = partial(next, steps)
        while True:
            began = thread_time()
            try:
                waits = step()
            except StopIteration as end:
                found: T = end.value
                return found
            finally:
                self._cost.seconds += thread_time() - began
            try:
                given = yield waits
            except BaseException as why:
                step = partial(steps.throw, why)
            else:
                step = partial(steps.send, given)
