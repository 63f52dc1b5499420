"""Accepts connections no faster than accepting may use the processor (admission/handshake_limiter.py).

Beyond the system's queue, the systems of those who dial try again after a second or more. The task that listens has the
throttle in its `CAUSE`.
"""

from __future__ import annotations

import resource
import socket
from typing import Any

import trio
from libp2p.transport.tcp.tcp import _open_reuseport_listeners

from banyan_node.admission.usage import CAUSE

FILES = 65_536
"""Open files that a node asks for, where the system allows more than it gives by itself (often 1,024 or 256): each
socket is one, and the store must not lack them."""


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
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return [PacedListener(listener) for listener in await _open_reuseport_listeners(host, port)]


def reuse_address(sock: Any) -> None:
    """A port can be taken again soon after its listener ended, but not while another one has it. `/ip6/::` is IPv6
    alone, as in other libp2p programs, so that `/ip4/0.0.0.0` can have the same port."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
