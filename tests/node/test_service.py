"""What a service manager hears of a node: nothing of a node that hangs, and nothing without a manager."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from banyan_node.process import BEAT_S, STUCK_S, Manager, attend


@dataclass
class Shown:
    """A node as its manager sees it."""

    up: trio.Event = field(default_factory=trio.Event)
    shutdown: trio.Event = field(default_factory=trio.Event)
    held_up_s: float = 0.0
    stands: str = "3 peers"


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
        here.bind(str(tmp_path / "notify"))
        here.setblocking(False)
        yield here


def lines(heard: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            found += heard.recv(4096).decode().split("\n")
        except BlockingIOError:
            return found


def manager(heard: socket.socket, **more: str) -> Manager:
    return Manager({"NOTIFY_SOCKET": heard.getsockname(), **more})


async def test_a_node_that_hangs_is_not_called_alive(heard: socket.socket, autojump_clock: MockClock) -> None:
    node = Shown()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attend, manager(heard, WATCHDOG_USEC="60000000"), node)
        await trio.sleep(3 * BEAT_S + 1)
        starting = lines(heard)
        assert set(starting) == {"STATUS=Starting", "EXTEND_TIMEOUT_USEC=60000000"}
        assert starting.count("STATUS=Starting") == 4
        node.up.set()
        await trio.sleep(1)
        assert lines(heard) == ["READY=1", "STATUS=3 peers", "WATCHDOG=1"]
        node.held_up_s = STUCK_S - 1
        await trio.sleep(BEAT_S)
        assert "WATCHDOG=1" in lines(heard)
        node.held_up_s = STUCK_S
        await trio.sleep(10 * BEAT_S)
        assert set(lines(heard)) == {"STATUS=3 peers"}
        node.shutdown.set()
        await trio.sleep(1)
        assert lines(heard)[:2] == ["STOPPING=1", "STATUS=Finishing what is under way"]
        nursery.cancel_scope.cancel()


async def test_a_short_watchdog_hears_twice_in_its_period(heard: socket.socket, autojump_clock: MockClock) -> None:
    node = Shown()
    node.up.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(attend, manager(heard, WATCHDOG_USEC="2000000"), node)
        await trio.sleep(5.5)
        assert lines(heard).count("WATCHDOG=1") == 6
        nursery.cancel_scope.cancel()


def test_the_variables_of_a_manager_are_not_handed_to_children(heard: socket.socket) -> None:
    env = {"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid()), "A": "b"}
    found = Manager(env)
    assert (bool(found), found.watchdog_s, env) == (True, 2.0, {"A": "b"})
    assert manager(heard, WATCHDOG_USEC="2000000", WATCHDOG_PID="1").watchdog_s is None, "it watches another process"
    assert manager(heard, WATCHDOG_USEC="soon").watchdog_s is None


async def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    await attend(Manager({}), Shown())
    Manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
        here.bind("\0banyan-test-" + str(os.getpid()))
        here.setblocking(False)
        Manager({"NOTIFY_SOCKET": "@banyan-test-" + str(os.getpid())}).tell("READY=1", "STATUS=x")
        assert here.recv(100) == b"READY=1\nSTATUS=x"
