"""The rows of docs/security.md on real homes, answered by commands that an owner can type: each thief and each act
once, and with BANYAN_THEFTS=all every pair."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from tests.thefts.homes import TEXTS, TIED, act, answer
from tests.thefts.rows import ACTIONS, Row, can
from tests.thefts.thieves import THIEVES

SETUPS = {"rotations", "notary"}
"""What commands of today make of an account before a theft. Its device is in its inception and signs checkpoints, so
rows without a checkpoint, of other witnesses or of a kept recovery key are acted in virtual time only."""


def rows() -> Iterator[Row]:
    for t in THIEVES:
        if set(t.setup) <= SETUPS and t.stronger:
            for a in ACTIONS:
                ties = a.name != "freeze by tie" or t.at is not None or t.name in TIED
                if can(t, a) and ties:
                    yield Row(t, a, checkpoint=t.checkpoint)


def _name(row: Row) -> str:
    return f"{row.key}: {row.action.name}"


def chosen() -> list[Row]:
    """Few rows with every thief, and every act that harms: first those that add both, rare acts before the others."""
    often = Counter(row.action.name for row in rows())
    ordered = sorted(rows(), key=lambda row: (row.unharmed, often[row.action.name]))
    taken: dict[str, Row] = {}
    covered: set[Hashable] = set()
    for least in (2, 1):
        for row in ordered:
            adds = {row.key, row.key if row.unharmed else row.action} - covered
            if len(adds) >= (1 if row.unharmed else least):
                covered |= adds
                taken[_name(row)] = row
    return list(taken.values())


ROWS = list(rows()) if os.environ.get("BANYAN_THEFTS") == "all" else chosen()


def test_the_choice_has_every_thief_and_every_act() -> None:
    every = list(rows())
    assert {row.key for row in chosen()} == {row.key for row in every}
    assert {row.action for row in chosen() if not row.unharmed} == {row.action for row in every}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.mark.parametrize("row", ROWS, ids=_name)
def test_what_a_thief_took_is_back_everywhere_by_commands(row: Row, bases: Path, tmp_path: Path) -> None:
    s, before = act(row, bases, tmp_path)
    if row.unharmed:
        assert before == [*TEXTS]
        return
    home = answer(s, row)
    s.carry(home, s.friend)
    s.carry(s.friend, home)
    for where in (home, s.friend, s.joins("later")):
        assert s.shown(where) == [*TEXTS], f"{where.name}; at once: {before}"
