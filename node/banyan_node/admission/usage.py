"""What one connection uses of the processor, measured, and its time, which stands still while it is not read from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from enum import Enum
from math import inf
from time import perf_counter, thread_time
from types import TracebackType
from typing import NamedTuple, Protocol

import trio

from banyan_node.admission.gates import AdmissionTally

# A part of one core, and how much of what was used of it is paid for.

SAVED_S = 0.03
"""The time that strangers may save up, seconds: what they can use at once when own people begin to work."""
DEEPEST_S = 0.65
"""The most that they can owe, seconds. With the usual share it is paid within 4.7 s: a muxer gives up a stream whose
window is not opened for five."""
LEAST = 0.05
"""The part of a core that accepting gets at least, and handshakes, and what comes from networks that used little,
whatever strangers use."""
LEAST_DEEPEST_S = 0.1
"""The most that each of these can owe, seconds, so that none waits for longer than two."""
READING, JUDGING, OWN = 1 / 2, 1 / 8, 1 / 8
"""The parts of the share of strangers that each peer which this node relies on has for itself: of the event loop, and
of the replica's thread for what it relays and answers, and for what its own people wrote and asked. There are four such
peers at most (`chosen` and `elders` of gossip/settings.py)."""
ALLOWANCE_S = 1.0
"""What such a peer may save up of each, seconds: a frame of honest news may be large."""
NEXT_S = 0.001
"""After a connection has begun or gone on, what it costs is known this much later, seconds."""
LONGEST_S = 0.1
"""How often those that wait look whether own people still work, seconds."""


class Budget:
    """A part of one core, and how much of what was used of it is paid for. share: None: no bound. deepest: the most
    that can be owed. debt: what is not paid for. Both in seconds."""

    __slots__ = ("_at", "_deepest", "_paid", "debt", "share")

    def __init__(self, share: float | None, now: float, deepest: float = DEEPEST_S) -> None:
        self.share, self.debt, self._paid, self._at, self._deepest = share, 0.0, 0.0, now, deepest

    def owed(self, used: float, now: float) -> float:
        """How long it takes to pay, seconds. used: in all."""
        if self.share is None:
            return 0.0
        paid = self._paid + (now - self._at) * self.share
        self._paid, self._at = max(used - self._deepest, min(paid, used + SAVED_S)), now
        self.debt = max(0.0, used - self._paid)
        return self.debt / self.share


class Allowance:
    """What a peer that this node relies on may use without being a stranger. It begins with nothing, so who comes again
    and again has none. share: a part of one core; None: no bound."""

    __slots__ = ("_at", "_clock", "_left", "_share")

    def __init__(self, share: float | None, clock: Callable[[], float]) -> None:
        self._share, self._clock, self._at = share, clock, clock()
        self._left = 0.0

    @property
    def left(self) -> float:
        """Seconds. Any thread."""
        if self._share is None:
            return ALLOWANCE_S
        return min(ALLOWANCE_S, self._left + (self._clock() - self._at) * self._share)

    def takes(self, seconds: float) -> bool:
        """Uses so much of it. False: nothing is left."""
        left, self._at = self.left, self._clock()
        self._left = left - seconds if left > 0 else left
        return left > 0


class Allowances(NamedTuple):
    """Of one such peer: of the event loop; of other threads for what it relays, and for what its own people wrote."""

    reading: Allowance
    relayed: Allowance
    own: Allowance

    def judging(self, own: bool) -> Allowance:
        return self.own if own else self.relayed


MEASURED_S = 0.005
"""Measured time is charged to its connections each time that it adds up to this, seconds."""
LATELY_S = 5.0
"""How long after a connection waited what it owes may still be on its way, seconds."""


class CpuShares(Protocol):
    """What shares out the processor among connections: the throttle (throttle.py)."""

    @property
    def tally(self) -> AdmissionTally: ...
    def counts(self, usage: Usage, seconds: float) -> None: ...
    def holds(self, usage: Usage) -> bool: ...
    async def turn(self, usage: Usage, fd: int = -1) -> bool: ...
    async def accepts(self) -> None: ...


class Stage(Enum):
    """How far a connection is. Until it has proved who it is it does not wait, and is counted with all others that
    arrive."""

    KNOCKS = "its handshake has not begun"
    BEGUN = "its handshake has begun, or would if its turn came"
    PROVED = "its peer is known: this node dialled it, or the handshake is over"


class GroupUse:
    """The connections of a group of addresses. served: what that one had used which went on last."""

    __slots__ = ("connections", "name", "seconds", "served")

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds, self.served, self.connections = name, seconds, 0.0, 0


class Usage:
    """What one connection has used, seconds. peer: who is at the other end; empty until that is proved. allowed: what
    it may use before it is a stranger; None: nothing."""

    __slots__ = (
        *("allowed", "group", "peer", "seconds", "stage", "throttle"),
        *("_held", "_holders", "_lately", "_scopes", "_since"),
    )

    def __init__(self, throttle: CpuShares, group: GroupUse, stage: Stage = Stage.PROVED) -> None:
        self.throttle, self.group, self.peer, self.seconds, self.stage = throttle, group, "", 0.0, stage
        self.allowed: Allowances | None = None
        self._held, self._since, self._lately = 0.0, inf, 0.0
        self._holders = 0
        self._scopes: dict[trio.CancelScope, float] = {}
        """Deadlines that stand still while the connection waits, in its own time."""

    @property
    def now(self) -> float:
        """The time of the connection, seconds: trio's, without the time for which it had to wait."""
        return min(trio.current_time(), self._since) - self._held

    @property
    def held_lately(self) -> bool:
        """Whether the connection waits, or did within LATELY_S: what its peer owes may be on its way. Any thread."""
        return self._since < inf or time.monotonic() < self._lately

    def until(self, due: float) -> AbstractContextManager[trio.CancelScope]:
        """Cancels its body at this time of the connection: what a peer owes within some seconds it need not do in
        those in which it was not read from."""
        return _Until(self, due)

    @contextmanager
    def held(self) -> Iterator[None]:
        """The connection has to wait: its time stands still. Its socket and its link may wait at once."""
        self._holders += 1
        if self._holders == 1:
            self._since = trio.current_time()
            for scope in self._scopes:
                scope.deadline = inf
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._go_on()

    def _go_on(self) -> None:
        self._held += trio.current_time() - self._since
        self._since, self._lately = inf, time.monotonic() + LATELY_S
        for scope, due in self._scopes.items():
            scope.deadline = due + self._held

    def proved(self, peer: str) -> None:
        """The other end has proved who it is."""
        self.peer, self.stage = peer, Stage.PROVED


