"""Opens the door of a running node: in the node's own process, or in processes beside it (workers/)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import trio

from banyan_node.api.declare import DoorState
from banyan_node.node import Node
from banyan_node.server.http_server import Bind, serve_app
from banyan_web.app import DoorApp, door_app, say_last_lines, start_beside, web_of
from banyan_web.door_files import DoorFiles
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import DoorContext, ServerRules
from banyan_web.mastodon.push.crypto import PUSH
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.open_streams import LAST_LINES_S
from banyan_web.rate_limits import RateLimits


async def open_door(
    node: Node,
    hub: Hub | None = None,
    clock: Callable[[], float] = time.time,
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP at `http.address` until the node stops, by `http.workers` processes or by itself. Reports the
    endpoint. hub, clock: see `serve_by_itself`. Raises PortBusy, ControlError, ConfigError."""
    if node.settings.config.http.workers:
        from banyan_web.workers.supervisor import serve_by_workers  # whoever serves without them need not load this

        await serve_by_workers(node, task_status=task_status)
    else:
        await serve_by_itself(node, hub, clock, task_status=task_status)


async def serve_by_itself(
    node: Node,
    hub: Hub | None = None,
    clock: Callable[[], float] = time.time,
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves HTTP in this process. hub: of the streams of apps; default: a new one. clock: by which requests are
    counted. Raises PortBusy, ControlError, ConfigError."""
    http = node.settings.config.http
    bind, house = Bind.at(http.address), ServerRules.read(http, node.home.path)
    door, files = DoorStore(node.home.door), DoorFiles(node.home)
    doors = list[tuple[DoorContext, DoorApp]]()

    def app(url: str) -> DoorApp:
        node.door = DoorState(url, [], None)
        proxies, cpu = tuple(http.proxies), http.anonymous_cpu
        stopped = node.throttle.tally.stopped
        bounds = RateLimits(
            http.token_rate, http.address_rate, proxies, anonymous_cpu=cpu, clock=clock, stopped=stopped
        )
        web = web_of(node.backend, door, files, house, http, url, bounds, node.keys.derive(PUSH), hub)
        made = door_app(web)
        doors.append((web, made))
        start_beside(web, made, beside.start_soon)
        return made

    async def end_streams() -> None:
        """As soon as the node stops: first each may say its last line, then what still goes on is ended."""
        await node.shutdown.wait()
        for web, _ in doors:
            say_last_lines(web)
        await trio.sleep(LAST_LINES_S)
        for _, made in doors:
            made.end_streams()

    try:
        async with trio.open_nursery() as beside:
            beside.start_soon(end_streams)
            await serve_app(
                app,
                bind,
                shutdown=node.shutdown,
                grace_seconds=node.settings.config.control.grace_seconds,
                connections=http.connections,
                sockets=True,
                stopped=node.throttle.tally.stopped,
                task_status=task_status,
            )
            beside.cancel_scope.cancel()
    finally:
        files.close()
        door.close()
