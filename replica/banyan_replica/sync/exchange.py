"""One exchange of sketches (comparing.py): what was asked and came, a table that is built for one, and the answer of a
table to a question."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from banyan_crdt.errors import Malformed
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.probes import cells_for, estimate
from banyan_replica.frontier.sketch import Numbers, pack, unpack
from banyan_replica.wire import AS_IF, HERE, TOO_MANY, Sketch, SketchCells


@dataclass(slots=True)
class Exchange:
    """A question of ours. mine: our cells at the time of the first answer, if that did not suffice."""

    salt: bytes
    since: float
    asked: int = 1
    stamp: int = 0
    mine: Numbers | None = None
    whole: bool = True
    """Whether what stands (standing.py) is compared too."""
    all: Numbers | None = None
    """If all cells were asked for, to be kept: ours at that time."""
    root: bytes = b""
    """Our root when `mine` was taken; if it has changed, weights have changed too."""
    theirs: Numbers = field(default_factory=lambda: np.zeros((0, 3), np.uint64))


@dataclass(slots=True)
class Build:
    """A table under a salt, built for one neighbour. told: whether the question or answer was sent, at `since`."""

    peer: str
    tree: FrontierIndex
    salt: bytes
    since: float
    question: Sketch | None
    """The peer's question; None if we will ask."""
    told: bool = False


def answer(m: Sketch, mine: Numbers, stamp: int, as_if: bool = False) -> SketchCells:
    """The answer of a table to a question. stamp: that of the heads in the table. as_if: these are not ours."""
    if m.start and m.stamp == stamp:
        start, count = m.start, m.wanted
    elif m.start:  # heads moved since the first answer: cells of two moments do not decode together
        start, count = 0, m.start + m.wanted
    else:
        start, count = 0, cells_for(estimate(mine, m.probes))
    state = TOO_MANY if not count else AS_IF if as_if else HERE
    return SketchCells(m.salt, start, state, stamp, pack(mine[start : start + count]))


def unpacked(m: SketchCells) -> Numbers:
    """The cells of an answer. Raises Malformed if there are none."""
    try:
        came = unpack(m.cells)
    except ValueError as why:
        raise Malformed(str(why)) from None
    if not len(came):
        raise Malformed("an answer without cells")
    return came
