"""Accepts connections no faster than those that arrive may use the processor (workers/throttle.py).

Sockets cost their opener next to nothing. Those that are not accepted yet wait in the system's queue, and beyond it
their openers' systems try again after a second or more. The task that listens has the throttle in its `CAUSE`.
"""

from __future__ import annotations

import trio
from libp2p.transport.tcp.tcp import _open_reuseport_listeners

from banyan_node.workers.throttle import CAUSE


class PacedListener(trio.abc.Listener[trio.SocketStream]):
    """A listener of trio that waits for its turn before it accepts."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener, self.socket = listener, listener.socket

    async def accept(self) -> trio.SocketStream:
        """The next connection. Raises trio.ClosedResourceError, OSError."""
        if (cause := CAUSE.get()) is not None:
            await cause.throttle.accepts()
        return await self._listener.accept()

    async def aclose(self) -> None:
        """Closes the socket."""
        await self._listener.aclose()


async def open_paced_listeners(host: str | None, port: int) -> list[PacedListener]:
    """libp2p's listeners of an address, paced. Raises OpenConnectionError."""
    return [PacedListener(listener) for listener in await _open_reuseport_listeners(host, port)]
