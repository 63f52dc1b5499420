"""The implementation agrees with the model on random adversarial sets of real, signed entries."""

from __future__ import annotations

import random

from tests.model.agreement import Tally, checkpoints_of, compare, examine
from tests.model.concrete import RealJudge, concrete, in_force
from tests.model.scenarios import Scenario, scenario
from tests.model.spec import LIMITS, RULES, state
from tests.model.test_spec import INIT, Pen, granted, posts
from tests.needs import NIGHT, few, numbers

RUNS = 20_000 if NIGHT else 4_000


def test_heads_cells_and_what_stays_after_30_days_are_as_the_model_says() -> None:
    for n in numbers(200):
        rng = random.Random(f"subsets/{n}")
        c = concrete(scenario(rng, 18), rng)
        s, judge = c.symbolic, RealJudge(c)
        held = [(s.everything, s.signed)]
        for _ in range(6):
            messages = s.messages(rng)
            held.append(s.gathered(rng.sample(messages, rng.randrange(1, len(messages) + 1))))
        with in_force(s.limits):
            for mask, signed in held:
                found = compare(c, judge, mask, signed, rng)
                assert found == [], f"scenario subsets/{n}, entries {mask:b}, signatures {signed:b}"


def test_with_checkpoints_heads_cells_and_what_stays_after_30_days_are_as_the_model_says() -> None:
    ties = decided = 0
    for n in numbers(300):
        rng = random.Random(f"checkpoints/{n}")
        c = concrete(scenario(rng, 18, "ties" if n % 2 else ""), rng)
        s, judge = c.symbolic, RealJudge(c)
        with in_force(s.limits):
            for mask, signed in (
                (s.everything, s.signed),
                s.gathered(rng.sample(found := s.messages(rng), len(found) // 2 + 1)),
            ):
                said = checkpoints_of(rng, c)
                wrong = compare(c, judge, mask, signed, rng, said)
                assert wrong == [], f"scenario checkpoints/{n}, entries {mask:b}, signatures {signed:b}"
                for account in s.accounts:
                    ties += state(s.members(mask), account, s.limits).frozen
                    words = [w.symbolic for w in said]
                    found_control = state(s.members(mask), account, s.limits, RULES, words).control
                    decided += bool(found_control.shown) and not found_control.frozen
    assert decided > few(300) // 12, f"of {ties} ties witnesses decided {decided}"


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


def test_what_is_below_an_entry_whose_30_days_are_not_over_can_be_served() -> None:
    pen = Pen()
    tip = pen("K0", pen("K0", None, INIT), granted("w"))
    one, pinned = posts(pen, "w", 3), posts(pen, "w", 1)[0]
    side = posts(pen, "w", 1, parent=one[0])[0]
    pen("K0", tip, ("pin", "w", 1, 0, pinned.id))
    s = Scenario(pen.entries, LIMITS._replace(run=2))
    s.signed &= ~s.mask(one[:2])
    c = concrete(s)
    with in_force(s.limits):
        kept = RealJudge(c).stays(c.symbolic.accounts[0], s.everything, s.signed, s.mask(one[2:]))
    assert kept & s.mask(one) == s.mask(one)
    assert kept & s.mask([side]), "the first entry has no other signature within a run of two"
