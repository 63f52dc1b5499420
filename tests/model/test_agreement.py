"""The implementation says what the model says, on random adversarial sets made of real, signed entries."""

from __future__ import annotations

import os
import random

from tests.model.agreement import Tally, compare, examine
from tests.model.concrete import RealJudge, concrete
from tests.model.scenarios import scenario

RUNS = int(os.environ.get("BANYAN_MODEL_RUNS", "100000"))


def test_heads_cells_and_what_is_kept_are_those_of_the_model() -> None:
    for n in range(400):
        rng = random.Random(f"subsets/{n}")
        c = concrete(scenario(rng, 18))
        judge, size = RealJudge(c), len(c.real)
        masks = {c.symbolic.everything, *(c.symbolic.closed(rng.getrandbits(size) | 1) for _ in range(6))}
        for mask in masks:
            assert compare(c, judge, mask) == [], f"scenario subsets/{n}, entries {mask:b}"


def test_every_delivery_ends_in_the_state_that_the_model_gives_the_whole_set() -> None:
    total, n = Tally(), 0
    while total.runs < RUNS:
        total = total.plus(examine(f"ci/{n}"))
        n += 1
    assert total.clean, f"{total}: examine one with `python -m tests.model.nightly --only {(*total.failed, '-')[0]}`"


def test_nodes_with_a_store_end_in_that_state_and_can_serve_all_that_they_hold() -> None:
    total = Tally()
    for n in range(RUNS // 1_000):
        total = total.plus(examine(f"store/{n}", 15, 0, "store"))
    assert total.clean, f"{total}: examine one with `python -m tests.model.nightly --nodes store --only SEED`"


def test_a_scenario_has_the_same_bytes_every_time() -> None:
    one, two = (concrete(scenario(random.Random(5))) for _ in range(2))
    assert one.real == two.real
