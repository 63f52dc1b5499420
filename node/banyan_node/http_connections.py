"""One HTTP connection to the control API, and what it may cost the node.

anycorn speaks HTTP; this module decides who may stay. The invariants:

- An error in one connection ends that connection. It is logged and nothing else of the node notices.
- Nobody holds a connection for nothing: a request's head has to come within `Patience.head` of the connection's begin
  or of the answer before, and an answer that nobody reads is given up after `Patience.send`. (A body's deadline is
  control.py's.)
- There are never more than `most` connections. When there are, the oldest that never showed the token has to go; where
  all of them did, the new one is closed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, cast

import anyio
import trio
from anycorn.app_wrappers import ASGIWrapper
from anycorn.config import Config
from anycorn.protocol import ProtocolWrapper
from anycorn.protocol.h11 import H2CProtocolRequiredError, H2ProtocolAssumedError
from anycorn.tcp_server import TCPServer
from anycorn.worker_context import WorkerContext
from anyio.abc import SocketListener, SocketStream
from starlette.types import ASGIApp

_STATE = "banyan.connection"
_log = logging.getLogger(__name__)


class Patience(NamedTuple):
    """Seconds. head: longer than the 5 s for which httpx keeps an idle connection, else it sends into a closed one."""

    head: float = 10.0
    send: float = 20.0


PATIENCE = Patience()


class Connection:
    """One connection. let_in: whether a request on it showed the token."""

    def __init__(self, stream: SocketStream) -> None:
        self.let_in = False
        self._stream = stream
        self._scope = trio.CancelScope()

    async def run(self, server: Callable[[], Any]) -> None:
        """Serves until either side ends it. Never raises an Exception."""
        try:
            with self._scope:
                await server()
        except* Exception as errors:
            _log.warning("a connection to the control API ended by an error: %r", errors.exceptions)  # perhaps a flood
            _log.debug("where it was", exc_info=errors)
        finally:
            await self._close()

    async def end(self) -> None:
        """Ends it now, also in the middle of a write that is shielded from being cancelled."""
        self._scope.cancel()
        await self._close()

    async def _close(self) -> None:
        with trio.CancelScope(shield=True):
            await self._stream.aclose()


def let_in(scope: Mapping[str, Any]) -> None:
    """Notes that the request of this ASGI scope showed the token. Does nothing under another server."""
    connection = scope.get("state", {}).get(_STATE)
    if isinstance(connection, Connection):
        connection.let_in = True


class Connections:
    """All connections to one listener."""

    def __init__(self, app: ASGIApp, most: int, patience: Patience) -> None:
        self._app, self._most, self._patience = ASGIWrapper(cast(Any, app)), most, patience
        self._config, self._context = _anycorn_config(patience), WorkerContext(None)
        self._open: dict[Connection, None] = {}

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    async def accept(self, listener: SocketListener, nursery: trio.Nursery) -> None:
        """Takes connections for as long as it is not cancelled; each is served in the nursery."""
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                _log.warning("the control API cannot take a connection: %s", error)
                await trio.sleep(0.2)  # out of file descriptors: it stays so for a moment
            else:
                nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: SocketStream) -> None:
        if len(self._open) >= self._most:
            stranger = next((c for c in self._open if not c.let_in), None)
            if stranger is None:
                await stream.aclose()
                return
            del self._open[stranger]
            await stranger.end()
        connection = Connection(stream)
        self._open[connection] = None
        state = cast(Any, {_STATE: connection})
        server = _Server(self._app, self._config, self._context, state, _Patient(stream, self._patience.send))
        try:
            await connection.run(server.run)
        finally:
            self._open.pop(connection, None)

    async def close_idle(self) -> None:
        """Closes connections that wait for a next request, and the others after the answer that they wait for."""
        await self._context.terminated.set()

    async def end_all(self) -> None:
        """Ends every connection now."""
        for connection in list(self._open):
            await connection.end()


def _anycorn_config(patience: Patience) -> Config:
    config = Config()
    config.keep_alive_timeout = patience.head
    config.include_server_header = False
    config.websocket_permessage_deflate = False
    config.errorlog = logging.getLogger("anycorn.error")
    return config


class _Server(TCPServer):
    """anycorn's, with two differences. It speaks HTTP/1.1 only: whoever asks for HTTP/2 is closed, since anycorn never
    lets go of a connection that was upgraded and left. And a client that left holds its place no longer: anycorn waits
    out the time for a next request."""

    _left = False

    async def _read_data(self) -> None:
        self.protocol = cast(ProtocolWrapper, self.protocol.protocol)  # the wrapper is what turns to HTTP/2
        with suppress(H2CProtocolRequiredError, H2ProtocolAssumedError):
            await super()._read_data()
        self._left = True
        await self.idle_task.stop()

    async def _idle_timeout(self) -> None:
        if not self._left:
            await super()._idle_timeout()


class _Patient(SocketStream):
    """A stream that gives a slow reader so many seconds to take what is sent."""

    def __init__(self, inner: SocketStream, seconds: float) -> None:
        self._inner, self._seconds = inner, seconds

    @property
    def _raw_socket(self) -> Any:
        return self._inner.extra(anyio.abc.SocketAttribute.raw_socket)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        return await self._inner.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        with trio.move_on_after(self._seconds):
            await self._inner.send(item)
            return
        await self._inner.aclose()
        raise anyio.BrokenResourceError

    async def send_eof(self) -> None:
        await self._inner.send_eof()

    async def aclose(self) -> None:
        await self._inner.aclose()
