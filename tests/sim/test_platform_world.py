"""Floods of accounts against full nodes under a charter, and orders among faults: docs/hosting.md, small."""

from __future__ import annotations

from banyan_sim.platform_world import run_member, run_order, run_strangers


def test_accounts_that_strangers_mint_are_held_only_where_they_name_somebody_and_take_no_place() -> None:
    found = run_strangers(1, seconds=20.0, rate=5.0, members=3, people=3)
    assert found.holds, found
    assert 0 < found.accounts < found.minted, found


def test_a_member_s_bots_lock_out_nobody_who_was_listed_before_and_the_others_come_after_the_drop() -> None:
    found = run_member(1, bots=60, people=9, quota=20)
    assert found.holds, found
    assert 0 < found.placed < found.placed + found.waiting, found


def test_an_order_given_among_faults_can_be_carried_out_by_all_platforms_soon() -> None:
    found = run_order(1, platforms=6)
    assert found.holds, found
