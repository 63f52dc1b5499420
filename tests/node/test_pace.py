"""Strangers share a part of one core while own people work, and are served as fast as possible while they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import thread_time

import pytest
import trio
import trio.testing

from banyan_node.workers.pace import BUSY_S, CAUSE, DEEPEST_S, GROUPS, SAVED_S, Pace, Usage

SHARE = 0.3


def paced(named: Sequence[str] = ()) -> Pace:
    pace = Pace(SHARE, trio.current_time)
    pace.named = named
    return pace


async def at_work(pace: Pace) -> None:
    """Own people call the node all the time."""
    while True:
        pace.works()
        await trio.sleep(BUSY_S / 4)


async def flood(pace: Pace, usage: Usage, cost: float, passed: Counter[str], name: str = "") -> None:
    """A connection that always has something to read, which costs so many seconds."""
    while True:
        if pace.holds(usage):
            await pace.turn(usage)
        pace.counts(usage, cost)
        passed[name] += 1
        await trio.sleep(0.002)


async def test_strangers_use_their_share_and_no_more(autojump_clock: trio.testing.MockClock) -> None:
    pace, passed = paced(), Counter[str]()
    with trio.move_on_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(at_work, pace)
            for k in range(8):
                nursery.start_soon(flood, pace, pace.opened(f"10.{k}.0.1"), 0.01, passed)
    assert 0.9 * 20 * SHARE < pace.used <= 20 * SHARE + SAVED_S + DEEPEST_S


async def test_nobody_waits_while_own_people_do_nothing(autojump_clock: trio.testing.MockClock) -> None:
    pace, passed = paced(), Counter[str]()
    with trio.move_on_after(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(flood, pace, pace.opened("10.0.0.1"), 0.002, passed)
    assert passed[""] >= 900


async def test_those_that_wait_go_on_when_own_people_stop(autojump_clock: trio.testing.MockClock) -> None:
    pace = paced()
    usages = [pace.opened("10.0.0.1") for _ in range(20)]
    pace.counts(usages[0], 100.0)
    pace.works()
    began, over = trio.current_time(), Counter[bool]()

    async def wait(usage: Usage) -> None:
        assert pace.holds(usage)
        await pace.turn(usage)
        over[trio.current_time() - began < BUSY_S] += 1

    with trio.move_on_after(BUSY_S + 0.3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            for usage in usages:
                nursery.start_soon(wait, usage)
            await trio.sleep(0.1)
            assert pace.waiting == 20
    assert over == {False: 20}


async def test_one_dear_job_silences_nobody_for_long(autojump_clock: trio.testing.MockClock) -> None:
    pace = paced()
    usage = pace.opened("10.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pace.run)
        nursery.start_soon(at_work, pace)
        pace.counts(usage, 60.0)
        pace.works()
        began = trio.current_time()
        assert pace.holds(usage)
        await pace.turn(usage)
        assert trio.current_time() - began <= DEEPEST_S / SHARE + 0.2
        nursery.cancel_scope.cancel()


async def test_who_used_less_does_not_wait_for_what_others_owe(autojump_clock: trio.testing.MockClock) -> None:
    pace, passed = paced(), Counter[str]()
    waits = list[float]()

    async def modest() -> None:
        usage = pace.opened("10.2.0.1")
        while True:
            began = trio.current_time()
            if pace.holds(usage):
                await pace.turn(usage)
            waits.append(trio.current_time() - began)
            pace.counts(usage, 0.01)
            await trio.sleep(0.2)

    with trio.move_on_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(at_work, pace)
            for k in range(10):
                nursery.start_soon(flood, pace, pace.opened(f"10.1.0.{k}"), 0.5, passed)
            await trio.sleep(10)
            nursery.start_soon(modest)
    assert len(waits) > 200
    assert sum(wait > 0 for wait in waits) < len(waits) / 20


async def test_a_group_that_comes_back_is_not_new(autojump_clock: trio.testing.MockClock) -> None:
    pace = paced()
    usage = pace.opened("10.0.0.1")
    pace.counts(usage, 3.0)
    pace.works()
    assert pace.holds(usage)
    pace.closed(usage)
    assert pace.holds(pace.opened("10.0.0.2"))
    assert not pace.holds(pace.opened("10.1.0.1"))
    for k in range(GROUPS + 10):
        pace.closed(pace.opened(f"{20 + k // 256}.{k % 256}.0.1"))
    assert len(pace._groups) == GROUPS, "and what is remembered is bounded"


async def test_a_hundred_identities_of_one_network_are_no_more_than_one(autojump_clock: trio.testing.MockClock) -> None:
    pace, passed = paced(), Counter[str]()
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(at_work, pace)
            for k in range(100):
                nursery.start_soon(flood, pace, pace.opened(f"10.1.0.{k}"), 0.01, passed, "many")
            await trio.sleep(10)
            passed.clear()
            nursery.start_soon(flood, pace, pace.opened("10.2.0.1"), 0.01, passed, "one")
    assert passed["one"] > 0.8 * passed["many"]


async def test_a_newcomer_of_the_same_network_need_not_wait_until_others_stop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pace, passed = paced(), Counter[str]()
    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(at_work, pace)
            for k in range(9):
                nursery.start_soon(flood, pace, pace.opened("10.1.0.1"), 0.01, passed, str(k))
            await trio.sleep(10)
            passed.clear()
            nursery.start_soon(flood, pace, pace.opened("10.1.0.1"), 0.01, passed, "new")
    assert 0.8 < passed["new"] / passed["0"] < 1.3, "and it gets no more than each of them"


async def test_who_comes_back_under_a_new_name_has_saved_up_nothing(autojump_clock: trio.testing.MockClock) -> None:
    pace, passed = paced(), Counter[str]()

    async def returning() -> None:
        while True:
            usage = pace.opened("10.2.0.1")
            with trio.move_on_after(0.5):
                await flood(pace, usage, 0.01, passed, "returning")
            pace.closed(usage)

    with trio.move_on_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pace.run)
            nursery.start_soon(at_work, pace)
            nursery.start_soon(flood, pace, pace.opened("10.1.0.1"), 0.01, passed, "staying")
            nursery.start_soon(returning)
    assert passed["staying"] > 0.7 * passed["returning"]


async def test_named_peers_and_those_that_are_relied_on_never_wait_and_are_not_counted(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pace = paced(named=["platform"])
    platform, neighbour, stranger = (pace.opened("10.0.0.1") for _ in range(3))
    for usage, peer in ((platform, "platform"), (neighbour, "neighbour"), (stranger, "stranger")):
        pace.met(usage, peer)
    pace.relies("neighbour", True)
    pace.relies("platform", False)
    for peer in ("platform", "neighbour"):
        pace.spent(peer, "", 5.0)
    pace.counts(platform, 5.0)
    pace.works()
    assert not pace.holds(stranger)
    pace.spent("stranger", "", 5.0)
    assert [pace.holds(usage) for usage in (platform, neighbour, stranger)] == [False, False, True]
    assert pace.used == 5.0
    pace.relies("neighbour", False)
    assert pace.holds(neighbour)


async def test_a_connection_that_ends_while_it_waits_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    pace = paced()
    usage = pace.opened("10.0.0.1")
    pace.counts(usage, 9.0)
    pace.works()
    with trio.move_on_after(0.1):
        await pace.turn(usage)
    pace.closed(usage)
    assert pace.waiting == 0


async def test_what_tasks_do_for_a_connection_is_measured_and_nothing_else() -> None:
    pace = paced()
    usage = pace.opened("10.0.0.1")

    async def burn(seconds: float) -> None:
        for _ in range(10):
            until = thread_time() + seconds / 10
            while thread_time() < until:
                pass
            await trio.lowlevel.checkpoint()

    async def connection() -> None:
        CAUSE.set(usage)
        async with trio.open_nursery() as inner:
            inner.start_soon(burn, 0.02)
            inner.start_soon(burn, 0.03)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pace.run)
        await trio.testing.wait_all_tasks_blocked()
        async with trio.open_nursery() as work:
            work.start_soon(connection)
            work.start_soon(burn, 0.2)
        nursery.cancel_scope.cancel()
    assert usage.seconds == pytest.approx(0.05, rel=0.3)
    assert pace.used == usage.seconds


async def test_two_nodes_of_one_event_loop_share_a_meter_and_the_last_takes_it_away() -> None:
    one, two = paced(), paced()
    usage = two.opened("10.0.0.1")

    async def work() -> None:
        CAUSE.set(usage)
        await trio.lowlevel.checkpoint()
        until = thread_time() + 0.02
        while thread_time() < until:
            pass

    async with trio.open_nursery() as second:
        second.start_soon(two.run)
        async with trio.open_nursery() as first:
            first.start_soon(one.run)
            await trio.testing.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        async with trio.open_nursery() as busy:
            busy.start_soon(work)
        assert usage.seconds == pytest.approx(0.02, rel=0.5)
        second.cancel_scope.cancel()
    before = usage.seconds
    async with trio.open_nursery() as busy:
        busy.start_soon(work)
    assert usage.seconds == before
