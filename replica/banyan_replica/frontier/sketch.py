"""A weighted rateless sketch: which logs differ between two frontiers, by how much, and which side is ahead.

A log has a place h and a weight t, both numbers modulo p = 2^61 - 1. The place is computed from the log's name. The
weight is length << 29 | tag; the tag is computed from the head's id and flag. Cell i is (sum of t, sum of t h, sum of
t h^2) over the logs whose walk visits i; a walk visits cell i with chance 1 / (1 + i/2).

Cells can be subtracted. Logs that are equal on both sides cancel; a log that differs leaves one item, with the
difference of its weights. A cell has exactly one item iff S1^2 = S0 S2 (docs/reconciliation.md gives the exceptions);
then h = S1 / S0, and S0 is the weight. When this item is taken out of the cells of its walk, other cells come to have
one item (peeling).

Invariants: numpy and scalars agree to the last bit (every number of a walk is an exact integer or the result of one
correctly rounded IEEE operation). A place whose walk misses the cell is never taken. Decoding is complete only when
every cell is zero, and costs at most a few times the number of cells, whatever the cells are.

docs/reconciliation.md explains it. The walk is that of Yang, Gilad and Alizadeh, Practical Rateless Set Reconciliation,
2024, section 4.2. Items that are weights in a field, instead of strings under XOR, are new here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

P = (1 << 61) - 1
"""A Mersenne prime, so reduction is a shift and an addition."""
CELLS = 4_096
"""The cells of a table: enough for about 2,500 differences."""
CELL_BYTES = 23
"""The bytes of a cell: three numbers of 61 bits."""
TAG_BITS = 29
LENGTH_BITS = 31
"""Lengths are taken modulo 2^31, so that a weight is below 2^60. Two lengths that differ by 2^31 have different
tags."""

Numbers: TypeAlias = npt.NDArray[np.uint64]
"""An array of numbers below p, or of words of 64 bits."""
Indexes: TypeAlias = npt.NDArray[np.intp]
Floats: TypeAlias = npt.NDArray[np.float64]

_P, _ONE = np.uint64(P), np.uint64(1)
_SEED, _STEP, _WORD = 0x9E3779B97F4A7C15, 0xDA942042E4DD58B5, (1 << 64) - 1
FEW = 32
"""Up to this number, items are faster one by one, without numpy."""
WALKS = 4_096
"""Walks that are cached, because heads that moved will move again."""


class Key(NamedTuple):
    """Turns fingerprints into places and tags: h = a x0 + b x1 + c, tag = low 29 bits of d y0 + e y1 + f flag + g.

    This is a universal hash: for two logs chosen before the key, the places agree with chance 2^-61, and for two heads
    the tags agree with chance 2^-29, however they were chosen.
    """

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int


class SketchDifference(NamedTuple):
    """`items`: place -> weight here minus weight there, modulo p. `left`: how many cells are not zero; 0: complete."""

    items: dict[int, int]
    left: int


def key_of(salt: bytes) -> Key:
    """Seven numbers below p, from SHA-256 over the salt and a counter."""
    made = (hashlib.sha256(b"banyan/1/sketch\0" + bytes((n,)) + salt).digest() for n in range(7))
    return Key(*(int.from_bytes(d[:16], "big") % P for d in made))


def fingerprint(raw: bytes) -> tuple[int, int]:
    """The first 16 bytes as two numbers of 61 bits, from which places and tags are computed."""
    return int.from_bytes(raw[:8], "big") >> 3, int.from_bytes(raw[8:16], "big") >> 3


# -- arithmetic


def mulmod(a: Numbers, b: Numbers | np.uint64) -> Numbers:
    """a b mod p, for numbers below p; in halves of 31 and 30 bits, with 2^62 = 2 mod p."""
    low, half = np.uint64((1 << 31) - 1), np.uint64(31)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    out: Numbers = a1 * b1
    out <<= _ONE
    mid = a1 * b0
    a0b0 = a0 * b0
    a0 *= b1
    mid += a0
    out += mid >> np.uint64(30)
    mid &= np.uint64((1 << 30) - 1)
    mid <<= half
    out += mid
    return _reduce(_fold(out) + a0b0)


def _fold(x: Numbers) -> Numbers:
    """A number congruent to x, and below 2^61 + 8."""
    return (x & _P) + (x >> np.uint64(61))


def _reduce(x: Numbers) -> Numbers:
    """x mod p, for any words."""
    return _once(_fold(x))


def _once(x: Numbers) -> Numbers:
    """x mod p, for words below 2p. For x below p, x - p wraps to a very large word, so the minimum is x."""
    out: Numbers = np.minimum(x, x - _P)
    return out


def submod(a: Numbers, b: Numbers) -> Numbers:
    """a - b mod p, for numbers below p."""
    return _once(a + (_P - b))


# -- items


def places(key: Key, x0: Numbers, x1: Numbers) -> Numbers:
    """h of each log name's fingerprint."""
    return _reduce(mulmod(x0, np.uint64(key.a)) + mulmod(x1, np.uint64(key.b)) + np.uint64(key.c))


