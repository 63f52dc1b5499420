"""Members of an alliance vote under faults, and some cheat: the promises of docs/charter.md, on whole replicas."""

from __future__ import annotations

import pytest

from banyan_sim.charter_world import run_alliance
from tests.needs import NIGHT

SEEDS = range(1, 41) if NIGHT else (1,)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("way", "members", "cheats"), [("honest", 9, 0), ("coalition", 9, 2), ("expelled", 10, 3)])
def test_less_than_a_third_makes_no_fork_and_stops_nobody(way: str, members: int, cheats: int, seed: int) -> None:
    found = run_alliance(way, seed, members, cheats, 14)
    assert found.holds, found
    assert found == run_alliance(way, seed, members, cheats, 14) or not NIGHT


@pytest.mark.parametrize("seed", SEEDS)
def test_just_under_two_thirds_adopt_nothing_alone_and_all_agree_in_the_end(seed: int) -> None:
    found = run_alliance("coalition", seed, 9, 5, 14)
    assert found.agreed, found
    assert not found.alone, found


def test_who_has_more_than_two_thirds_is_seen_to_decide_alone() -> None:
    assert run_alliance("coalition", 1, 9, 7, 14).alone
