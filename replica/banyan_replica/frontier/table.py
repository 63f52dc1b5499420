"""The sums under one key: the cells of a sketch, and counts and sums of heads by prefix of the account id.

Cells find few differences among very many heads. If there are too many for a table, ranges are compared and divided
(like the fingerprints of negentropy, in the same field). Both are sums, so a head that moves adds a difference to both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from banyan_replica.frontier.sketch import Key, Numbers, P, add, add_one, empty, halves, mulmod, submod, summed

DEPTH = 4
"""Nibbles of the longest prefix whose sums are kept: 65,536 ranges, about 15 accounts each at a million."""
RANGES = 16**DEPTH
Range: TypeAlias = tuple[int, bytes]
"""(number of heads, their two sums in 16 bytes)."""
_SHIFT = 61 - 4 * DEPTH


@dataclass(slots=True)
class FrontierTable:
    """`built`: how many rows are in it while it is being built, then None. `sums`: by range, the number of heads, the
    sum of t and the sum of t h; empty where ranges are read off the rows."""

    key: Key
    built: int | None = None
    cells: Numbers = field(default_factory=empty)
    sums: Numbers = field(default_factory=lambda: np.zeros((RANGES, 3), np.uint64))

    def take(self, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
        """Adds rows. `heads`: 1 for each row with a head, otherwise 0."""
        add(self.cells, h, t)
        if len(self.sums):
            _add_ranges(self.sums, x0, h, t, heads)

    def sum_up(self, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
        """Keeps sums from now on. Given are all rows that are in the table."""
        self.sums = np.zeros((RANGES, 3), np.uint64)
        _add_ranges(self.sums, x0, h, t, heads)

    def move(self, x0: Numbers, h: Numbers, old: Numbers, new: Numbers, more: npt.NDArray[np.int64]) -> None:
        """Changes weights from `old` to `new`. `more`: +1 if the row has a head now and had none, -1 if it lost it."""
        self.take(x0, h, submod(new, old), more)

    def move_one(self, x0: int, h: int, t: int, more: int) -> None:
        """The same for one log, whose weight grew by `t` modulo p."""
        add_one(self.cells, h, t)
        if len(self.sums):
            at = x0 >> _SHIFT
            count, s0, s1 = self.sums[at].tolist()
            self.sums[at] = count + more, (s0 + t) % P, (s1 + t * h) % P

    def sums_below(self, prefix: bytes) -> bool:
        """Whether `children` says what is below the prefix."""
        return len(prefix) < DEPTH and len(self.sums) > 0

    def children(self, prefix: bytes) -> list[Range]:
        """The range below each of the 16 nibbles that may follow the prefix."""
        at = 0
        for n in prefix:
            at = at << 4 | n
        width = 16 ** (DEPTH - len(prefix))
        inside = self.sums[at * width : (at + 1) * width].reshape(16, -1, 3)
        sums = [_total(inside[:, :, k]) for k in (1, 2)]
        return [_range(*row) for row in zip(inside[:, :, 0].sum(axis=1).tolist(), *sums, strict=True)]

    def ranges(self, below: npt.NDArray[np.intp], h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> list[Range]:
        """The same for any rows. `below`: the next nibble of each."""
        counts = np.bincount(below, heads, 16).astype(np.int64)
        sums = [_binned(below, lane, np.zeros(16, np.uint64)).tolist() for lane in (t, mulmod(t, h))]
        return [_range(*row) for row in zip(counts.tolist(), *sums, strict=True)]


def _add_ranges(sums: Numbers, x0: Numbers, h: Numbers, t: Numbers, heads: npt.NDArray[np.int64]) -> None:
    at, nth = np.unique((x0 >> np.uint64(_SHIFT)).astype(np.intp), return_inverse=True)
    sums[at, 0] += np.bincount(nth, heads, len(at)).astype(np.int64).view(np.uint64)  # a negative count wraps
    for k, lane in ((1, t), (2, mulmod(t, h))):
        sums[at, k] = _binned(nth, lane, sums[at, k])


def _binned(at: npt.NDArray[np.intp], values: Numbers, onto: Numbers) -> Numbers:
    sums = np.zeros((2, len(onto)))
    for half, total in zip(halves(values), sums, strict=True):
        total += np.bincount(at, half, len(onto))
    return summed(sums[0], sums[1], onto)


def _total(rows: Numbers) -> list[int]:
    low = (rows & np.uint64(0xFFFFFFFF)).sum(axis=1).tolist()
    high = (rows >> np.uint64(32)).sum(axis=1).tolist()
    return [(a + (b << 32)) % P for a, b in zip(low, high, strict=True)]


def _range(count: int, s0: int, s1: int) -> Range:
    return count, s0.to_bytes(8, "big") + s1.to_bytes(8, "big")