def weights(key: Key, y0: Numbers, y1: Numbers, lengths: Numbers, flags: Numbers) -> Numbers:
    """t of each head: its id's fingerprint, length and flag (0 or 1)."""
    tag = mulmod(y0, np.uint64(key.d)) + mulmod(y1, np.uint64(key.e)) + np.uint64(key.f) * flags
    tag = _reduce(_fold(tag) + np.uint64(key.g)) & np.uint64((1 << TAG_BITS) - 1)
    return (lengths & np.uint64((1 << LENGTH_BITS) - 1)) << np.uint64(TAG_BITS) | tag


def place(key: Key, x0: int, x1: int) -> int:
    """`places` of one log."""
    return (key.a * x0 + key.b * x1 + key.c) % P


def weight(key: Key, y0: int, y1: int, length: int, flag: int) -> int:
    """`weights` of one head."""
    tag = (key.d * y0 + key.e * y1 + key.f * flag + key.g) % P & (1 << TAG_BITS) - 1
    return (length & (1 << LENGTH_BITS) - 1) << TAG_BITS | tag


def length_of(t: int) -> int | None:
    """The length in a weight; None if the number cannot be a weight."""
    return t >> TAG_BITS if t >> TAG_BITS + LENGTH_BITS == 0 else None


# -- the walk


def walk(h: int, cells: int) -> Iterator[int]:
    """The cells below `cells` that the item at h visits: 0, then others at growing distances."""
    i, r = 0, (h * _SEED + 1) & _WORD
    while i < cells:
        yield i
        r = r * _STEP & _WORD
        i += max(1, math.ceil((i + 1.5) * (67108864.0 / math.sqrt((r >> 12) + 1) - 1.0)))


def _walks(h: Numbers, cells: int) -> Iterator[tuple[Indexes, Indexes]]:
    """The steps of many walks together: (indexes of the items still walking, the cell of each)."""
    who = np.arange(h.size)
    r = h * np.uint64(_SEED) + _ONE
    at = np.zeros(h.size)
    while who.size:
        yield who, at.astype(np.intp)
        r *= np.uint64(_STEP)
        step = np.sqrt(((r >> np.uint64(12)) + _ONE).astype(np.float64))
        np.divide(67108864.0, step, out=step)
        step -= 1.0
        step *= at + 1.5
        np.ceil(step, out=step)
        np.maximum(step, 1.0, out=step)
        at += step
        on = np.flatnonzero(at < cells)
        who, r, at = who[on], r[on], at[on]


def _gathered(steps: Iterator[tuple[Indexes, Indexes]], size: int = 1 << 14) -> Iterator[tuple[Indexes, Indexes]]:
    """The same, with steps of few items joined, because a call of numpy costs more than the work on few items."""
    who, at, waiting = list[Indexes](), list[Indexes](), 0
    for some, where in steps:
        who.append(some)
        at.append(where)
        waiting += some.size
        if waiting >= size:
            yield np.concatenate(who), np.concatenate(at)
            who, at, waiting = [], [], 0
    if waiting:
        yield np.concatenate(who), np.concatenate(at)


# -- cells


def empty(cells: int = CELLS) -> Numbers:
    """Cells without items: an array of `cells` rows of three numbers."""
    return np.zeros((cells, 3), np.uint64)


def add(table: Numbers, h: Numbers, t: Numbers) -> None:
    """Adds items at places `h` with weights `t` modulo p. To subtract a weight, add p minus it."""
    if h.size <= FEW:
        for one, w in zip(h.tolist(), t.tolist(), strict=True):
            add_one(table, one, w)
        return
    cells, th = len(table), mulmod(t, h)
    lanes = [halves(lane) for lane in (t, th, mulmod(th, h))]
    sums = np.zeros((3, 2, cells))
    for who, at in _gathered(_walks(h, cells)):
        for lane, into in zip(lanes, sums, strict=True):
            for half, total in zip(lane, into, strict=True):
                total += np.bincount(at, half[who], cells)
    for n, (low, high) in enumerate(sums):
        table[:, n] = summed(low, high, table[:, n])


