"""Every theft of docs/security.md, acted out again."""

from __future__ import annotations

import pytest

from tests.thefts import rows
from tests.thefts.page import PAGE, Done, Sequences, act_all, failed, filled, tables
from tests.thefts.scene import Scene


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
    harmless = {row.key for row, _ in at_once} - {
        row.key for row, r in at_once if not all(x.whole and x.hers and not x.flag for x in r.before)
    }
    assert harmless == {
        "notary",
        "old root, never a next key",
        "old root, once the next key; the owner has recovered since",
        "old recovery key, never a next key",
    }


def test_what_the_owner_has_no_stronger_key_for_is_not_asserted_and_says_why(
    acted: tuple[Done, Done, Sequences],
) -> None:
    at_once, _, sequences = acted
    assert all(row.thief.why for row, _ in at_once if not row.thief.stronger)
    assert all(s.why for s, _ in sequences if not s.required)


@pytest.mark.skipif(rows.CHECKPOINTS, reason="the product has checkpoints")
def test_the_rows_with_a_checkpoint_are_still_to_be_filled() -> None:
    with pytest.raises(NotImplementedError):
        Scene(checkpoint=True)
