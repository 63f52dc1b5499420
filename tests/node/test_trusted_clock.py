"""A clock that is wrong for one look forgets nothing that has a term of 30 days."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan_crdt.ids import account_from_text
from banyan_node.api import LocalBackend
from banyan_node.local import open_local
from banyan_node.upkeep import maintenance, trusted_clock
from banyan_node.upkeep.trusted_clock import DAY_MS, Moment, doubt
from tests.node.real import load_settings, make_home

DAY = maintenance.DAY_S


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalBackend]:
    home = make_home(tmp_path / "home")
    with open_local(home, load_settings(home)) as opened:
        yield opened


def _forgotten(node: LocalBackend, now: float) -> int:
    return sum(maintenance.forget(do, node.context, now).number for do in maintenance.FORGETTING)


def test_a_clock_a_month_ahead_for_one_look_forgets_neither_what_was_closed_nor_what_was_deleted(
    node: LocalBackend,
) -> None:
    node.call("account.create", name="an", hosted=False)
    lan = node.call("account.create", name="lan", hosted=True)["account"]
    gone = node.call("post", text="một")["uri"]
    node.call("delete", uri=gone)
    node.call("post", text="hai", by=lan)
    now, c = time.time(), node.context
    assert _forgotten(node, now) == 0
    node.call("account.close", account=lan)
    for log in c.store.loose_logs(account_from_text(lan)):
        c.store.put_note(b"own:" + log.account + log.writer + log.log.to_bytes(4, "big"), None)  # another's, here
    ahead = now + 62 * DAY
    assert _forgotten(node, ahead) == 0
    c.store.commit()
    assert (doubted := node.call("status")["clock"]["doubted"]) is not None
    assert "jumped by 62.0 days ahead" in doubted
    assert _forgotten(node, ahead + 60) == 0
    assert _forgotten(node, now + 120) == 0, "it is back, and a day has to pass"
    trusted_clock.trust(c, trusted_clock.moment(int(ahead * 1000)))
    assert _forgotten(node, ahead) > 0, "the operator said that a month has passed"


def _look(node: LocalBackend, wall_h: float, up_h: float, boot: str = "a") -> bool:
    """Whether the clock is doubted."""
    at = Moment(DAY_MS * 20_000 + int(wall_h * 3_600_000), int(up_h * 3_600_000), boot)
    return doubt(node.context, at) is not None


def test_after_a_jump_two_looks_a_day_apart_have_to_agree(node: LocalBackend) -> None:
    assert not _look(node, 0, 0)
    assert not _look(node, 2, 2)
    assert _look(node, 2 + 31 * 24, 2.1), "31 days ahead"
    assert _look(node, 20 + 31 * 24, 20.1)
    assert _look(node, 3, 20.2), "and back: that is a jump too"
    assert _look(node, 26, 43.2)
    assert not _look(node, 27.1, 44.3), "a day later it went on as it should"
    assert not _look(node, 40, 57)


def test_over_a_restart_of_the_machine_a_gap_of_more_than_a_day_is_a_jump_and_the_next_day_settles_it(
    node: LocalBackend,
) -> None:
    assert not _look(node, 0, 100)
    assert not _look(node, 9, 0, "b"), "a night"
    assert _look(node, 9 + 80, 0, "c"), "a long weekend, or a wrong clock"
    assert _look(node, 9 + 80 + 14, 0, "d")
    assert not _look(node, 9 + 80 + 30, 0, "e")


def test_named_platforms_decide_whatever_the_clock_did(node: LocalBackend) -> None:
    witnesses = node.context.replica.witnesses
    assert not _look(node, 0, 0)
    witnesses._ahead.clear()
    assert _look(node, 40 * 24, 1)
    platform = node.context.device.key
    witnesses._ahead[platform] = 31 * DAY_MS
    assert _look(node, 41.5 * 24, 37), "they call it wrong, though a day has passed"
    witnesses._ahead[platform] = 90_000
    assert not _look(node, 42 * 24, 49), "they confirm it"