def halves(x: Numbers) -> tuple[Floats, Floats]:
    """The low 32 bits and the rest, as floats, because bincount adds floats. Sums of fewer than two million are
    exact."""
    return (x & np.uint64(0xFFFFFFFF)).astype(np.float64), (x >> np.uint64(32)).astype(np.float64)


def summed(low: Floats, high: Floats, onto: Numbers) -> Numbers:
    """low + 2^32 high + onto modulo p, for sums of halves, and numbers below p."""
    return _reduce(_fold(onto + low.astype(np.uint64)) + mulmod(_reduce(high.astype(np.uint64)), np.uint64(1 << 32)))


def add_one(table: Numbers, h: int, t: int) -> None:
    """Adds one item. To take it out, add p minus its weight."""
    at, th = _cells_of(h, len(table)), t * h % P
    table[at] = _once(table.take(at, 0) + np.array((t, th, th * h % P), np.uint64))


@lru_cache(WALKS)
def _cells_of(h: int, cells: int) -> Indexes:
    return np.array(list(walk(h, cells)))


def pack(cells: Numbers) -> bytes:
    """23 bytes per cell: S0 and S1 in 8 bytes, S2 in 7, big-endian. The upper 5 bits of S2 are in the unused bits above
    S0 (3 bits) and S1 (2 bits)."""
    words, top = cells.copy(), cells[:, 2] >> np.uint64(56)
    words[:, 0] |= (top & np.uint64(7)) << np.uint64(61)
    words[:, 1] |= (top >> np.uint64(3)) << np.uint64(61)
    wide = words.astype(">u8").view(np.uint8).reshape(-1, 24)
    return np.concatenate((wide[:, :16], wide[:, 17:]), axis=1).tobytes()


def unpack(raw: bytes) -> Numbers:
    """The inverse of `pack`. Raises ValueError if the bytes are no cells."""
    if len(raw) % CELL_BYTES:
        raise ValueError(f"cells are {CELL_BYTES} bytes each, {len(raw)} bytes are not whole cells")
    rows = np.frombuffer(raw, np.uint8).reshape(-1, CELL_BYTES)
    wide = np.zeros((len(rows), 24), np.uint8)
    wide[:, :16], wide[:, 17:] = rows[:, :16], rows[:, 16:]
    words = wide.view(">u8").astype(np.uint64)
    words[:, 2] |= (words[:, 0] >> np.uint64(61) | words[:, 1] >> np.uint64(61) << np.uint64(3)) << np.uint64(56)
    words[:, :2] &= _P
    if (words >= _P).any():
        raise ValueError("a cell holds numbers below 2^61 - 1")
    return words


# -- decoding


def pure(cells: Numbers) -> npt.NDArray[np.bool_]:
    """Which cells have exactly one item."""
    s0, s1, s2 = cells[:, 0], cells[:, 1], cells[:, 2]
    out: npt.NDArray[np.bool_] = (s0 != 0) & (mulmod(s1, s1) == mulmod(s0, s2))
    return out


def decode(difference: Numbers) -> SketchDifference:
    """Peels the items out of `difference`: the first cells of a table here minus those there.

    An item that was taken by mistake comes out again with the opposite weight. This happens if three or more items look
    like one: with chance 2^-61, or if they were chosen under a known key. Hostile cells end it after two items per
    cell.
    """
    n = len(difference)
    s0, s1, s2 = (difference[:, k].tolist() for k in range(3))
    items: dict[int, int] = {}
    todo: list[int]
    if n <= FEW:
        todo = [i for i in range(n) if s0[i] and s1[i] * s1[i] % P == s0[i] * s2[i] % P]
    else:
        todo = np.flatnonzero(pure(difference)).tolist()
    budget = 2 * n + 16
    while todo and budget:
        at = todo.pop()
        t, th = s0[at], s1[at]
        if not t or th * th % P != t * s2[at] % P:
            continue
        h = th * pow(t, -1, P) % P
        visited = list(walk(h, n))
        if at not in visited:
            continue
        budget -= 1
        thh = s2[at]
        items[h] = (items.get(h, 0) + t) % P
        for i in visited:
            a = s0[i] = (s0[i] - t) % P
            b = s1[i] = (s1[i] - th) % P
            c = s2[i] = (s2[i] - thh) % P
            if a and b * b % P == a * c % P:
                todo.append(i)
    left = sum(1 for a, b, c in zip(s0, s1, s2, strict=True) if a or b or c)
    return SketchDifference({h: t for h, t in items.items() if t}, left)
