"""The servers of a node: its control API, and doors for others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from banyan_node.server.control_file import ServerAddress


class Servers:
    """Each ends by itself, once the node is told to stop."""

    def __init__(self) -> None:
        self._doors: list[ServerAddress] = []
        self._ended: list[trio.Event] = []

    @property
    def doors(self) -> tuple[str, ...]:
        """Where they listen: HOST:PORT or unix:PATH."""
        return tuple(f"unix:{e.socket}" if e.socket else _host_port(e.host, e.port) for e in self._doors)

    async def start(
        self, nursery: trio.Nursery, server: Callable[..., Awaitable[None]], door: bool = False
    ) -> ServerAddress:
        """Returns where it listens."""
        ended = trio.Event()

        async def run(task_status: Any) -> None:
            try:
                await server(task_status=task_status)
            finally:
                ended.set()

        self._ended.append(ended)
        endpoint: ServerAddress = await nursery.start(run)
        if door:
            self._doors.append(endpoint)
        return endpoint

    async def ended(self) -> None:
        """Returns when all have ended."""
        for one in self._ended:
            await one.wait()


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
