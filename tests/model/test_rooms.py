"""Two nodes with little room beside a log become equal, and each rule for that is needed."""

from __future__ import annotations

import pytest

from tests.model.rooms import RULES, Rules, apart
from tests.needs import numbers


def test_nodes_with_little_room_become_equal_whatever_fills_it() -> None:
    assert apart(numbers(400)) == []


FOUND = {"gives_way": 51, "takes_long": 275, "leads_down": 11, "shows_part": 11}
"""The first seeds of which the nodes stay apart without the rule."""


@pytest.mark.parametrize("without", Rules._fields)
def test_without_one_of_the_rules_some_nodes_stay_apart(without: str) -> None:
    assert apart([FOUND[without]], RULES._replace(**{without: False}))
