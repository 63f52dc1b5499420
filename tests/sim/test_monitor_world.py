"""Monitors find members that withhold silently, and nobody else: the figures of docs/transparency.md, on one seed."""

from __future__ import annotations

from banyan_sim.monitor_world import Watch, run_watch

SMALL = Watch(members=12, silent=1, rate=10.0, posts=2_000, withheld=100, orders=80)


def test_monitors_find_a_silent_member_and_no_honest_one_whose_log_is_late() -> None:
    found = run_watch(SMALL, 1)
    assert found.seconds is not None
    none = run_watch(SMALL._replace(silent=0), 1, 3_600.0)
    assert none.seconds is None
    assert none.again, "no log was late"
    assert not found.wronged + none.wronged


def test_who_is_known_as_a_monitor_finds_nobody_and_who_has_few_addresses_finds_fewer() -> None:
    assert run_watch(SMALL._replace(unknown=0.0), 1, 3_600.0).seconds is None
    few = SMALL._replace(burnt=1, addresses=20)
    found = [run_watch(few, seed, 3_600.0).seconds for seed in range(1, 7)]
    assert 0 < sum(one is None for one in found) < len(found)
