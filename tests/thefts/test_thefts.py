"""Every theft of docs/security.md, acted out again."""

from __future__ import annotations

import pytest

from tests.thefts.page import PAGE, Done, Sequences, act_all, failed, filled, tables
from tests.thefts.thieves import THIEVES


@pytest.fixture(scope="module")
def acted() -> tuple[Done, Done, Sequences]:
    return act_all()


def test_with_one_stronger_key_left_all_comes_back_everywhere_within_30_days(
    acted: tuple[Done, Done, Sequences],
) -> None:
    assert failed(*acted) == []


def test_the_page_says_what_was_acted(acted: tuple[Done, Done, Sequences]) -> None:
    page = PAGE.read_text("utf-8")
    assert page == filled(page, tables(*acted)), "run `uv run python -m tests.thefts --write`"


def test_a_theft_is_a_theft(acted: tuple[Done, Done, Sequences]) -> None:
    """The rows would prove nothing if the thief did nothing: each strong key takes something somewhere."""
    at_once, _, _ = acted
    harmless = {row.key for row, _ in at_once} - {row.key for row, r in at_once if not all(x.well for x in r.before)}
    assert harmless == {
        "notary",
        "old root, never a next key",
        "old root, once the next key; the owner has recovered since",
        "old recovery key, never a next key",
        *(f"{t.name} (with a checkpoint)" for t in THIEVES if t.checkpoint),
        "old root, once the next key; the one witness was cut off since",
    }


def test_what_the_owner_has_no_stronger_key_for_is_not_asserted_and_says_why(
    acted: tuple[Done, Done, Sequences],
) -> None:
    at_once, _, sequences = acted
    assert all(row.thief.why for row, _ in at_once if not row.required)
    assert all(s.why for s, _ in sequences if not s.required)


def test_with_a_checkpoint_rotated_out_keys_neither_freeze_nor_rewrite_at_any_node(
    acted: tuple[Done, Done, Sequences],
) -> None:
    twins = [(row, r) for row, r in acted[0] if row.unharmed]
    assert {row.thief.name for row, _ in twins} == {t.name for t in THIEVES if t.checkpoint}
    for row, r in twins:
        assert r.unharmed, f"{row.key}: {row.action.name}"
