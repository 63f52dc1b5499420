"""What an alliance promises about the accounts that it keeps: each promise with the rule without which it breaks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.model.hosting_spec import RULES, history
from tests.needs import numbers


def test_nodes_that_exchange_what_their_frontiers_name_keep_the_same_accounts() -> None:
    for n in numbers(2_000):
        assert history(f"ci/{n}") == "", f"ci/{n}"


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        ({"newest_first": True}, "a flood locks out nobody who was there before it"),
        ({"needs_host": False}, "an account counts only for the member that it names"),
        ({"needs_list": False}, "strangers take no place of a member"),
        ({"repeats_take_places": True}, "who is listed twice takes one place"),
        ({"attested_apart": False}, "attested people have places of their own"),
        ({"members_apart": False}, "a member's flood takes no place of others"),
        ({"controls_of_placed": False}, "nodes agree"),
        ({"seats_asked": False}, "the accounts of an expelled member count for nobody"),
    ],
    ids=str,
)
def test_without_one_of_the_rules_a_history_breaks(mutant: dict[str, Any], promise: str) -> None:
    rules = RULES._replace(**mutant)
    assert any(history(f"mutants/{n}", rules) == promise for n in range(2_000))
