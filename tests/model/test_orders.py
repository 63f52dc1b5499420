"""Orders of an alliance: what the rules promise, and which rule each promise needs."""

from __future__ import annotations

import pytest

from tests.model.orders_spec import RULES, broken
from tests.needs import NIGHT

RUNS = 1_000_000 if NIGHT else 20_000


def test_no_random_world_breaks_a_promise() -> None:
    found = [(n, what) for n in range(RUNS) if (what := broken(f"ci/{n}"))]
    assert not found, found[:5]


@pytest.mark.parametrize("rule", RULES._fields)
def test_without_one_of_the_rules_a_promise_breaks(rule: str) -> None:
    without = RULES._replace(**{rule: False})
    assert any(broken(f"mutants/{n}", without) for n in range(5_000)), rule
