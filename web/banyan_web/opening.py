"""Opens the door of a running node, in the node's own process."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import trio

from banyan_node.node import Node
from banyan_node.server.http_server import Bind, serve_app
from banyan_web.app import DoorApp, door_app
from banyan_web.bounds import Bounds
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import Web


async def open_door(node: Node, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Serves HTTP at `http.address` until the node stops. Reports the endpoint. Raises PortBusy, ControlError."""
    http = node.settings.config.http
    bind = Bind.at(http.address)
    door = DoorStore(node.home.door)
    apps: list[DoorApp] = []

    def app(url: str) -> DoorApp:
        known = http.url or url
        bounds = Bounds(http.token_rate, http.address_rate, tuple(http.proxies))
        domain = http.domain or urlsplit(known).netloc
        made = door_app(Web(node.backend, door, known, domain, http.title, bounds, http.description, http.email))
        apps.append(made)
        return made

    async def end_streams() -> None:
        await node.shutdown.wait()
        for made in apps:
            made.end_streams()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_streams)
            await serve_app(
                app,
                bind,
                shutdown=node.shutdown,
                grace_seconds=node.settings.config.control.grace_seconds,
                connections=http.connections,
                task_status=task_status,
            )
            nursery.cancel_scope.cancel()
    finally:
        door.close()
