"""Starts the workers of the door, keeps them running, and ends them: the node's side.

The node listens, so the port is its own and stays so whatever happens to workers; they inherit the socket and share
it, so what arrives while one is started anew waits for the next or goes to another. If none serves for a while, because
each dies again before it serves, the node takes what arrives and answers 503. A worker that ends without being
asked is started anew, later each time that it ends soon. What it was answering is lost to its client; what it had
acknowledged was durable in the node.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
import trio

from banyan_crdt.sealing import Opener
from banyan_node.api.declare import DoorState, DoorWorker
from banyan_node.node import Node
from banyan_node.operator_errors import ControlError
from banyan_node.server.http_server import Bind, listening
from banyan_node.server.servers import ServerAddress
from banyan_web.door_files import folder_of, remove
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import ServerRules
from banyan_web.mastodon.push.crypto import PUSH
from banyan_web.open_streams import LAST_LINES_S
from banyan_web.rate_limiter import KEY_BYTES, shared_memory
from banyan_web.workers.node_end import NodeEnd
from banyan_web.workers.protocol import SILENT_S, WorkerDoes, WorkerFrameKind, WorkerSetup, frame_of

FIRST_S, LONGEST_S = 0.1, 30.0
"""The pause before a worker is started anew, which doubles, and the longest."""
STEADY_S = 60.0
"""Who ran for so long is started anew after the first pause again."""
QUIET_S = 10.0
"""A worker that says nothing for so long is trouble; `SILENT_S` ends it."""
END_S = 1.0
"""How much longer than its requests may take a worker has to end, before it is killed."""
WAIT_S = 5.0
"""For so long a connection waits for a worker while none serves."""
_LOOK_S, _REFUSING_S = 0.2, 10.0
_SAYS = b'{"error": "The workers of the door are started anew; try again soon."}'
_NONE_SERVES = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SAYS), _SAYS)
)
_CODE = "import gc; gc.disable(); from banyan_web.workers.child import main; gc.freeze(); gc.enable(); main()"
"""What is loaded stays: looking for garbage in it was a sixth of the start."""
_log = structlog.get_logger("banyan")


async def serve_by_workers(node: Node, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Serves HTTP at `http.address` by `http.workers` processes until the node stops. Reports the endpoint, once all of
    them serve. Raises PortBusy, ControlError, ConfigError, StorageError."""
    http = node.settings.config.http
    ServerRules.read(http, node.home.path)  # each worker reads these, and a refusal would stand in the log alone
    DoorStore(node.home.door).close()
    with listening(Bind.at(http.address)) as (listener, endpoint), os.fdopen(shared_memory(), "rb") as memory:
        counts = memory.fileno()
        listener.setblocking(False)  # of the socket itself, so of all that share it
        key = secrets.token_bytes(KEY_BYTES)
        made: list[DoorProcess] = []

        def changed() -> None:
            node.door = _state(endpoint, made)
            alive = [one for one in made if one.pid is not None]
            node.metrics.stands(door_workers=len(alive), door_connections=sum(one.does.connections for one in alive))

        made += [DoorProcess(node, number, endpoint, listener, counts, key, changed) for number in range(http.workers)]
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as running:
                async with trio.open_nursery() as starting:
                    for one in made:
                        starting.start_soon(running.start, one.run)
                nursery.start_soon(stand_in, listener, lambda: any(one.serves for one in made))
                task_status.started(endpoint)
            nursery.cancel_scope.cancel()


async def stand_in(listener: socket.socket, serves: Callable[[], bool]) -> None:
    """For ever: while no worker serves for longer than WAIT_S, each connection is answered 503."""
    last = trio.current_time()
    with trio.socket.from_stdlib_socket(listener.dup()) as shared:
        async with trio.open_nursery() as nursery:
            while True:
                if serves():
                    last = trio.current_time()
                if trio.current_time() - last < WAIT_S:
                    await trio.sleep(_LOOK_S)
                    continue
                with trio.move_on_after(_LOOK_S):
                    nursery.start_soon(_refuse, (await shared.accept())[0])


async def _refuse(connection: trio.socket.SocketType) -> None:
    """Reads the request's head, and no more of it than there is: who is answered unread gets a reset instead."""
    with connection, trio.move_on_after(_REFUSING_S), suppress(OSError):
        await connection.recv(1 << 16)
        await connection.send(_NONE_SERVES)
        connection.shutdown(socket.SHUT_WR)
        while await connection.recv(1 << 16):
            pass


def _state(endpoint: ServerAddress, made: list[DoorProcess]) -> DoorState:
    rows = [
        DoorWorker(one.pid, int(one.started * 1000), one.ended, one.does.requests, one.does.connections) for one in made
    ]
    return DoorState(endpoint.url, rows, next((one.trouble for one in made if one.trouble), None))


