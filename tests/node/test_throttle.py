"""Strangers share a part of one core while own people work, and are served as fast as possible while they do not."""

from __future__ import annotations

import gc
import itertools
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from time import thread_time
from typing import Any

import pytest
import trio
import trio.testing

from banyan_crdt.ids import AccountId
from banyan_crdt.realm import MAIN
from banyan_node.admission.fair_queue import JobOwner
from banyan_node.admission.throttle import AHEAD_OF_ALL_S, AHEAD_S, BUSY_S, GONE_S, GROUPS, Throttle
from banyan_node.admission.usage import (
    ALLOWANCE_S,
    CAUSE,
    DEEPEST_S,
    JUDGING,
    LEAST,
    OWN,
    READING,
    SAVED_S,
    Stage,
    Usage,
)
from banyan_node.context import Context
from banyan_node.edge import Edge, Link, open_edge
from banyan_node.edge.dial import host_of
from banyan_node.links.queues import LinkReceiver
from banyan_node.node import Node
from banyan_node.workers.frame_preparer import AHEAD_BYTES, SLICE
from banyan_node.workers.process_memory import GC_ENDED
from banyan_node.workers.worker import Worker
from banyan_replica.gossip.address_groups import group_of
from banyan_replica.gossip.frames import Push, PushFrame, encode_frame
from banyan_replica.intake.prepare import PreparedFrame
from banyan_replica.peers.backlog import Lane
from banyan_replica.wire.message_table import encode_message
from banyan_replica.wire.messages import VERSION, DataItems, GossipFrame, Hello, Message, Replay, RunItem
from tests.node.real import make_home, make_node, running
from tests.node.test_edge import config

SHARE = 0.3
PUSHES = tuple(Push(bytes([n]) * 16, 1, bytes(SLICE - 90)) for n in range(50))
DATA = DataItems([RunItem(bytes([n]) * (SLICE - 90), []) for n in range(50)])


def throttled(named: Sequence[str] = ()) -> Throttle:
    throttle = Throttle(SHARE, trio.current_time)
    throttle.spare(named)
    return throttle


async def at_work(throttle: Throttle) -> None:
    """Own people call the node all the time."""
    while True:
        throttle.works()
        await trio.sleep(BUSY_S / 4)


