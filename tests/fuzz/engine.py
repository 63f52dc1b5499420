"""Runs a target on mutated inputs, and keeps those that reach new code.

An input is kept if a block of the product's code runs for the first time, or far more often than before (more than
once, four times, sixteen times). Inputs are made from those kept. With the same seed, the same kept inputs and the same
number of inputs before, the same inputs are made.
"""

from __future__ import annotations

import hashlib
import signal
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import FrameType

import numpy as np
import numpy.typing as npt

from tests.fuzz import hits
from tests.fuzz.target import Bound, Target

HANGS_S = 120
"""An input that takes longer is a fault, however much work it is. Far more than any needs on a busy machine."""
SAMPLE = 400
"""The peak of memory is measured for one of so many inputs, and for those that are kept: it takes five times as
long."""
_BUCKETS = np.array([1 << min(n.bit_length() // 2, 3) for n in range(256)], np.uint8)
"""By how often a block ran: 1, 2 to 7, 8 to 31, more."""
_BUCKETS[0], _BUCKETS[1] = 0, 1


class Hangs(BaseException):
    """An input took longer than HANGS_S. Not an Exception, because the code under test catches those."""


@dataclass
class Fault:
    """An input that must not be possible, and what happened. kind: where it happened; faults of one kind are one."""

    raw: bytes
    kind: str
    what: str


@dataclass
class Run:
    """What a run of one target found. kept: all inputs that reach what is reached. most_work, most_memory: the largest
    share of its bound that an input used."""

    inputs: int = 0
    refused: int = 0
    kept: list[bytes] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    most_work: float = 0.0
    most_memory: float = 0.0


class Engine:
    """One target, and what inputs reached so far."""

    def __init__(self, target: Target) -> None:
        self.target, self.run = target, Run()
        self._seen: npt.NDArray[np.uint8] = np.zeros(hits.MOST, np.uint8)
        self._kinds: set[str] = set()

    @property
    def reached(self) -> npt.NDArray[np.intp]:
        """The blocks that ran."""
        return np.flatnonzero(self._seen[: len(hits.BLOCKS)])

    def coverage(self) -> tuple[int, int]:
        """(blocks of the target's code that ran, all of them)."""
        modules = {block.module for block in hits.BLOCKS}
        code = {m for m in modules if any(m == c or m.startswith(c + ".") for c in self.target.code)}
        own = [n for n, block in enumerate(hits.BLOCKS) if block.module in code]
        return int(np.count_nonzero(self._seen[own])), len(own)

    def feed(self, raw: bytes, measured: bool = False) -> bool:
        """Reads an input. Returns whether it reached something new; it is kept then."""
        target, run = self.target, self.run
        run.inputs += 1
        hits.clear()
        try:
            with _in_time():
                if measured and target.memory is not None:
                    self._measured(raw, target.memory)
                else:
                    self._read(raw)
        except (Exception, Hangs) as why:
            self._fault(raw, _kind(why), "".join(traceback.format_exception(why)))
            return False
        found = hits.counts()
        work = int(found.sum()) / target.work.most(len(raw))
        run.most_work = max(run.most_work, work)
        if work > 1:
            top = max(range(len(found)), key=found.__getitem__)
            most = f"{hits.BLOCKS[top].module}:{hits.BLOCKS[top].line}"
            self._fault(raw, f"too much work at {most}", f"{found.sum()} blocks ran for {len(raw)} bytes, most: {most}")
            return False
        return self._new(found, raw)

    def _read(self, raw: bytes) -> None:
        try:
            self.target.read(raw)
        except self.target.may:
            self.run.refused += 1

    def _measured(self, raw: bytes, bound: Bound) -> None:
        tracemalloc.start()
        try:
            self._read(raw)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        most = bound.most(len(raw))
        self.run.most_memory = max(self.run.most_memory, peak / most)
        assert peak <= most, f"{len(raw)} bytes took {peak} bytes of memory; {most} is the most"

    def _new(self, found: npt.NDArray[np.uint32], raw: bytes) -> bool:
        ran = np.flatnonzero(found)
        how = _BUCKETS[np.minimum(found[ran], 255)]
        fresh = how & ~self._seen[ran]
        if not fresh.any():
            return False
        self._seen[ran] |= how
        self.run.kept.append(raw)
        return True

    def _fault(self, raw: bytes, kind: str, what: str) -> None:
        if kind not in self._kinds:
            self._kinds.add(kind)
            self.run.faults.append(Fault(self._smaller(raw, kind), kind, what))

    def _smaller(self, raw: bytes, kind: str) -> bytes:
        """The input without pieces that the same fault does not need."""
        size, tries = max(len(raw) // 2, 1), 0
        while size and tries < 200:
            at = 0
            while at < len(raw) and tries < 200:
                less, tries = raw[:at] + raw[at + size :], tries + 1
                if self._kind_of(less) == kind:
                    raw = less
                else:
                    at += size
            size //= 2
        return raw

    def _kind_of(self, raw: bytes) -> str:
        try:
            with _in_time():
                self.target.read(raw)
        except self.target.may:
            return ""
        except (Exception, Hangs) as why:
            return _kind(why)
        return ""

    # -- making inputs

    def begin(self, kept: list[bytes]) -> None:
        """Reads the inputs to begin with."""
        for raw in [*self.target.seeds(), *kept]:
            self.feed(raw)
        if not self.run.kept:  # without counters nothing is new
            self.run.kept = self.target.seeds() or [b""]
        self.run.inputs = self.run.refused = 0

    def go(self, inputs: int, seed: str) -> Run:
        """Makes and reads this many inputs."""
        rng = Random(f"{self.target.name}/{seed}")
        for n in range(inputs):
            raw = self.next(rng)
            if self.feed(raw, n % SAMPLE == 0) and self.target.memory is not None:
                self.feed(raw, True)
                self.run.inputs -= 1
        return self.run

    def next(self, rng: Random) -> bytes:
        """A new input."""
        target, kept = self.target, self.run.kept
        if target.made is not None and rng.random() < 0.2:
            return target.made(rng)
        # every second time one of the newest, which reach what few inputs reach
        at = rng.randrange(len(kept)) if rng.random() < 0.5 else max(rng.randrange(len(kept)) for _ in range(3))
        raw = target.mutate(rng, kept[at], rng.choice(kept))
        return raw if len(raw) <= target.largest else raw[: target.largest]


def name_of(raw: bytes) -> str:
    """A short name of an input."""
    return hashlib.sha256(raw).hexdigest()[:12]


def _kind(why: BaseException) -> str:
    last = traceback.extract_tb(why.__traceback__)[-1]
    return f"{type(why).__name__} at {last.filename.rpartition('/')[2]}:{last.lineno}"


@contextmanager
def _in_time() -> Iterator[None]:
    """Raises Hangs in its body after HANGS_S, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, HANGS_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise Hangs(f"it took more than {HANGS_S} s")
