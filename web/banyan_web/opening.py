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
from banyan_web.firehose.consumers import Consumers
from banyan_web.firehose.tail import Tail
from banyan_web.house import House
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.outward import Outside
from banyan_web.platform.deliveries import deliver

LAST_LINES_S = 0.5
"""How long streams may take to end by themselves when the node stops."""


async def open_door(node: Node, hub: Hub | None = None, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Serves HTTP at `http.address` until the node stops. Reports the endpoint. hub: of the streams of apps; default:
    a new one. Raises PortBusy, ControlError."""
    http = node.settings.config.http
    bind, house = Bind.at(http.address), House.read(http.rules, http.terms, http.privacy)
    door = DoorStore(node.home.door)
    tail, streams, consumers = Tail(node.backend), hub or Hub(), Consumers(door)
    apps: list[DoorApp] = []

    def app(url: str) -> DoorApp:
        known = http.url or url
        web = Web(
            node.backend,
            door,
            known,
            http.domain or urlsplit(known).netloc,
            http.title,
            tail,
            consumers,
            streams,
            Bounds(http.token_rate, http.address_rate, tuple(http.proxies)),
            http.description,
            http.email,
            outside=Outside(http.local_webhooks),
            house=house,
        )
        beside.start_soon(streams.run, web)
        beside.start_soon(deliver, web)
        apps.append(door_app(web))
        return apps[-1]

    async def end_streams() -> None:
        """As soon as the node stops: first each may say its last line, then what still goes on is ended."""
        await node.shutdown.wait()
        streams.end_all()
        tail.close()
        await trio.sleep(LAST_LINES_S)
        for made in apps:
            made.end_streams()

    try:
        async with trio.open_nursery() as beside:
            beside.start_soon(tail.run)
            beside.start_soon(end_streams)
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
