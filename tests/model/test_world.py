"""Honest replicas that each get a part of an adversarial set end in the state of the union of the parts.

Half of the sets are examined here, half in test_world_too.py, because pytest gives each file to one worker.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from tests.model.spec import state
from tests.model.world import examine
from tests.model.world_many import CI_CHUNKS, ci_chunk, work
from tests.model.world_sets import THEMES, world_set


@pytest.mark.parametrize("chunk", range(0, CI_CHUNKS, 2))
def test_replicas_that_each_were_given_a_part_end_in_the_state_of_the_union(chunk: int) -> None:
    assert not ci_chunk(chunk)


def test_a_seed_gives_the_same_set_and_the_same_run() -> None:
    one, two = (world_set(random.Random("same")) for _ in range(2))
    assert one.real == two.real
    assert examine("same/1") == examine("same/1")


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_makes_sets_whose_logs_count(theme: str) -> None:
    lengths = Counter[bool]()
    for n in range(12):
        s = world_set(random.Random(f"theme/{n}"), theme)
        heads = [h for a in s.accounts for name, h in state(s.symbolic, a, s.limits).heads.items() if name[1]]
        lengths[any(h.length for h in heads)] += 1
    assert lengths[True] > 3, f"theme {theme}: {dict(lengths)}"


def test_sets_that_were_interrupted_go_on_where_they_were(tmp_path: Path) -> None:
    kept = tmp_path / "night.json"
    work("pieces", 3, 1, kept=kept)
    assert work("pieces", 6, 1, kept=kept) == work("pieces", 6, 1)
    assert json.loads(kept.read_text())["sets"] == 6


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [({"seed": "other"}, "has sets of seed 'other', not 'pieces'"), ({"code": "0"}, "code"), ({"sets": None}, "")],
)
def test_pieces_of_another_run_or_of_other_code_are_not_added(
    tmp_path: Path, changed: dict[str, str], sentence: str
) -> None:
    kept = tmp_path / "night.json"
    work("pieces", 0, 1, kept=kept)
    report = json.loads(kept.read_text()) | changed
    kept.write_text(json.dumps({k: v for k, v in report.items() if v is not None}))
    with pytest.raises(SystemExit, match=sentence or "is no report of sets"):
        work("pieces", 10, 1, kept=kept)
