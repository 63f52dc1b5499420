"""What a target of the fuzzing is: a function that reads bytes, and what it may do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tests.fuzz.mutate import Mutate, cbor


class Bound(NamedTuple):
    """At most `base` and `each` for every byte of the input."""

    base: int
    each: int

    def most(self, size: int) -> int:
        return self.base + self.each * size


USUAL_WORK, USUAL_MEMORY = Bound(2_000, 30), Bound(100_000, 200)
"""An array of CBOR has a byte and takes a block or two, and a hundred bytes of memory; what is made of it, as much."""


@dataclass(frozen=True)
class Target:
    """read: reads an input; asserts what holds of the result (what was read is written as the same bytes). may: what it
    may raise, as the docstrings of the product promise. seeds: inputs that are read to their end. made: a random input
    of the right form. code: the modules whose blocks are its coverage.

    share: its part of all inputs, against those of other targets. largest: bytes of an input. work: blocks of code
    that an input may run. memory: bytes that reading may take at its peak; None: `read` bounds them itself.
    """

    name: str
    read: Callable[[bytes], object]
    may: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    code: tuple[str, ...]
    mutate: Mutate = cbor
    made: Callable[[Random], bytes] | None = None
    share: int = 10
    largest: int = 8 << 10
    work: Bound = USUAL_WORK
    memory: Bound | None = USUAL_MEMORY
