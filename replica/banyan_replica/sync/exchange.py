"""One exchange of sketches (comparison.py): how many cells to ask for, what was asked and came, a table that is built
for one, and the answer of a table to a question."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from banyan_crdt.errors import Malformed
from banyan_replica.frontier.index import FrontierIndex
from banyan_replica.frontier.sketch import CELLS, Numbers, pack, unpack
from banyan_replica.wire.messages import AS_IF, HERE, TOO_MANY, Sketch, SketchCells

# How many cells to send before it is known how much differs, so that one question is enough: the asker shows four bits
# of its own S0 at some cells. If d items differ, none of them visits cell i with chance exp(-d / (1 + i/2)), so the
# probes that agree with the answerer's own table tell d within about 15 %. There is a probe at each of the first cells,
# and later ones are about 3 % apart, because they must find the order of magnitude of d.


def _places() -> list[int]:
    at, out = 0, list[int]()
    while at < CELLS:
        out.append(at)
        at += 1 + at // 32
    return out


PLACES = np.array(_places())
"""The cells that are probed."""
PROBE_BYTES = (len(PLACES) + 1) // 2
MOST = 6_000
"""Above this estimate no cells are sent. A table of CELLS decodes at most 2,900 differences, but estimates near its end
are inexact."""
_DIFFERENCES = np.exp(np.arange(math.log(0.25), math.log(4 * CELLS), 0.02))
_BARE = np.exp(-np.outer(_DIFFERENCES, 1 / (1 + PLACES / 2)))
_DIFFERS = 15 / 16 * (1 - _BARE)
_LOG_AGREES = np.log(1 - _DIFFERS)
_LOG_ODDS, _ALL_AGREE = np.ascontiguousarray((np.log(_DIFFERS) - _LOG_AGREES).T), _LOG_AGREES.sum(axis=1)
"""The first by place, so that only the places that differ are read."""


def probes(table: Numbers) -> bytes:
    """The low four bits of S0 at PLACES, two to a byte, the first in the high half."""
    bits = (table[PLACES, 0] & np.uint64(15)).astype(np.uint8)
    bits = np.append(bits, np.zeros(len(bits) % 2, np.uint8))
    return bytes(bits[::2] << 4 | bits[1::2])


def estimate(table: Numbers, theirs: bytes) -> float:
    """The most likely number of differences; 0 if all probes agree. Raises ValueError unless there are PROBE_BYTES."""
    if len(theirs) != PROBE_BYTES:
        raise ValueError(f"a question has {PROBE_BYTES} bytes of probes, this one {len(theirs)}")
    shown = np.frombuffer(theirs, np.uint8)
    bits = np.stack((shown >> 4, shown & 15), axis=1).ravel()[: len(PLACES)]
    differs = bits != (table[PLACES, 0] & np.uint64(15)).astype(np.uint8)
    if not differs.any():
        return 0.0
    likelihood = _ALL_AGREE + _LOG_ODDS[differs].sum(axis=0)
    return float(_DIFFERENCES[likelihood.argmax()])


def cells_for(differences: float) -> int:
    """A number of cells that decodes at once five times in six; 0: more differences than a table can tell.

    Peeling takes 1.37 cells a difference at a thousand, 1.44 at a hundred, and up to 3 if there are very few. The rest
    is for the error of the estimate, which grows because the probes end. One cell proves that nothing differs, because
    every item is in it.
    """
    if differences > MOST:
        return 0
    d = differences
    return min(CELLS, max(1, math.ceil(1.55 * d + 1.3 * math.sqrt(d) + d * d / 8_000)))


@dataclass(slots=True)
class Exchange:
    """A question of ours. mine: our cells at the time of the first answer, if that did not suffice."""

    salt: bytes
    since: float
    asked: int = 1
    stamp: int = 0
    mine: Numbers | None = None
    whole: bool = True
    """Whether what stands (known_differences.py) is compared too."""
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
