"""A process that runs one node: its signals, its service manager, its limits.

SIGINT and SIGTERM stop the node: listeners close, requests under way are answered, all is committed. SIGHUP is the end
of a terminal, where the node stops too, or logrotate, which wants a log file opened anew.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import structlog
import trio

from banyan_node.context import AtDoor
from banyan_node.edge import EdgeError
from banyan_node.home.folder import Home
from banyan_node.home.keystore import Keystore, passphrase_from
from banyan_node.home.settings import Settings
from banyan_node.logging import reopen_log
from banyan_node.node import Greet, Node, OpenDoor
from banyan_node.operator_errors import OperatorError
from banyan_node.service import Manager, attend
from banyan_node.workers import memory
from banyan_storage.errors import StorageError

_log = structlog.get_logger("banyan")


def main(
    home: Home,
    settings: Settings,
    passphrase: str | None = None,
    greet: Greet | None = None,
    doors: Sequence[OpenDoor] = (),
    at_door: AtDoor | None = None,
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
            nursery.start_soon(memory.give_back)
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