@asynccontextmanager
async def busy(throttle: Throttle, seconds: float) -> AsyncIterator[trio.Nursery]:
    """So long own people work and strangers are throttled, with what its body starts."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(throttle.run)
            nursery.start_soon(at_work, throttle)
            yield nursery


async def flood(throttle: Throttle, usage: Usage, cost: float, passed: Counter[str], name: str = "") -> None:
    """A connection that always has something to read, which costs so many seconds."""
    while True:
        if throttle.holds(usage):
            await throttle.turn(usage)
        throttle.counts(usage, cost)
        passed[name] += 1
        await trio.sleep(0.002)


async def modest(throttle: Throttle, waits: list[float], cost: float) -> None:
    """A connection that has something to read five times a second, which costs so many seconds. waits: how long each
    waited."""
    usage = throttle.opened("10.2.0.1")
    while True:
        began = trio.current_time()
        if throttle.holds(usage):
            await throttle.turn(usage)
        waits.append(trio.current_time() - began)
        throttle.counts(usage, cost)
        await trio.sleep(0.2)


async def test_strangers_use_their_share_and_no_more(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 20) as nursery:
        for k in range(8):
            nursery.start_soon(flood, throttle, throttle.opened(f"10.{k}.0.1"), 0.01, passed)
    assert 0.9 * 20 * SHARE < throttle.used <= 20 * SHARE + SAVED_S + DEEPEST_S


async def test_nobody_waits_while_own_people_do_nothing(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    with trio.move_on_after(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(throttle.run)
            nursery.start_soon(flood, throttle, throttle.opened("10.0.0.1"), 0.002, passed)
    assert passed[""] >= 900
    assert throttle.used == 0.0


async def test_those_that_wait_go_on_when_own_people_stop(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usages = [throttle.opened("10.0.0.1") for _ in range(20)]
    throttle.works()
    throttle.counts(usages[0], 100.0)
    began, over = trio.current_time(), Counter[bool]()

    async def wait(usage: Usage) -> None:
        assert throttle.holds(usage)
        await throttle.turn(usage)
        over[trio.current_time() - began < BUSY_S] += 1

    with trio.move_on_after(BUSY_S + 0.3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(throttle.run)
            for usage in usages:
                nursery.start_soon(wait, usage)
            await trio.sleep(0.1)
            assert throttle.waiting == 20
    assert over == {False: 20}
    assert [(one.gate, one.whom, one.times) for one in throttle.tally.most()] == [("read", "local:10.0.0.0/16", 20)]


async def test_own_people_may_stop_at_any_moment(autojump_clock: trio.testing.MockClock) -> None:
    clock = itertools.count()  # moves with every look at it

    throttle = Throttle(SHARE, lambda: next(clock) * 0.7 * BUSY_S)
    with trio.move_on_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(throttle.run)
            while True:
                throttle.works()
                await trio.sleep(0.1)


async def test_one_dear_job_silences_nobody_for_long(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(throttle.run)
        nursery.start_soon(at_work, throttle)
        throttle.works()
        throttle.counts(usage, 60.0)
        began = trio.current_time()
        assert throttle.holds(usage)
        await throttle.turn(usage)
        assert trio.current_time() - began <= DEEPEST_S / SHARE + 0.2
        nursery.cancel_scope.cancel()


async def test_who_used_less_does_not_wait_for_what_others_owe(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    waits = list[float]()

    async with busy(throttle, 60) as nursery:
        for k in range(10):
            nursery.start_soon(flood, throttle, throttle.opened(f"10.1.0.{k}"), 0.05, passed)
        await trio.sleep(10)
        nursery.start_soon(modest, throttle, waits, 0.01)
    assert len(waits) > 200
    assert sum(wait > 0 for wait in waits) < len(waits) / 20


async def test_hundreds_of_networks_get_no_more_than_one(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 20) as nursery:
        throttle.works()
        for k in range(250):
            nursery.start_soon(flood, throttle, throttle.opened(f"{10 + k}.0.0.1"), 0.01, passed)
    assert throttle.used <= 20 * (SHARE + LEAST) + SAVED_S + DEEPEST_S + AHEAD_OF_ALL_S


async def test_who_used_little_hardly_waits_though_the_others_always_owe_all_that_they_can(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle, passed, waits = throttled(), Counter[str](), list[float]()

    async with busy(throttle, 60) as nursery:
        for _ in range(3):
            nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), DEEPEST_S, passed)
        await trio.sleep(10)
        nursery.start_soon(modest, throttle, waits, 0.005)
    assert len(waits) > 200
    assert max(waits) < 0.3


async def test_networks_that_used_little_share_little_while_others_owe_much(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 60) as nursery:
        throttle.works()
        owes = throttle.opened("10.0.0.1")
        throttle.counts(owes, 60.0)
        throttle._served = 60.0
        nursery.start_soon(keep_owing, throttle)
        for n in range(250):
            nursery.start_soon(flood, throttle, throttle.opened(f"11.{n}.0.1"), 0.01, passed)
    assert passed.total() * 0.01 == pytest.approx(60 * LEAST, rel=0.2)


async def test_a_group_that_comes_back_is_not_new(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")
    throttle.works()
    throttle.counts(usage, AHEAD_OF_ALL_S - 0.1)
    assert throttle.holds(usage)
    throttle.closed(usage)
    assert throttle.holds(throttle.opened("10.0.0.2"))
    assert not throttle.holds(throttle.opened("10.1.0.1"))
    for k in range(GROUPS + 10):
        throttle.closed(throttle.opened(f"{20 + k // 256}.{k % 256}.0.1"))
    assert len(throttle._groups) == GROUPS, "and what is remembered is bounded"


async def test_strangers_save_up_next_to_nothing(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    await trio.sleep(1_000)
    async with busy(throttle, 1) as nursery:
        for k in range(3):
            nursery.start_soon(flood, throttle, throttle.opened(f"10.{k}.0.1"), 0.01, passed)
    assert throttle.used <= SHARE + SAVED_S + 3 * (AHEAD_S + 0.02)


async def test_a_network_that_was_away_gets_no_more_than_a_new_one(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    away = throttle.opened("10.2.0.1")
    async with busy(throttle, 101) as nursery:
        nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), 0.01, passed, "there")
        await trio.sleep(100)
        passed.clear()
        nursery.start_soon(flood, throttle, away, 0.01, passed, "back")
    assert passed["back"] <= (AHEAD_S + SHARE + 0.05) / 0.01


async def test_a_hundred_identities_of_one_network_are_no_more_than_one(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 30) as nursery:
        for k in range(100):
            nursery.start_soon(flood, throttle, throttle.opened(f"10.1.0.{k}"), 0.01, passed, "many")
        await trio.sleep(10)
        passed.clear()
        nursery.start_soon(flood, throttle, throttle.opened("10.2.0.1"), 0.01, passed, "one")
    assert passed["one"] > 0.8 * passed["many"]


async def test_a_newcomer_of_the_same_network_need_not_wait_until_others_stop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 30) as nursery:
        for k in range(9):
            nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), 0.01, passed, str(k))
        await trio.sleep(10)
        passed.clear()
        nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), 0.01, passed, "new")
    assert 0.8 < passed["new"] / passed["0"] < 1.3, "and it gets no more than each of them"


async def test_who_comes_back_under_a_new_name_has_saved_up_nothing(autojump_clock: trio.testing.MockClock) -> None:
    throttle, passed = throttled(), Counter[str]()

    async def returning() -> None:
        while True:
            usage = throttle.opened("10.2.0.1")
            with trio.move_on_after(0.5):
                await flood(throttle, usage, 0.01, passed, "returning")
            throttle.closed(usage)

    async with busy(throttle, 30) as nursery:
        nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), 0.01, passed, "staying")
        nursery.start_soon(returning)
    assert passed["staying"] > 0.7 * passed["returning"]


@pytest.mark.parametrize("others", ["", "strangers", "all"])
@pytest.mark.parametrize("step", ["accepting", "handshakes"])
async def test_each_step_of_arriving_gets_what_strangers_leave_and_at_least_a_share_of_its_own(
    autojump_clock: trio.testing.MockClock, step: str, others: str
) -> None:
    throttle, passed = throttled(), Counter[str]()

    async def accept() -> None:
        while True:
            await throttle.handshakes.accepts()
            throttle.counts(throttle.accepting, 0.005)
            await trio.sleep(0.001)

    async def begin() -> None:
        while True:
            usage = throttle.opened("10.2.0.1", arriving=True)
            await throttle.handshakes.begins(usage)
            throttle.counts(usage, 0.005)
            await trio.sleep(0.001)
            throttle.closed(usage)

    async with busy(throttle, 20) as nursery:
        if others:
            nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), 0.01, passed)
        for name, play in (("accepting", accept), ("handshakes", begin)):
            if name == step or others == "all":
                nursery.start_soon(play)
    used = {"accepting": throttle.handshakes.knocked, "handshakes": throttle.handshakes.arrived}
    share = LEAST if others else SHARE + LEAST
    assert 0.8 * 20 * share < used[step] < 1.2 * 20 * share + SAVED_S
    assert not others or throttle.used > 0.9 * 20 * SHARE


async def test_after_a_burst_of_handshakes_the_next_one_begins_soon(autojump_clock: trio.testing.MockClock) -> None:
    throttle = Throttle(0.05, trio.current_time)
    async with busy(throttle, 60) as nursery:
        throttle.works()
        nursery.start_soon(flood, throttle, throttle.opened("10.1.0.1"), DEEPEST_S, Counter[str]())
        owes = throttle.opened("10.1.0.1", arriving=True)
        owes.stage = Stage.BEGUN
        throttle.counts(owes, 60.0)
        began = trio.current_time()
        await throttle.handshakes.begins(throttle.opened("10.2.0.1", arriving=True))
        assert trio.current_time() - began < 2.2
        nursery.cancel_scope.cancel()


async def test_who_arrives_does_not_wait_and_is_a_stranger_once_it_has_proved_who_it_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle = throttled()
    throttle.works()
    throttle.counts(throttle.opened("10.1.0.1"), 60.0)
    usage = throttle.opened("10.1.0.1", arriving=True)
    assert not throttle.holds(usage)
    throttle.counts(usage, 1.0)
    assert (throttle.handshakes.knocked, throttle.handshakes.arrived) == (1.0, 0.0)
    usage.stage = Stage.BEGUN
    throttle.counts(usage, 2.0)
    assert (usage.seconds, throttle.handshakes.knocked, throttle.handshakes.arrived, throttle.used) == (
        0.0,
        1.0,
        2.0,
        60.0,
    )
    throttle.met(usage, "somebody")
    assert throttle.holds(usage)


async def test_named_peers_never_wait_and_are_not_counted(autojump_clock: trio.testing.MockClock) -> None:
    throttle, named = throttled(), set[str]()
    throttle.spare(named)
    platform, stranger = (throttle.opened("10.0.0.1") for _ in range(2))
    for usage, peer in ((platform, "platform"), (stranger, "stranger")):
        throttle.met(usage, peer)
    named.add("platform")
    assert throttle.relies("platform", False)
    throttle.works()
    throttle.spent("platform", "", 5.0)
    throttle.counts(platform, 5.0)
    assert not throttle.holds(stranger)
    throttle.spent("stranger", "", 5.0)
    assert [throttle.holds(usage) for usage in (platform, stranger)] == [False, True]
    assert throttle.used == 5.0
    named.clear()
    assert throttle.holds(platform)


async def test_a_peer_that_is_relied_on_has_an_allowance_and_is_a_stranger_beyond_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle = throttled()
    neighbour, stranger = throttle.opened("10.0.0.1"), throttle.opened("10.0.0.1")
    throttle.met(neighbour, "neighbour")
    throttle.met(stranger, "stranger")
    assert not throttle.relies("neighbour", True), "it begins with nothing, so coming back buys nothing"
    await trio.sleep(10.0)
    throttle.works()
    throttle.counts(stranger, 60.0)
    assert (throttle.holds(stranger), throttle.holds(neighbour)) == (True, False)
    judging, own, reading = (min(ALLOWANCE_S, 10.0 * SHARE * part) for part in (JUDGING, OWN, READING))
    throttle.spent("neighbour", "", judging / 2)
    assert throttle.relies("neighbour", True)
    throttle.spent("neighbour", "", judging)
    assert not throttle.relies("neighbour", True)
    assert [throttle.allows("neighbour", own) for own in (True, False)] == [True, False]
    throttle.spent("neighbour", "", 1.2 * own, own=True)
    assert not throttle.allows("neighbour", True)
    assert not throttle.holds(neighbour), "it is still read from, so that it can say that it has room"
    throttle.counts(neighbour, 1.5 * reading)
    assert throttle.used == 60.0
    assert throttle.holds(neighbour)
    throttle.counts(neighbour, 1.0)
    throttle.spent("neighbour", "", 1.0)
    assert throttle.used == 62.0
    await trio.sleep(1.1 * reading / 2 / (SHARE * READING))
    throttle.works()
    assert not throttle.holds(neighbour)
    assert throttle.allows("neighbour", True)
    throttle.relies("neighbour", False)
    assert throttle.holds(neighbour)
    assert not throttle.allows("neighbour", True)
    assert throttle.allows("", False), "the node's own events"


async def test_a_peer_that_is_relied_on_saves_up_no_more_than_a_second(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")
    throttle.met(usage, "neighbour")
    throttle.relies("neighbour", True)
    await trio.sleep(3600.0)
    throttle.works()
    throttle.spent("neighbour", "", ALLOWANCE_S)
    assert not throttle.relies("neighbour", True)


async def test_each_peer_that_is_relied_on_has_its_part_beside_what_strangers_share(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle, passed = throttled(), Counter[str]()
    async with busy(throttle, 60.0) as nursery:
        for n, name in enumerate(["stranger", *(f"neighbour {n}" for n in range(4))]):
            usage = throttle.opened(f"10.{n}.0.1")
            throttle.met(usage, name)
            if n:
                throttle.relies(name, True)
            nursery.start_soon(flood, throttle, usage, 0.01, passed, name)
    assert 0.01 * passed.total() / 60.0 == pytest.approx((1 + 4 * READING) * SHARE, rel=0.05)
    assert 0.01 * passed["stranger"] / 60.0 == pytest.approx(SHARE / 5, rel=0.3)


async def test_a_connection_that_ends_while_it_waits_leaves_nothing(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")
    throttle.works()
    throttle.counts(usage, 9.0)
    with trio.move_on_after(0.1):
        await throttle.turn(usage)
    throttle.closed(usage)
    assert throttle.waiting == 0


async def test_what_tasks_do_for_a_connection_is_measured_and_nothing_else() -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")

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
        nursery.start_soon(throttle.run)
        async with trio.open_nursery() as work:
            work.start_soon(connection)
        assert usage.seconds == 0, "while own people do nothing it need not be"
        async with trio.open_nursery() as people:  # they work for as long as a loaded machine takes for this
            people.start_soon(at_work, throttle)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as work:
                work.start_soon(connection)
                work.start_soon(burn, 0.2)
            assert usage.seconds == pytest.approx(0.05, rel=0.3)
            assert throttle.used == usage.seconds
            people.cancel_scope.cancel()
        await trio.sleep(1.2 * BUSY_S)
        before = usage.seconds
        async with trio.open_nursery() as work:
            work.start_soon(connection)
        assert usage.seconds == before
        nursery.cancel_scope.cancel()


async def test_two_nodes_of_one_event_loop_share_a_meter_and_the_last_takes_it_away() -> None:
    one, two = throttled(), throttled()
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
            one.works()
            two.works()
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


async def test_what_is_left_of_connections_that_ended_is_looked_for_among_old_objects_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, throttle = list[tuple[int, ...]](), throttled()
    monkeypatch.setattr(gc, "collect", lambda *generation: runs.append(generation))
    for n in range(1, 2 * GC_ENDED + 1):
        throttle.closed(throttle.opened("10.0.0.1"))
        assert len(runs) == n // GC_ENDED
    assert runs == [(), ()], "all generations"


# -- real links

FRAME, FRAMES = 30_000, 100


async def _flooded(a: Edge, b: Edge, held: Throttle) -> tuple[Link, list[bytes], trio.Event]:
    """b's people work, and its strangers owe a minute. a sends frames. Returns b's link, what came, and how b's people
    can stop."""
    there = await a.dial(b.addresses[0])
    here = await b.incoming.receive()
    got, rest = list[bytes](), trio.Event()

    async def work() -> None:
        while not rest.is_set():
            held.works()
            await trio.sleep(BUSY_S / 10)

    async def send() -> None:
        await there.send([k.to_bytes(2, "big") * (FRAME // 2) for k in range(FRAMES)])

    async def receive() -> None:
        while len(got) < FRAMES:
            got.append(await here.receive())

    assert a._nursery is not None
    assert here.usage is not None
    held.works()
    held.counts(here.usage, 60.0)
    for task in (work, send, receive):
        a._nursery.start_soon(task)
    return here, got, rest


async def test_a_stranger_is_not_read_from_until_own_people_rest_and_nothing_is_lost() -> None:
    held = Throttle(0.001)
    async with open_edge(config(1)) as a, open_edge(config(2), held) as b:
        here, got, rest = await _flooded(a, b, held)
        with trio.fail_after(60):
            while not held.waiting:
                await trio.sleep(0.01)
            await trio.sleep(1.0)
            assert len(got) < FRAMES
            assert held.waiting == 1
            assert here.closed is None
            rest.set()
            while len(got) < FRAMES:
                await trio.sleep(0.01)
        assert [frame[:2] for frame in got] == [k.to_bytes(2, "big") for k in range(FRAMES)]
        assert not held.waiting


async def test_tiny_frames_that_were_read_wait_for_their_turn_too() -> None:
    """A read of the socket brings ten thousand: to hand them on costs far more than to read them."""
    held, count, got = Throttle(0.001), 20_000, list[bytes]()
    async with open_edge(config(1)) as a, open_edge(config(2), held) as b, trio.open_nursery() as nursery:
        there = await a.dial(b.addresses[0])
        here = await b.incoming.receive()
        assert here.usage is not None

        async def receive() -> None:
            while len(got) < count:
                got.append(await here.receive())

        await there.send([b"tiny"] * count)
        with trio.fail_after(60):
            while here.waiting < 4 * count:
                await trio.sleep(0.01)
            held.works()
            held.counts(here.usage, 60.0)
            nursery.start_soon(receive)
            while not held.waiting:
                await trio.sleep(0.01)
            assert len(got) < 1_000
            while len(got) < count:  # own people rest
                await trio.sleep(0.01)
        assert here.closed is None


async def test_a_named_peer_is_read_from_whatever_strangers_owe() -> None:
    held = Throttle(0.001)
    async with open_edge(config(1)) as a, open_edge(config(2, named=(a.peer_id,)), held) as b:
        used = held.opened(host_of("/ip4/127.0.0.1/tcp/1"))
        held.works()
        held.counts(used, 60.0)
        _, got, rest = await _flooded(a, b, held)
        before = held.used
        with trio.fail_after(60):
            while len(got) < FRAMES:
                await trio.sleep(0.01)
        assert held.used == before
        rest.set()


async def test_what_a_link_uses_is_measured_to_its_end_and_forgotten_then() -> None:
    throttle = Throttle(0.001)
    async with open_edge(config(1)) as a, open_edge(config(2), throttle) as b:
        here, got, rest = await _flooded(a, b, throttle)
        rest.set()
        with trio.fail_after(60):
            while len(got) < FRAMES:
                await trio.sleep(0.01)
        assert throttle.used > 60.0
        assert throttle._peers.keys() == {a.peer_id}
        here.close("enough")
        await here.wait_closed()
        with trio.fail_after(60):
            while throttle._peers:
                await trio.sleep(0.01)
        assert [group.connections for group in throttle._groups.values()] == [0]


async def test_of_those_that_arrive_the_group_of_which_fewest_wait_begins_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    throttle, begun = throttled(), list[str]()

    async def begin(name: str, host: str) -> None:
        await throttle.handshakes.begins(throttle.opened(host, arriving=True))
        begun.append(name)

    async with busy(throttle, 60) as nursery:
        throttle.works()
        owes = throttle.opened("10.9.0.1", arriving=True)
        owes.stage = Stage.BEGUN
        throttle.counts(owes, 60.0)
        for n in range(5):
            nursery.start_soon(begin, f"flood {n}", "10.1.0.1")
        await trio.sleep(0.01)
        with trio.move_on_after(0.01):
            await begin("gone", "10.3.0.1")
        nursery.start_soon(begin, "newcomer", "10.2.0.1")
    assert begun[0] == "newcomer"
    assert sorted(begun[1:]) == [f"flood {n}" for n in range(5)]


async def test_sockets_that_say_nothing_are_accepted_by_the_hundred_and_begin_no_handshake() -> None:
    throttle = Throttle(0.25)
    async with open_edge(config(2), throttle) as b, AsyncExitStack() as stack:
        host, port = b.addresses[0].split("/")[2], int(b.addresses[0].split("/")[4])
        throttle.works()
        await trio.sleep(0.1)
        throttle.counts(throttle.accepting, 0.1)
        for _ in range(120):
            await stack.enter_async_context(await trio.open_tcp_stream(host, port))
        with trio.fail_after(60):
            while b.door.slots.filling().arriving < 120:
                throttle.works()
                await trio.sleep(0.01)
        assert throttle.handshakes.knocked > 0.1
        assert throttle.handshakes.arrived == 0.0


async def test_no_more_are_accepted_while_accepting_owes_and_own_people_work() -> None:
    throttle = Throttle(0.25)
    async with open_edge(config(2), throttle) as b:
        host, port = b.addresses[0].split("/")[2], int(b.addresses[0].split("/")[4])
        throttle.works()
        throttle.counts(throttle.accepting, 60.0)
        streams = [await trio.open_tcp_stream(host, port) for _ in range(5)]
        await trio.sleep(BUSY_S / 2)
        assert b.door.slots.filling().arriving <= 1, "one was waited for before"
        with trio.fail_after(60):
            while b.door.slots.filling().arriving < 5:
                await trio.sleep(0.01)
        for stream in streams:
            await stream.aclose()


async def test_who_is_dialled_is_a_stranger_too() -> None:
    throttle = Throttle(0.001)
    async with open_edge(config(1), throttle) as a, open_edge(config(2)) as b:
        throttle.works()
        there = await a.dial(b.addresses[0])
        here = await b.incoming.receive()
        assert there.usage is not None
        assert there.usage.peer == b.peer_id
        assert not throttle.spares(there.usage)
        with trio.fail_after(60):
            while not throttle.used:  # measured every 5 ms of work
                throttle.works()
                await here.send([b"frame"])
                await there.receive()
        throttle.counts(there.usage, 60.0)
        with trio.fail_after(60):
            for _ in range(3):  # one read may be under way
                await here.send([b"frame"])
                with trio.move_on_after(BUSY_S / 2) as scope:
                    throttle.works()
                    await there.receive()
                if scope.cancelled_caught:
                    break
            else:
                raise AssertionError("it was read from")
            assert throttle.waiting == 1
            assert await there.receive() == b"frame"
        there.close("enough")
        await there.wait_closed()
        with trio.fail_after(60):
            while throttle._peers:
                await trio.sleep(0.01)


async def test_deadlines_of_a_connection_stand_still_while_it_waits(autojump_clock: trio.testing.MockClock) -> None:
    throttle = throttled()
    usage = throttle.opened("10.0.0.1")
    ended = dict[str, float]()

    async def owes(name: str, seconds: float) -> None:
        with usage.until(usage.now + seconds) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught
        ended[name] = trio.current_time()

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(owes, "before", 5)
        await trio.sleep(2)
        with usage.held():
            nursery.start_soon(owes, "meanwhile", 5)
            await trio.sleep(100)
        nursery.start_soon(owes, "after", 5)
    assert {name: round(at - began, 3) for name, at in ended.items()} == {"before": 105, "meanwhile": 107, "after": 107}
    assert not usage._scopes


async def test_a_connection_waits_until_its_socket_and_its_link_may_go_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    usage = throttled().opened("10.0.0.1")
    with usage.held():
        await trio.sleep(3)
        with usage.held():
            await trio.sleep(3)
        began = usage.now
        await trio.sleep(3)
        assert usage.held_lately
        assert usage.now == began, "its time stands still"
    await trio.sleep(2)
    assert usage.now == pytest.approx(trio.current_time() - 9)


@pytest.mark.parametrize("unread", [b"", b"what it said before"])
async def test_who_hangs_up_while_it_waits_is_let_go(autojump_clock: trio.testing.MockClock, unread: bytes) -> None:
    throttle, heard = throttled(), list[bool]()
    mine, theirs = socket.socketpair()
    usage = throttle.opened("10.0.0.1")

    async def wait() -> None:
        heard.append(await throttle.turn(usage, mine.fileno()))

    with mine, trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(throttle.run)
            nursery.start_soon(at_work, throttle)
            nursery.start_soon(keep_owing, throttle)
            await trio.sleep(BUSY_S)
            nursery.start_soon(wait)
            await trio.sleep(5)
            assert not heard
            theirs.send(unread)
            theirs.close()
            await trio.sleep(2 * GONE_S)
            assert heard == [False]
            assert not throttle.waiting
            nursery.cancel_scope.cancel()


async def keep_owing(throttle: Throttle) -> None:
    """Strangers never pay what they owe."""
    while True:
        throttle.spent("", group_of("10.0.0.1"), DEEPEST_S)
        await trio.sleep(0.1)


# -- the replica's thread


async def test_what_frames_cost_is_counted_though_this_node_relies_on_their_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        replica = await node.worker.call(lambda c, now: c.replica)
        monkeypatch.setattr(replica.gossip, "relies_on", lambda peer: peer == "neighbour")
        usage = node.throttle.opened("10.1.0.1")
        node.throttle.met(usage, "neighbour")
        node.throttle.works()
        await node.worker.call(lambda c, now: None)
        for _ in range(5):
            node.worker.post(lambda c, now: _work(0.1), whose=JobOwner("neighbour", group_of("10.1.0.1")))
        with trio.fail_after(60):
            while usage.seconds < 0.3:
                await trio.sleep(0.01)
        assert usage.allowed is not None
        assert usage.allowed.relayed.left < 0 < usage.allowed.own.left
        node.worker.post(lambda c, now: _work(0.3), whose=JobOwner("neighbour", group_of("10.1.0.1")), lane=Lane.FIRST)
        with trio.fail_after(60):
            while usage.allowed.own.left > 0:
                await trio.sleep(0.01)


def _work(seconds: float) -> None:
    began = thread_time()
    while thread_time() - began < seconds:
        pass


async def test_strangers_frames_wait_on_the_replicas_thread_and_those_of_others_do_not(tmp_path: Path) -> None:
    done = list[str]()

    def note(peer: str, context: Context, now: float) -> None:
        done.append(peer)

    async with running(make_node(make_home(tmp_path / "a"))) as node:
        node.edge.door.slots.name("friend")
        node.throttle.works()
        node.throttle.counts(node.throttle.opened("10.1.0.1"), 60.0)
        node.throttle.opened("10.2.0.1")
        for peer, group in (("stranger", "10.1.0.0/16"), ("friend", "10.1.0.0/16"), ("modest", "10.2.0.0/16")):
            whose = JobOwner(peer, group_of(group.removesuffix("/16")))
            node.worker.post(partial(note, peer), whose=whose)
        await node.worker.call(lambda c, now: done.append("own"))
        with trio.fail_after(60):
            while len(done) < 3:
                node.throttle.works()
                await trio.sleep(0.01)
        assert sorted(done) == ["friend", "modest", "own"]
        with trio.fail_after(60):
            while len(done) < 4:  # own people rest
                await trio.sleep(0.01)
        assert done[-1] == "stranger"
        assert node.throttle.used > 60.0


def _wait(event: threading.Event) -> None:
    assert event.wait(60)


async def test_what_is_read_in_the_background_for_a_stranger_is_the_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        replica = await node.worker.call(lambda c, now: c.replica)
        get_timer, due = replica.get_timer, threading.Event()

        def read(now: float) -> str:
            due.clear()
            began = thread_time()
            while thread_time() - began < 0.2:
                pass
            return "stranger"

        monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
        monkeypatch.setattr(replica, "handle_timer", read)
        monkeypatch.setattr(replica, "get_timer", lambda: 0.0 if due.is_set() else get_timer())
        used = node.throttle.opened("10.1.0.1")
        node.throttle.met(used, "stranger")
        node.throttle.works()
        for _ in range(2):  # a call is answered before its time is settled: the second comes after the first's
            await node.worker.call(lambda c, now: None)
        due.set()
        with trio.fail_after(60):
            while used.seconds < 0.2:
                await trio.sleep(0.01)
        assert used.seconds < 0.3, "and only once"


async def test_background_reading_waits_for_those_who_used_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        waits = await node.worker.call(lambda c, now: c.around.has_to_wait)
        node.edge.door.slots.name("friend")
        hosts = {"stranger": "10.1.0.1", "friend": "10.1.0.2", "modest": "10.2.0.1"}
        usages = {peer: node.throttle.opened(host) for peer, host in hosts.items()}
        for peer, usage in usages.items():
            node.throttle.met(usage, peer)
        assert not any(map(waits, hosts)), "own people rest"
        node.throttle.works()
        node.throttle.counts(usages["stranger"], 60.0)
        assert not waits("friend")
        with trio.fail_after(60):
            while waits("modest"):  # only while strangers together owe very much
                assert waits("stranger")
                await trio.sleep(0.01)
        assert waits("stranger")
        assert not waits("who has gone")


async def test_questions_of_a_peer_that_has_gone_are_not_read_and_what_it_brought_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node, open_edge(config(1)) as edge:
        replica = await node.worker.call(lambda c, now: c.replica)
        receive, read, go_on = replica.receive, Counter[int](), threading.Event()

        def counted(peer: str, data: bytes, *rest: Any) -> None:
            read[data[1]] += 1
            receive(peer, data, *rest)

        monkeypatch.setattr(replica, "receive", counted)
        node.worker.post(lambda c, now: _wait(go_on))  # what comes waits for the replica
        link = await edge.dial(node.edge.addresses[0])
        question, word = encode_message(Replay(0)), encode_message(GossipFrame([]))
        await link.send([question] * 500 + [word])
        here = await _link_of(node)
        with trio.fail_after(60):
            while here.waiting:
                await trio.sleep(0.01)
        link.close("done")
        await link.wait_closed()
        await here.wait_closed()
        go_on.set()
        with trio.fail_after(60):
            while not read[word[1]]:
                await trio.sleep(0.01)
        assert read[question[1]] == 0


@pytest.mark.parametrize(
    ("at_work", "message", "slices"),
    [
        (True, GossipFrame(encode_frame(PushFrame(PUSHES))), 50),
        (False, GossipFrame(encode_frame(PushFrame(PUSHES))), 50),
        (True, DATA, 50),
        (False, DATA, 1),
    ],
    ids=["gossip at work", "gossip at rest", "data at work", "data at rest"],
)
async def test_a_large_frame_of_a_stranger_is_judged_in_slices_while_own_people_work_or_if_it_is_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_work: bool, message: Message, slices: int
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    async with running(make_node(make_home(tmp_path / "a"))) as node, open_edge(config(1)) as edge:
        replica = await node.worker.call(lambda c, now: c.replica)
        receive, read = replica.receive, list[tuple[str, int]]()

        def counted(peer: str, data: bytes, now: float, ahead: PreparedFrame | None = None) -> None:
            read.append((threading.current_thread().name, len(data)))
            assert ahead is not None or slices == 1 or len(data) <= SLICE
            receive(peer, data, now, ahead)

        monkeypatch.setattr(replica, "receive", counted)
        link = await edge.dial(node.edge.addresses[0])
        await _link_of(node)
        if at_work:
            node.throttle.works()
        frame = encode_message(message)
        for end in (False, True):
            count = len(read)
            await link.send([frame])
            if end:
                link.close("done")
                await link.wait_closed()
            with trio.fail_after(60):
                while len(read) - count < slices:
                    await trio.sleep(0.01)
        assert {size for _, size in read} == {len(frame)}
        assert len(read) == 2 * slices
        with trio.fail_after(60):
            while node.links._waiting.bytes:
                await trio.sleep(0.01)
        assert node.links._ahead._begun == node.links._ahead._taken


async def test_a_small_frame_of_who_need_not_wait_is_judged_whole_where_others_fill_the_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    async with running(make_node(make_home(tmp_path / "a"))) as node, open_edge(config(1)) as edge:
        replica = await node.worker.call(lambda c, now: c.replica)
        receive, read = replica.receive, list[bytes]()

        def counted(peer: str, data: bytes, now: float, ahead: PreparedFrame | None = None) -> None:
            read.append(data)
            receive(peer, data, now, ahead)

        monkeypatch.setattr(replica, "receive", counted)
        link = await edge.dial(node.edge.addresses[0])
        here = await _link_of(node)
        node.throttle.works()
        for network in ("one", "two", "three"):  # prepared, and judged by nobody
            await node.links._ahead.in_slices(bytes(AHEAD_BYTES // 2), lambda seconds: None, network)
        small, large = (encode_message(GossipFrame(encode_frame(PushFrame(PUSHES[:count])))) for count in (10, 50))
        await link.send([small])
        with trio.fail_after(60):
            while not read:
                await trio.sleep(0.01)
        assert read == [small]
        await link.send([large])
        await trio.sleep(0.2)
        assert here.closed is None
        assert read == [small], "a flood waits"
        node.links._ahead.judged(bytes(AHEAD_BYTES // 2), "one")
        with trio.fail_after(60):
            while read.count(large) < 50:
                await trio.sleep(0.01)


async def _link_of(node: Node) -> Link:
    """The node's end of its only link."""
    with trio.fail_after(60):
        while not node.edge.links:
            await trio.sleep(0.01)
    return next(iter(node.edge.links.values()))


