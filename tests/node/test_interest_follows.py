"""The accounts within some follows, kept up to date, compared with a search from the roots each time."""

from __future__ import annotations

import random

import pytest

from banyan_crdt.ids import AccountId
from banyan_node.hosting.interest import Within


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(6))
def test_who_is_within_some_follows_is_what_a_search_finds(hops: int, seed: int) -> None:
    rng, within = random.Random(f"{hops} {seed}"), Within(hops)
    people = [AccountId(bytes([n]) * 32) for n in range(14)]
    follows = {one: set[AccountId]() for one in people}
    numbers: dict[AccountId, bytes] = {}
    roots = set[AccountId]()
    asked = 0

    def follows_of(one: AccountId) -> list[AccountId]:
        nonlocal asked
        asked += 1
        return sorted(follows[one]) if one in numbers else []

    for _ in range(150):
        changed = set[bytes]()
        for _ in range(rng.randrange(4)):
            one, other = rng.sample(people, 2)
            if rng.random() < 0.2:
                roots ^= {one}
            elif rng.random() < 0.5:
                numbers.setdefault(one, people.index(one).to_bytes(4, "big"))
                changed.add(numbers[one])
            elif one in numbers:
                follows[one] ^= {other}
                changed.add(numbers[one])
        asked = 0
        found = within.update(roots, changed, numbers.get, follows_of)
        wanted, edge = set(roots), set(roots)
        for _ in range(hops):
            edge = {other for one in edge if one in numbers for other in follows[one]} - wanted
            wanted |= edge
        assert found == wanted
        asked = 0
        assert within.update(roots, (), numbers.get, follows_of) is found
        assert not asked, "nothing changed, and nothing is read"
