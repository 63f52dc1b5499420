"""Which gate stopped whom: counted for the metrics since the start, and for people of the last minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter

from banyan_node.admission.gates import FRAME, REQUEST

LATELY_S = 300.0
"""What was counted longer ago than twice this is forgotten, seconds."""
NAMES, OTHERS = 1_024, "others"
"""So many pairs of gate and name are told apart in LATELY_S; whoever comes after these counts as OTHERS."""


class AdmissionStop(NamedTuple):
    """whom: a peer, an address or a group of addresses. seconds: how long they were delayed; 0: they were refused."""

    gate: str
    whom: str
    times: int
    seconds: float


class AdmissionTally:
    """The gates are those of gates.py. Any thread. clock: seconds."""

    def __init__(self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stops, self._delays = (
            Counter(f"banyan_admission_{name}", text, ["gate"], registry=registry)
            for name, text in (
                ("stopped", "How often a gate delayed or refused somebody"),
                ("delay_seconds", "How long gates delayed, of all together"),
            )
        )
        for gate in (*FRAME, *REQUEST):  # a gate that stopped nobody is exported too
            self._stops.labels(gate), self._delays.labels(gate)
        self._clock, self._lock, self._began = clock, threading.Lock(), clock()
        self._lately: dict[tuple[str, str], AdmissionStop] = {}
        self._before: dict[tuple[str, str], AdmissionStop] = {}

    def stopped(self, gate: str, whom: str, times: int = 1, seconds: float = 0.0) -> None:
        """A gate refused somebody so often, or delayed them for so long."""
        self._stops.labels(gate).inc(times)
        if seconds:
            self._delays.labels(gate).inc(seconds)
        with self._lock:
            self._forget()
            lately = self._lately
            key = (gate, whom) if (gate, whom) in lately or len(lately) < NAMES else (gate, OTHERS)
            held = lately.get(key, AdmissionStop(*key, 0, 0.0))
            lately[key] = held._replace(times=held.times + times, seconds=held.seconds + seconds)

    @contextmanager
    def delay(self, gate: str, whom: str) -> Iterator[None]:
        """Its body waits at a gate."""
        began = self._clock()
        try:
            yield
        finally:
            self.stopped(gate, whom, seconds=self._clock() - began)

    def most(self) -> list[AdmissionStop]:
        """Who was refused most often lately, and who was delayed for longest, if anybody was."""
        with self._lock:
            self._forget()
            every = [*self._before.values(), *self._lately.values()]
        refused = max((one for one in every if not one.seconds), key=lambda one: one.times, default=None)
        delayed = max((one for one in every if one.seconds), key=lambda one: one.seconds, default=None)
        return [one for one in (refused, delayed) if one is not None]

    def _forget(self) -> None:
        now = self._clock()
        if now - self._began >= LATELY_S:
            self._before = self._lately if now - self._began < 2 * LATELY_S else {}
            self._lately, self._began = {}, now