async def test_who_was_said_goodbye_is_gone_though_what_it_sent_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    node = make_node(make_home(tmp_path / "a"), limits__ingest_queue_bytes=str(4 << 20))
    async with running(node), open_edge(config(1)) as edge:
        frame = encode_message(GossipFrame(encode_frame(PushFrame(PUSHES[:10]))))
        go_on, limits = threading.Event(), node.links._config.limits
        link = await edge.dial(node.edge.addresses[0])
        await link.send([encode_message(Hello(VERSION, MAIN.id, bytes(16), 0, bytes(32), 0, b"", 0))])
        here = await _link_of(node)
        peer = here.peer_id
        with trio.fail_after(60):
            while not await node.worker.call(lambda c, now: peer in c.replica.peers.greeted()):
                await trio.sleep(0.01)
        node.worker.post(lambda c, now: _wait(go_on))
        backlog = node.links._served[peer].backlog
        with trio.fail_after(60):
            while not backlog.is_full(limits.ingest_queue_bytes, limits.ingest_queues_bytes):
                await link.send([frame])
        assert here.usage is not None
        node.throttle.works()
        node.throttle.counts(here.usage, 60.0)
        go_on.set()
        await node.backend.call("peers.ban", {"peer": peer})
        with trio.fail_after(60):
            while peer in node.links._served or await node.worker.call(lambda c, now: peer in c.replica.links):
                await trio.sleep(0.01)
        assert backlog.is_full(limits.ingest_queue_bytes, limits.ingest_queues_bytes), "its turn has not come yet"


