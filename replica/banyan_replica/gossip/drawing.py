"""Choices at random, by the randomness that the gossip is given."""

from __future__ import annotations

from typing import TypeVar

from banyan_replica.gossip.settings import Rng

T = TypeVar("T")


def pick(rng: Rng, of: list[T]) -> T:
    """One of a list that is not empty."""
    return of[rng.randrange(len(of))]


def sample(rng: Rng, of: list[T], most: int) -> list[T]:
    """At most so many, each once; the list is shuffled by it."""
    for i in range(min(most, len(of))):
        j = i + rng.randrange(len(of) - i)
        of[i], of[j] = of[j], of[i]
    return of[:most]
