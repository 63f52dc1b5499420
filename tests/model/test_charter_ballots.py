"""Ballots of a charter: what less than a third of Byzantine votes cannot do, and which rule each promise needs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.charter_many import first_broken, many
from tests.model.charter_spec import RULES
from tests.needs import NIGHT

RUNS = 1_000_000 if NIGHT else 100_000


def test_no_two_contents_of_a_number_can_be_certified_and_after_healing_one_is_within_the_bound_of_ballots() -> None:
    total = many("ci", 0, RUNS)
    broken = [k for k in total if ":" in k]
    assert not broken, f"{broken[:5]}: see one with `python -m tests.model.charter_many --only SEED`"
    assert total["unlocked"] > RUNS // 5_000, "hardly any member voted against its commit with a proof"
    assert total["ballots 3"] > RUNS // 500, "hardly any vote was split"


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        ({"above": (1, 2)}, "safety"),
        ({"consent": "only"}, "safety"),
        ({"lock": "ignored"}, "safety"),
        ({"lock": "claim"}, "safety"),
        ({"one_step": True, "lock": "ignored"}, "safety"),
        ({"one_step": True}, "liveness"),
        ({"consent": "commit"}, "liveness"),
        ({"consent": "ballot"}, "liveness"),
        ({"leavers_sign": False}, "liveness"),
        ({"most_leave": (1, 1)}, "safety"),
    ],
    ids=str,
)
def test_without_one_of_the_rules_a_run_breaks(mutant: dict[str, Any], what: str) -> None:
    assert first_broken("mutants", 20_000, RULES._replace(**mutant), what) is not None