async def test_who_hangs_up_while_what_it_sent_has_to_wait_is_gone_and_may_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("banyan_node.admission.throttle.BUSY_S", 60.0)
    node = make_node(make_home(tmp_path / "a"), limits__strangers_cpu="1")
    async with running(node):
        frame, go_on = encode_message(GossipFrame(encode_frame(PushFrame(PUSHES[:10])))), threading.Event()
        read, replica = list[bytes](), await node.worker.call(lambda c, now: c.replica)
        receive = replica.receive

        def counted(peer: str, data: bytes, now: float, ahead: PreparedFrame | None) -> None:
            read.extend([data] * (data == frame))
            receive(peer, data, now, ahead)

        monkeypatch.setattr(replica, "receive", counted)

        async def linked(edge: Edge) -> tuple[Link, Any]:
            """The node's end of the link, and the replica's session."""
            link = await edge.dial(node.edge.addresses[0])
            await link.send([encode_message(Hello(VERSION, MAIN.id, bytes(16), 0, bytes(32), 0, b"", 0))])
            here = await _link_of(node)
            with trio.fail_after(60):
                while not await node.worker.call(lambda c, now: here.peer_id in c.replica.peers.greeted()):
                    await trio.sleep(0.01)
            return here, replica.links[here.peer_id]

        async with open_edge(config(1)) as edge:
            here, session = await linked(edge)
            node.worker.post(lambda c, now: _wait(go_on))
            await edge.links[node.edge.peer_id].send([frame] * 100)
            backlog = node.links._served[here.peer_id].backlog
            with trio.fail_after(60):
                while backlog.waiting < 100 * len(frame):
                    await trio.sleep(0.01)
            assert here.usage is not None
            node.throttle.works()
            node.throttle.counts(here.usage, 60.0)
            link = edge.links[node.edge.peer_id]
            link.close("done")
            await link.wait_closed()
            with trio.fail_after(60):
                while node.links._served:
                    await trio.sleep(0.01)
            go_on.set()
            with trio.fail_after(60):
                while replica.links:
                    await trio.sleep(0.01)
        monkeypatch.setattr(
            "banyan_node.links.link_manager.group_of", lambda addr: "10.2.0.0/16"
        )  # from another network
        node.edge.door.slots.name(here.peer_id)
        async with open_edge(config(1)) as edge:
            _, again = await linked(edge)
            assert again is not session
            assert backlog.waiting, "what it left waits"
            with trio.fail_after(60):
                while backlog.waiting:
                    node.throttle._busy_until = 0.0  # own people rest
                    await trio.sleep(0.01)
            await node.worker.call(lambda c, now: None)
            assert replica.links == {here.peer_id: again}
        assert not read


