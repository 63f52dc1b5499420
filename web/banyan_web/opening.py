"""Opens the door of a running node, in the node's own process."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import trio

from banyan_node.node import Node
from banyan_node.server.http_server import Bind, serve_app
from banyan_web.app import door_app
from banyan_web.door_store import DoorStore
from banyan_web.endpoint import Web
from banyan_web.firehose.consumers import Consumers
from banyan_web.firehose.tail import Tail
from banyan_web.mastodon.streaming.hub import Hub


async def open_door(node: Node, hub: Hub | None = None, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Serves HTTP at `http.address` until the node stops. Reports the endpoint. hub: of the streams of apps; default:
    a new one. Raises PortBusy, ControlError."""
    http = node.settings.config.http
    bind = Bind.at(http.address)
    door = DoorStore(node.home.door)
    tail = Tail(node.backend)
    streams = hub or Hub()

    def app(url: str) -> Any:
        known = http.url or url
        domain = http.domain or urlsplit(known).netloc
        web = Web(node.backend, door, known, domain, http.title, tail, Consumers(door), streams)
        beside.start_soon(streams.run, web)
        return door_app(web)

    async def close_streams() -> None:
        """As soon as the node stops, so that each stream ends by itself before its connection is cut."""
        await node.shutdown.wait()
        streams.end_all()
        tail.close()

    try:
        async with trio.open_nursery() as beside:
            beside.start_soon(tail.run)
            beside.start_soon(close_streams)
            await serve_app(
                app,
                bind,
                shutdown=node.shutdown,
                grace_seconds=node.settings.config.control.grace_seconds,
                connections=http.connections,
                sockets=True,
                task_status=task_status,
            )
            beside.cancel_scope.cancel()
    finally:
        door.close()
