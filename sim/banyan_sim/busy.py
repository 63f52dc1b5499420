"""A machine whose processor takes time, and shares it out as a node does: calls and timers first, then peers in turns.

Virtual time has no processor, so each frame takes what frames of its kind and length took a real node (bench/attack).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from banyan_node.workers.turns import Turns, Whose
from banyan_replica import wire
from banyan_replica.effects import Event
from banyan_replica.peers.backlog import Backlog, Lane
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.wire import Message
from banyan_sim.machine import Job, Machine, Outside

US, NS = 1e-6, 1e-9
WORK: Sequence[tuple[tuple[type[Message], ...], float, float]] = (
    ((wire.GossipFrame,), 50 * US, 400 * NS),
    ((wire.DataItems,), 100 * US, 400 * NS),
    ((wire.Sketch, wire.SketchCells), 200 * US, 20 * NS),
    ((wire.Scan, wire.Replay), 1_000 * US, 0.0),
    ((wire.SketchNames, wire.Heads), 100 * US, 20 * NS),
    ((wire.Wants, wire.WantParts), 100 * US, 500 * NS),
    ((wire.Root,), 50 * US, 0.0),
)
"""Seconds of a core for each frame of these kinds, and for each of its bytes: as measured at machines of a world, or
at the victims of bench/attack where that is more (`graft_storm`, `dear_names`, `want_parts`)."""
OTHER = 20 * US, 40 * NS
"""Any other frame: a statement of a platform, or what is read and ignored (`not_yet`, `unasked_parts`)."""
SHARE_S = 0.005
"""How long frames share a commit, seconds of the processor."""


def work_s(frame: bytes) -> float:
    """What a core needs for a frame, seconds."""
    each, byte = next(((each, byte) for kinds, each, byte in WORK if wire.opens_as(frame, *kinds)), OTHER)
    return each + byte * len(frame)


class Waits(NamedTuple):
    """What waits for its turn: a frame, or that a link came up or went. takes: seconds of a core."""

    whose: Whose
    do: Job
    takes: float = 0.0
    size: int = 0
    lane: Lane = Lane.REST
    writes: bool = False


class Busy(Machine):
    """slow: so many times slower than the core of the benches it is. worked: seconds of that core for what each
    peer sent. on_event: called with its events."""

    slow = 1.0

    def __init__(self, name: str, index: int, world: Outside, limits: Limits) -> None:
        super().__init__(name, index, world, limits)
        self.worked: dict[str, float] = {}
        self.most_waiting = 0
        """Bytes of frames that waited at once."""
        self.on_event: Callable[[Event], None] = lambda event: None
        self._turns: Turns[Waits]
        self._whose: dict[str, Whose] = {}

    def boot(self) -> None:
        self._turns = Turns({contact for contact, _ in self.contacts}.__contains__)
        super().boot()

    def unread(self, peer: str) -> int:
        return self.backlogs[peer].waiting if peer in self.backlogs else 0

    def met(self, peer: str, group: str, job: Job) -> None:
        """A link came up."""
        self._whose[peer] = Whose(peer, group)
        self.backlogs[peer] = Backlog()
        self._put(Waits(self._whose[peer], job))

    def parted(self, peer: str, job: Job) -> None:
        self._put(Waits(self._whose[peer], job, lane=Lane.LAST))

    def receive(self, peer: str, data: bytes) -> None:
        backlog, whose = self.backlogs[peer], self._whose[peer]
        why = backlog.put(data)
        if why is not None:
            self._put(Waits(whose, lambda r, now: r.peers.overran(peer, why, now)))
        else:
            job = partial(_receive, peer, data, backlog)
            self._put(Waits(whose, job, work_s(data), len(data), backlog.lane(data)))

    def _put(self, job: Waits) -> None:
        self._turns.put(job, self._core_s())
        self.most_waiting = max(self.most_waiting, self._turns.size)
        self._next()

    def _core_s(self) -> float:
        """The time as its processor counts it."""
        return self.world.now / self.slow

    def _next(self) -> None:
        super()._next()
        if self._busy or not self.up or not self._turns.count:
            return
        spent, now = 0.0, self._core_s()
        while spent < SHARE_S and (job := self._turns.next()) is not None:
            self._do(job.do)
            self._turns.took(job, job.takes, now)
            self.worked[job.whose.peer] = self.worked.get(job.whose.peer, 0.0) + job.takes
            spent += job.takes
        self._busy = True
        self.world.at(self.world.now + spent * self.slow, self._worked, self.life)

    def _worked(self, life: int) -> None:
        if life == self.life:
            self._busy = False
            self._settle()
            self._next()

    def _told(self, event: Event) -> None:
        super()._told(event)
        self.on_event(event)


def _receive(peer: str, frame: bytes, backlog: Backlog, r: Replica, now: float) -> None:
    backlog.took(frame)
    r.receive(peer, frame, now)
