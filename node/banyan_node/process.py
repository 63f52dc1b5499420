"""A process that runs one node: its signals, its service manager, its limits.

SIGINT and SIGTERM stop the node: listeners close, requests under way are answered, all is committed. SIGHUP is the end
of a terminal, where the node stops too, or logrotate, which wants a log file opened anew.
"""

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
import trio

from banyan_node.context import DoorData
from banyan_node.edge import EdgeError
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore, passphrase_from
from banyan_node.home.settings import Settings
from banyan_node.logging import reopen_log
from banyan_node.node import Greet, Node, OpenDoor
from banyan_node.operator_errors import OperatorError
from banyan_node.workers import process_memory
from banyan_storage.errors import StorageError

# The service manager is told that a node is ready, alive, stopping (sd_notify(3): a datagram of lines to the socket of
# NOTIFY_SOCKET, if there is one). READY is sent once links, API and door are served, and WATCHDOG only while the event
# loop turns and no single thing has held up the replica's thread for STUCK_S.

STUCK_S = 300.0
"""A node whose replica has been at one thing for so long is not called alive. The longest calls take a minute."""
EXTEND_S = 60
"""How much longer the manager is asked to wait, again and again, while an old store is upgraded or all is committed."""
BEAT_S = 10.0
"""Seconds between two words to the manager, at most."""
_MORE_TIME = f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}"


class WatchdogSubject(Protocol):
    """What is asked of the node. up: it serves. held_up_s: for how long its replica has been at one thing."""

    @property
    def up(self) -> trio.Event: ...
    @property
    def shutdown(self) -> trio.Event: ...
    @property
    def held_up_s(self) -> float: ...
    @property
    def stands(self) -> str:
        """One line for people."""


class Manager:
    """The manager of this process, if there is one. watchdog_s: how often it wants to hear of the node; None: never."""

    def __init__(self, env: MutableMapping[str, str] = os.environ, pid: int | None = None) -> None:
        """Takes its variables out of the environment: processes that the node starts have no say there."""
        self._where = env.pop("NOTIFY_SOCKET", "")
        period, whose = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        ours = not whose or whose == str(os.getpid() if pid is None else pid)
        self.watchdog_s = int(period) / 1e6 if period.isdigit() and int(period) and ours else None

    def __bool__(self) -> bool:
        return bool(self._where)

    def tell(self, *lines: str) -> None:
        """Sends lines such as READY=1. A manager that is gone or does not listen is no mistake of the node."""
        if not self._where:
            return
        address = "\0" + self._where[1:] if self._where.startswith("@") else self._where
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), address)


async def attend(manager: Manager, node: WatchdogSubject) -> None:
    """Tells the manager about the node, until it is cancelled."""
    if not manager:
        return
    if manager.watchdog_s is not None:
        faulthandler.enable()  # the manager ends what hangs with SIGABRT: the journal then says where it hung
    while not node.up.is_set():
        manager.tell("STATUS=Starting", _MORE_TIME)
        with trio.move_on_after(BEAT_S):
            await node.up.wait()
    manager.tell("READY=1")
    while not node.shutdown.is_set():
        alive = manager.watchdog_s is not None and node.held_up_s < STUCK_S
        manager.tell(f"STATUS={node.stands}", *["WATCHDOG=1"] * alive)
        with trio.move_on_after(min(BEAT_S, (manager.watchdog_s or BEAT_S) / 2)):
            await node.shutdown.wait()
    manager.tell("STOPPING=1", "STATUS=Finishing what is under way")
    while True:
        manager.tell(_MORE_TIME)
        await trio.sleep(BEAT_S)


# -- the process

_log = structlog.get_logger("banyan")


def main(
    home: Home,
    settings: Settings,
    passphrase: str | None = None,
    greet: Greet | None = None,
    doors: Sequence[OpenDoor] = (),
    at_door: DoorData | None = None,
) -> int:
    """Runs a node in the foreground until SIGINT or SIGTERM. Raises OperatorError, StorageError, EdgeError."""
    keystore = Keystore.open(home.keys)
    keys = (
        keystore.unlock(passphrase if passphrase is not None else passphrase_from())
        if keystore.locked
        else keystore.keys
    )
    manager = Manager()
    raise_file_limit()

    async def until_signal() -> None:
        node = Node(home, settings, keys, greet, doors, at_door)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_heed_signals, node)
            nursery.start_soon(attend, manager, node)
            nursery.start_soon(process_memory.give_back)
            await node.run()
            nursery.cancel_scope.cancel()

    try:
        trio.run(until_signal)
    except BaseExceptionGroup as group:
        raise _first(group) from None
    return 0


async def _heed_signals(node: Node) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for number in signals:
            if number != signal.SIGHUP:
                node.shutdown.set()
            elif await trio.to_thread.run_sync(reopen_log):
                _log.info("log opened anew")
            elif sys.stderr.isatty():
                node.shutdown.set()


def raise_file_limit() -> None:
    """As many open files as the system lets this process have: each connection is one, and the usual 1,024 are fewer
    than the settings allow."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS calls it unlimited and then refuses
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of the group that a person can act on, otherwise any."""
    found: list[BaseException] = []
    todo: list[BaseException] = [group]
    while todo:
        error = todo.pop()
        if isinstance(error, BaseExceptionGroup):
            todo.extend(error.exceptions)
        else:
            found.append(error)
    return next((e for e in found if isinstance(e, OperatorError | StorageError | EdgeError)), found[0])