async def test_what_is_left_behind_is_read_unless_it_would_have_to_wait() -> None:
    throttle = throttled(["friend"])
    for host in ("10.0.0.1", "10.1.0.1"):
        throttle.closed(throttle.opened(host))
    groups = group_of("10.0.0.1"), group_of("10.1.0.1")
    assert not any(throttle.leaves_nothing("somebody", group) for group in groups)
    throttle.works()
    throttle.spent("somebody", groups[0], 0.3)
    assert [throttle.leaves_nothing("somebody", group) for group in groups] == [True, False]
    assert not throttle.leaves_nothing("friend", groups[0])


async def test_a_call_is_not_found_behind_a_hundred_thousand_frames(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        done, go_on, found = Counter[str](), threading.Event(), list[int]()

        async def call() -> None:
            found.append(await node.worker.call(lambda c, now: done["frame"] + node.worker._inbox.turns.count))

        node.worker.post(lambda c, now: _wait(go_on))
        for _ in range(100_000):
            node.worker.post(lambda c, now: done.update(["frame"]), whose=JobOwner("stranger", "10.1.0.0/16"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
        assert found[0] < 50_000
        with trio.fail_after(60):
            while done["frame"] < 100_000:
                await trio.sleep(0.01)


async def test_status_says_what_strangers_use_and_how_many_wait(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as node:
        used = node.throttle.opened("10.1.0.1")
        node.throttle.works()
        node.throttle.counts(used, 1.5)
        assert (await node.backend.call("status", {}))["throttle"] == {"cpu_s": 1.5, "waiting": 0}
        assert node.throttle.holds(used), "the call itself was work for own people"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.throttle.turn, used)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert (await node.backend.call("status", {}))["throttle"]["waiting"] == 1
            nursery.cancel_scope.cancel()


async def test_who_was_not_read_from_is_not_called_slow(tmp_path: Path) -> None:
    async with running(make_node(make_home(tmp_path / "a"))) as a, running(make_node(make_home(tmp_path / "b"))) as b:
        await b.backend.call("peers.add", {"addr": a.edge.addresses[0]})
        with trio.fail_after(60):
            while not (usage := next((link.usage for link in a.edge.links.values()), None)):
                await trio.sleep(0.01)
        around = await a.worker.call(lambda c, now: c.around)
        peer = b.edge.peer_id
        assert not around.is_held(peer)
        with usage.held():
            assert around.is_held(peer)
            assert around.unread(peer) > 0
        assert around.is_held(peer), "what it owes may be on its way"


def test_while_own_people_work_no_peer_has_its_long_runs_folded_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step ends in a commit, and a post that comes waits for it."""
    posted, throttle, unused = list[Any](), Throttle(SHARE, lambda: 0.0), None
    monkeypatch.setattr(Worker, "post", lambda worker, job, *rest, **more: posted.append(job))
    parts: Any = (unused, JobOwner("peer", "net"), unused, unused, object.__new__(Worker), throttle)
    incoming = LinkReceiver(*parts)
    incoming._fold_on(AccountId(bytes(32)))
    assert len(posted) == 1
    throttle.works()
    incoming._fold_on(AccountId(bytes(32)))
    assert len(posted) == 1
