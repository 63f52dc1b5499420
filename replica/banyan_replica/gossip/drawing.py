"""Random choices, made with the gossip's own generator."""

from __future__ import annotations

from typing import TypeVar

from banyan_replica.gossip.settings import Rng

T = TypeVar("T")


def pick(rng: Rng, of: list[T]) -> T:
    """One of a list that is not empty."""
    return of[rng.randrange(len(of))]


def sample(rng: Rng, of: list[T], most: int) -> list[T]:
    """At most `most` elements, each once. Shuffles the list."""
    for i in range(min(most, len(of))):
        j = i + rng.randrange(len(of) - i)
        of[i], of[j] = of[j], of[i]
    return of[:most]
