"""Two nodes with little room beside a log become equal, and each rule for that is needed."""

from __future__ import annotations

import pytest

from tests.model.rooms import RULES, Rules, apart
from tests.needs import numbers


def test_nodes_with_little_room_become_equal_whatever_fills_it() -> None:
    assert apart(numbers(400)) == []


@pytest.mark.parametrize("without", Rules._fields)
def test_without_one_of_the_rules_some_nodes_stay_apart(without: str) -> None:
    assert any(apart([seed], RULES._replace(**{without: False})) for seed in range(1_000))
