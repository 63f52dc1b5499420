"""Honest replicas that each get a part of an adversarial set end in the state of the union of the parts.

Half of the sets are examined here, half in test_world_too.py, because pytest gives each file to one worker.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.model.spec import state
from tests.model.world import examine
from tests.model.world_many import CI_CHUNKS, ci_chunk
from tests.model.world_sets import THEMES, world_set


@pytest.mark.parametrize("chunk", range(0, CI_CHUNKS, 2))
def test_replicas_that_each_were_given_a_part_end_in_the_state_of_the_union(chunk: int) -> None:
    assert not ci_chunk(chunk)


def test_a_seed_gives_the_same_set_and_the_same_run() -> None:
    one, two = (world_set(random.Random("same")) for _ in range(2))
    assert one.real == two.real
    assert examine("same/1") == examine("same/1")


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_makes_sets_whose_logs_count(theme: str) -> None:
    lengths = Counter[bool]()
    for n in range(12):
        s = world_set(random.Random(f"theme/{n}"), theme)
        heads = [h for a in s.accounts for name, h in state(s.symbolic, a, s.limits).heads.items() if name[1]]
        lengths[any(h.length for h in heads)] += 1
    assert lengths[True] > 3, f"theme {theme}: {dict(lengths)}"