async def start_process(line: socket.socket, given: Sequence[int]) -> trio.Process:
    """A worker, which reads of this line what it is to do. given: descriptors that it has under the same numbers."""
    return await trio.lowlevel.open_process(
        [sys.executable, "-P", "-c", _CODE],
        stdin=line.fileno(),
        stdout=subprocess.DEVNULL,
        pass_fds=given,
        start_new_session=True,  # a Ctrl-C is for the node, which lets requests finish
    )


class DoorProcess:
    """One worker, and those that follow it. pid: None while none runs. started: when, seconds since 1970. ended: how
    often without being asked. serves: whether it takes connections. trouble: why none runs, a sentence without a full
    stop."""

    def __init__(
        self,
        node: Node,
        number: int,
        endpoint: ServerAddress,
        listener: socket.socket,
        counts: int,
        counts_key: bytes,
        changed: Callable[[], None],
    ) -> None:
        config, context = node.settings.config, node.context
        assert context is not None
        self._node, self._engine, self._changed = node, context.engine, changed
        self._given = (listener.fileno(), counts)
        opening = WorkerSetup(
            home=str(node.home.path.absolute()),
            realm=config.node.realm,
            opening_key=Opener(node.keys.device_seed()).opening_key,
            push_key=node.keys.derive(PUSH),
            http=config.http,
            log=config.log,
            grace_seconds=config.control.grace_seconds,
            url=endpoint.url,
            listener=listener.fileno(),
            counts=counts,
            counts_key=counts_key,
            number=number,
            workers=config.http.workers,
        )
        self._opening, self._number = frame_of(WorkerFrameKind.OPEN, 0, opening), number
        self._heard = 0.0
        self.pid: int | None = None
        self.started, self.ended, self.trouble = time.time(), 0, ""
        self.does = WorkerDoes(0, 0)
        self.serves = False

    async def run(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        """Until the node stops. Reports when the first one serves. Raises ControlError if it never does."""
        pause = FIRST_S
        ready = task_status.started
        while not self._node.shutdown.is_set():
            began = trio.current_time()
            status, served = await self._live(ready)
            if self._node.shutdown.is_set():
                return
            if ready is not None and not served:
                raise ControlError(f"A worker of the door could not start (exit status {status}); the log says why.")
            ready = None
            await trio.to_thread.run_sync(self._engine.forget_dead_readers)
            pause = FIRST_S if trio.current_time() - began > STEADY_S else pause
            self.ended, self.trouble = self.ended + 1, f"worker {self._number} of the door ended (exit status {status})"
            self._node.metrics.worker_ended()
            self._changed()
            _log.warning("a worker of the door ended", worker=self._number, status=status, again_in_s=pause)
            with trio.move_on_after(pause):
                await self._node.shutdown.wait()
            pause = min(2 * pause, LONGEST_S)

    async def _live(self, ready: Callable[[], None] | None) -> tuple[int, bool]:
        """Runs one process to its end. Returns its exit status, and whether it served."""
        served = False

        def told(does: WorkerDoes | None) -> None:
            nonlocal served
            self._heard = trio.current_time()
            if does is not None:
                self._node.metrics.door_requests(max(0, does.requests - self.does.requests))
                self.does = does
                for stop in does.stops:
                    self._node.throttle.tally.stopped(*stop)
            elif not served:
                served = self.serves = True
                if ready is not None:
                    ready()
            if served:
                self.trouble = ""
            self._changed()

        mine, theirs = socket.socketpair()
        with theirs:
            process = await start_process(theirs, self._given)
        self.pid, self.started, self.does = process.pid, time.time(), WorkerDoes(0, 0)
        self._heard = trio.current_time()
        try:
            async with trio.SocketStream(trio.socket.from_stdlib_socket(mine)) as stream:
                end = NodeEnd(self._node.backend, stream, told)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(end.run, self._opening)
                    nursery.start_soon(self._stop, process, end)
                    nursery.start_soon(self._watch, process)
                    status = await process.wait()
                    nursery.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                process.kill()
                with trio.CancelScope(shield=True):
                    await process.wait()
            self.pid, self.does, self.serves = None, WorkerDoes(0, 0), False
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(remove, folder_of(self._node.home, process.pid))
        return status, served

    async def _stop(self, process: trio.Process, end: NodeEnd) -> None:
        await self._node.shutdown.wait()
        await end.stop()
        await trio.sleep(LAST_LINES_S + math.ceil(self._node.settings.config.control.grace_seconds) + END_S)
        _log.warning("a worker of the door does not end; it is killed", worker=self._number)
        process.kill()

    async def _watch(self, process: trio.Process) -> None:
        while (silent := trio.current_time() - self._heard) < SILENT_S:
            if silent > QUIET_S:
                self.trouble = f"worker {self._number} of the door says nothing for {silent:.0f} s"
                self._changed()
            await trio.sleep(SILENT_S / 30)
        _log.error("a worker of the door hangs; it is killed", worker=self._number)
        process.kill()
