"""Faults: what breaks, when and for how long, drawn from the seed before the world starts.

Every fault here heals: a partition ends, a crashed machine comes back, a clock is corrected. A machine that lies
(byzantine.py) does not heal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

KINDS = ("loss", "slow", "partition", "crash", "skew", "disk")
"""loss: connections reset. slow: links take many times as long. partition: sides that cannot reach each other.
crash: power cuts. skew: wall clocks that are wrong, and jump. disk: fsync takes seconds."""

MAX_SKEW_S = 100.0
"""Seconds. Two wrong clocks stay within the five minutes by which entries may be dated ahead, so no honest machine is
shut out."""


class Fault(NamedTuple):
    """`amount`: loss per frame, factor of slowness, seconds of skew; sides of a partition."""

    at: float
    kind: str
    lasts: float
    nodes: tuple[str, ...]
    amount: float


def draw(rng: random.Random, names: Sequence[str], start: float, stop: float, kinds: Sequence[str]) -> list[Fault]:
    """A schedule between two virtual times; all of it has healed at `stop`."""
    return sorted(fault for kind in kinds for fault in _draw_kind(rng, kind, names, start, stop))


def _draw_kind(rng: random.Random, kind: str, names: Sequence[str], start: float, stop: float) -> list[Fault]:
    few = max(1, len(names) // 12)

    def some(most: int) -> tuple[str, ...]:
        return tuple(rng.sample(list(names), rng.randint(1, max(1, most))))

    def fault(nodes: tuple[str, ...], amount: float) -> Fault:
        at = rng.uniform(start, start + 0.7 * (stop - start))
        return Fault(at, kind, min(rng.uniform(0.1, 0.5) * (stop - start), stop - at), nodes, amount)

    match kind:
        case "loss":
            return [fault((), rng.choice((0.002, 0.01, 0.03))) for _ in range(2)]
        case "slow":
            return [fault(some(few), rng.uniform(5.0, 20.0))]
        case "partition":
            return [fault(some(len(names) // 2), 2.0) for _ in range(rng.randint(1, 2))]
        case "crash":
            return [fault((name,), 0.0) for name in some(2 * few)]
        case "skew":
            return [fault((name,), rng.uniform(-MAX_SKEW_S, MAX_SKEW_S)) for name in some(2 * few)]
        case "disk":
            return [fault(some(few), rng.uniform(20.0, 200.0))]
        case _:
            raise ValueError(f"'{kind}' is no kind of fault; the kinds are {', '.join(KINDS)}")
