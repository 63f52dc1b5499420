"""A worker: a process that serves the door beside the node. supervisor.py starts it and ends it.

It has the store open for reading, a connection of its own to door.db, and the listening socket that all workers share.
Its standard input is the line to the node (protocol.py). When the node tells it to end, or on SIGTERM, it accepts
nothing more, ends its streams as streams that are over, and lets requests finish. When the node is gone, which the line
tells at once, it ends within GONE_S, whoever is still sending or reading: nothing can be acknowledged any more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import NoReturn

import anyio
import uvloop

from banyan_crdt.realm import REALMS
from banyan_node.api.worker_reads import StoreReads
from banyan_node.home.folder import Home
from banyan_node.logging import set_up_logging
from banyan_web.app import DoorApp, door_app, say_last_lines, start_beside, web_of
from banyan_web.door_files import DoorFiles, folder_of, remove
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import DoorContext, ServerRules
from banyan_web.open_streams import LAST_LINES_S
from banyan_web.rate_limiter import SharedCounts
from banyan_web.rate_limits import RateLimits
from banyan_web.workers.node_line import NodeLine, WorkerBackend
from banyan_web.workers.protocol import BEAT_S, WorkerDoes, WorkerSetup
from banyan_web.workers.uvicorn_server import DoorServer, WorkerShare

GONE_S = 0.2
"""How long a worker whose node is gone goes on with what it can read in the store itself."""


def main() -> None:
    """The program of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(line))


async def _run(to_node: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    _, line = await loop.create_unix_connection(NodeLine, sock=to_node)
    opening = await line.opening
    set_up_logging(opening.log)
    loop.add_signal_handler(signal.SIGTERM, line.stop.set)
    home = Home(Path(opening.home))
    following = asyncio.create_task(_end_with_node(line, home))
    reads = StoreReads(home, REALMS[opening.realm], opening.opening_key)
    try:
        door, files = DoorStore(home.door), DoorFiles(home)
        try:
            await _serve(line, opening, reads, door, files)
        finally:
            files.close()
            door.close()
    finally:
        reads.close()
        if line.lost:
            _end_now(home)
        following.cancel()


async def _end_with_node(line: NodeLine, home: Home) -> None:
    await line.gone.wait()
    await asyncio.sleep(GONE_S)
    _end_now(home)


def _end_now(home: Home) -> NoReturn:
    """A thread that reads, or a name that is looked up, would hold up an end in order; what was acknowledged is durable
    in the node."""
    remove(folder_of(home, os.getpid()))
    os._exit(0)


async def _serve(line: NodeLine, opening: WorkerSetup, reads: StoreReads, door: DoorStore, files: DoorFiles) -> None:
    http, backend = opening.http, WorkerBackend(reads, line)
    counts = SharedCounts(opening.counts, opening.counts_key)
    proxies, cpu = tuple(http.proxies), http.anonymous_cpu
    stops = Counter[tuple[str, str]]()
    rates = http.token_rate, http.address_rate, proxies, counts, opening.workers, cpu
    bounds = RateLimits(*rates, stopped=lambda *one: stops.update([one]))
    house = ServerRules.read(http, Path(opening.home))
    web = web_of(backend, door, files, house, http, opening.url, bounds, opening.push_key)
    app = door_app(web)
    listener = socket.socket(fileno=opening.listener)
    share = WorkerShare(counts, opening.number, opening.workers)
    server = DoorServer(
        app, listener, bounds.share(http.connections), opening.grace_seconds, share=share, stopped=bounds.stopped
    )
    async with anyio.create_task_group() as tasks:
        start_beside(web, app, tasks.start_soon, opening.number == 0)
        tasks.start_soon(_say, line, server, stops)
        tasks.start_soon(_end, line, server, web, app)
        await server.serve()
        tasks.cancel_scope.cancel()


async def _say(line: NodeLine, server: DoorServer, stops: Counter[tuple[str, str]]) -> None:
    """What this worker does, until the node is gone. stops: see `WorkerDoes`; what was said is taken out."""
    await server.accepting.wait()
    if not line.lost:
        await line.say_ready()
    while not line.lost:
        new = [(*one, times) for one, times in stops.items()]
        stops.clear()
        await line.say(WorkerDoes(server.server_state.total_requests, len(server.lines), new))
        await asyncio.sleep(BEAT_S)


async def _end(line: NodeLine, server: DoorServer, web: DoorContext, app: DoorApp) -> None:
    await line.stop.wait()
    server.stop_accepting()
    say_last_lines(web)
    if not line.lost:
        await asyncio.sleep(LAST_LINES_S)
    app.end_streams()
    server.should_exit = True