class _Until:
    """A deadline in the time of a connection. Every read and write has one, so it is no generator."""

    __slots__ = ("_due", "_scope", "_usage")
    _scope: trio.CancelScope

    def __init__(self, usage: Usage, due: float) -> None:
        self._usage, self._due = usage, due

    def __enter__(self) -> trio.CancelScope:
        usage = self._usage
        deadline = inf if usage._since < inf else self._due + usage._held  # to set it later is dearer than all of this
        scope = self._scope = trio.CancelScope(deadline=deadline)
        usage._scopes[scope] = self._due
        return scope.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        del self._usage._scopes[self._scope]
        return self._scope.__exit__(kind, error, trace)


CAUSE: ContextVar[Usage | None] = ContextVar("cause", default=None)
"""The connection that causes what a task does. A task has it from the one that starts it."""


class _Meter(trio.abc.Instrument):
    """Measures the steps of the tasks that a connection caused, and what the event loop did before each. One for all
    nodes of an event loop.

    Asking for processor time is a system call, dearer than many a step. So steps are measured by the clock, and what
    they took together is scaled to the processor time that passed meanwhile."""

    def __init__(self) -> None:
        self.users = 0
        self._took: dict[Usage, float] = {}
        self._all = 0.0
        self._last, self._spent = perf_counter(), thread_time()

    def after_io_wait(self, timeout: float) -> None:
        self._last = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        now = perf_counter()
        took, self._last = now - self._last, now
        self._all += took
        cause = task.context.get(CAUSE)
        if cause is not None:
            self._took[cause] = self._took.get(cause, 0.0) + took
        if self._all > MEASURED_S:
            self.tell()

    def tell(self) -> None:
        """Counts what was measured."""
        spent = thread_time()
        scale = (spent - self._spent) / self._all if self._all else 0.0
        for cause, took in self._took.items():
            cause.throttle.counts(cause, took * scale)
        self._took.clear()
        self._all, self._spent = 0.0, spent


_meter: trio.lowlevel.RunVar[_Meter | None] = trio.lowlevel.RunVar("meter", None)


@contextmanager
def measuring() -> Iterator[None]:
    """The event loop has a meter inside of this context."""
    meter = _meter.get()
    if meter is None:
        meter = _Meter()
        _meter.set(meter)
        trio.lowlevel.add_instrument(meter)
    meter.users += 1
    try:
        yield
    finally:
        meter.tell()
        meter.users -= 1
        if not meter.users:
            trio.lowlevel.remove_instrument(meter)
            _meter.set(None)
