"""How much is under way to a peer: what its line carries in a few seconds."""

from __future__ import annotations

from banyan_replica.peers.flow import FIRST_ROOM, LEAST_ROOM, ROOM_S, WINDOW, Flow


def carried(flow: Flow, rate: int, seconds: float, now: float = 0.0) -> float:
    """Sends whatever there is room for, over a line of `rate` bytes a second, whose end gives credit ten times a
    second. Returns the longest time that a byte was under way in the second half."""
    end, longest, begin = now + seconds, 0.0, now
    while now < end:
        while not flow.full():
            flow.sent(16 << 10)
        now += 0.1
        if now - begin > seconds / 2:
            longest = max(longest, flow.transit / rate)
        flow.granted(min(rate // 10, flow.transit), now)
    return longest


def test_a_question_stands_behind_a_few_seconds_of_bulk_whatever_the_line_carries() -> None:
    for rate in (16 << 10, 50_000, 200_000, 800_000):
        assert carried(Flow(), rate, 120) <= 1.2 * ROOM_S + (LEAST_ROOM + (16 << 10)) / rate, rate


def test_a_fast_line_has_the_whole_window_under_way_within_a_few_credits() -> None:
    flow = Flow()
    credits = 0
    while flow.room < WINDOW:
        while not flow.full():
            flow.sent(64 << 10)
        credits += 1
        flow.granted(flow.transit, credits / 50)
    assert credits <= 4
    while not flow.full():
        flow.sent(64 << 10)
    assert flow.transit == WINDOW


def test_a_slow_line_that_becomes_fast_and_slow_again_is_followed() -> None:
    flow = Flow()
    carried(flow, 20_000, 60)
    assert flow.room < LEAST_ROOM + 100_000
    carried(flow, 1_000_000, 10, 100.0)
    assert flow.room > 2_000_000
    carried(flow, 20_000, 400, 200.0)
    assert flow.room < LEAST_ROOM + 100_000


def test_a_pause_between_two_questions_is_no_slowness() -> None:
    flow = Flow()
    for n in range(10):
        flow.sent(10_000)
        flow.granted(10_000, 60.0 * n)
    assert flow.room >= FIRST_ROOM


def test_credit_for_what_was_not_sent_counts_for_nothing() -> None:
    flow = Flow()
    flow.sent(1_000)
    flow.granted(1 << 62, 1.0)
    assert flow.may_send == WINDOW
    assert flow.room <= FIRST_ROOM
