"""What was made once and is needed again: bounded, and by what it was made of, or for a short time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """At most `most` things; the one that lies there longest goes first. seconds: how long one is given out; None: for
    ever, where the key is all that it was made of. One thread."""

    def __init__(self, most: int, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._held: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        found = self._held.get(key)
        if found is None or (self._seconds is not None and self._clock() - found[0] > self._seconds):
            return None
        return found[1]

    def put(self, key: K, value: V) -> None:
        self._held.pop(key, None)
        while len(self._held) >= self._most:
            del self._held[next(iter(self._held))]
        self._held[key] = (self._clock(), value)

    def __len__(self) -> int:
        return len(self._held)
