"""The rows of docs/security.md on real homes, answered by commands that an owner can type."""

from __future__ import annotations

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bases")


@pytest.mark.parametrize("row", list(rows()), ids=_name)
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
