"""What one connection has used of the processor, and its time, which stands still while it is not read from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from math import inf
from types import TracebackType
from typing import Protocol

import trio

from .budget import Allowance

LATELY_S = 5.0
"""How long after a connection waited what it owes may still be on its way, seconds."""


class Sharing(Protocol):
    """What shares out the processor among connections: the throttle (throttle.py)."""

    def counts(self, usage: Usage, seconds: float) -> None: ...
    def holds(self, usage: Usage) -> bool: ...
    async def turn(self, usage: Usage, fd: int = -1) -> bool: ...
    async def accepts(self) -> None: ...


class GroupUse:
    """The connections of a group of addresses. served: what that one had used which went on last."""

    __slots__ = ("connections", "name", "seconds", "served")

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds, self.served, self.connections = name, seconds, 0.0, 0


class Usage:
    """What one connection has used, seconds. peer: who is at the other end; empty until that is proved. for_reading,
    for_own, for_judging: what it may use before it is a stranger: of the event loop, and of other threads for what its
    own people wrote and for all else; None: nothing.
    arriving: who it is is not proved yet, so it does not wait, and all that arrive are counted together. begun: its
    handshake has begun, or would if its turn came."""

    __slots__ = (
        *("arriving", "begun", "for_judging", "for_own", "for_reading", "group", "peer", "seconds", "throttle"),
        *("_held", "_holders", "_lately", "_scopes", "_since"),
    )

    def __init__(self, throttle: Sharing, group: GroupUse, arriving: bool = False) -> None:
        self.throttle, self.group, self.peer, self.seconds = throttle, group, "", 0.0
        self.arriving, self.begun = arriving, False
        self.for_reading: Allowance | None = None
        self.for_judging: Allowance | None = None
        self.for_own: Allowance | None = None
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
        self.peer, self.arriving = peer, False


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
