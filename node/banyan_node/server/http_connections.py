"""HTTP connections to the control API and their limits.

http_protocol.py handles HTTP; this module has the sockets and closes connections that break a limit. The invariants:

- An error in one connection is logged and ends only that connection.
- An idle connection is closed: the head of a request must come within `Patience.head` of the connection's start or of
  the answer before, and an answer must be read within `Patience.send`. (control_api.py has the deadline of a body.)
- A WebSocket is closed when nothing came for SILENT_S; a client answers pings. (websocket.py has its other limits.)
- There are never more than `most` connections. A further one replaces the oldest that never showed the token; if all
  have shown it, the new one is closed.

A connection is one task, and a second one while a request is answered. Sockets are used directly, because each request
then needs one system call each way, and many programs open a new connection for every second call.
"""

import logging
import math
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import trio
from anycorn.events import Closed, Event, RawData, Updated
from anycorn.typing import ConnectionState
from starlette.types import ASGIApp

from banyan_node.server.http_protocol import Http, RequestTasks, ServerContext, ServerSettings
from banyan_node.server.websocket import SILENT_S

STATE = "banyan.connection"
"""Under this name the server puts `TokenProof` into the state of an ASGI scope."""
_READ = 1 << 16
_ACCEPT = 64
"""Connections accepted in a row before other tasks run."""
_log = logging.getLogger(__name__)


class Patience(NamedTuple):
    """Seconds. head: more than the 5 s that httpx keeps an idle connection, otherwise it sends to a closed one."""

    head: float = 10.0
    send: float = 20.0


PATIENCE = Patience()


@dataclass(slots=True)
class TokenProof:
    """Whether a request on a connection showed the token."""

    let_in: bool = False


class HttpConnection:
    """One connection."""

    def __init__(self, line: socket.socket, patience: Patience, client: tuple[str, int] | None = None) -> None:
        """client: the address of the other end; None for a Unix socket."""
        self.shown = TokenProof()
        self._line, self._patience, self._client = line, patience, client
        self._scope = trio.CancelScope()
        self._idle = self._closed = False
        self._turn, self._waiting = trio.Lock(), 0
        """The right to write to a client that reads slowly, and how many tasks wait for it."""
        self._http: Http

    async def run(self, app: ASGIApp, settings: ServerSettings, context: ServerContext) -> None:
        """Serves until either side ends it. Never raises an Exception."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    state = ConnectionState(cast(Any, {STATE: self.shown}))
                    tasks = RequestTasks(app, nursery)
                    self._http = Http(settings, context, tasks, state, self._told, self._write, self._client)
                    self._wait_for_a_head()
                    await self._read()
            if self._idle and self._scope.deadline <= trio.current_time():
                self._http.conversation.late()
        except* Exception as errors:
            _log.warning("a connection to the control API ended by an error: %r", errors.exceptions)  # perhaps a flood
            _log.debug("where it was", exc_info=errors)
        finally:
            self._close()

    def end(self) -> None:
        """Ends it now."""
        self._scope.cancel()
        self._close()

    def end_if_idle(self) -> None:
        """Ends it now if no request is being answered."""
        if self._idle:
            self.end()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._line.fileno())
            self._line.close()

    def _wait_for_a_head(self) -> None:
        self._idle, self._scope.deadline = True, trio.current_time() + self._patience.head

    async def _told(self, event: Event) -> None:
        """Handles anycorn's events about the connection."""
        match event:
            case RawData(data=data):
                await self._write(data)
            case Closed():
                self._close()
                await self._http.handle(event)
            case Updated(idle=True):
                self._wait_for_a_head()
            case Updated():
                self._idle, self._scope.deadline = False, math.inf

    async def _read(self) -> None:
        """Passes received bytes on until the client closes. Reads first, because a new connection usually has data."""
        with suppress(OSError, trio.ClosedResourceError):
            while not self._closed:
                try:
                    data = self._line.recv(_READ)
                except BlockingIOError:
                    await trio.lowlevel.wait_readable(self._line.fileno())
                    continue
                if not data:
                    break
                await self._http.handle(RawData(data))
                if self._http.is_socket:
                    self._scope.deadline = trio.current_time() + SILENT_S
                if not self._closed:
                    await trio.lowlevel.wait_readable(self._line.fileno())
        await self._http.handle(Closed())

    async def _write(self, data: bytes) -> None:
        """Returns once the system has taken all of it, or the connection is closed."""
        if self._closed or not data:
            return
        with suppress(OSError, trio.ClosedResourceError):
            done = 0 if self._waiting else self._push(data)
            if done == len(data) or await self._write_slowly(memoryview(data)[done:]):
                return
        self._close()
        await self._http.handle(Closed())

    async def _write_slowly(self, rest: memoryview) -> bool:
        """Writes to a client that reads slowly. Returns whether it took all."""
        self._waiting += 1
        try:
            with trio.move_on_after(self._patience.send) as patience:
                async with self._turn:
                    while rest and not self._closed:
                        await trio.lowlevel.wait_writable(self._line.fileno())
                        rest = rest[self._push(rest) :]
        finally:
            self._waiting -= 1
        if patience.cancelled_caught:
            self._http.conversation.unread()
        return not rest

    def _push(self, data: bytes | memoryview) -> int:
        """Writes without waiting. Returns how many bytes the system took."""
        try:
            return self._line.send(data)
        except BlockingIOError:
            return 0


def let_in(scope: Mapping[str, Any]) -> None:
    """Notes that the request of this ASGI scope showed the token. Does nothing under another server."""
    shown = scope.get("state", {}).get(STATE)
    if isinstance(shown, TokenProof):
        shown.let_in = True


class HttpConnections:
    """All connections to one listener."""

    def __init__(self, app: ASGIApp, most: int, patience: Patience, settings: ServerSettings) -> None:
        self._app, self._most, self._patience, self._stopped = app, most, patience, settings.stopped
        self._settings, self._context = settings, ServerContext(None)
        self._open: dict[HttpConnection, None] = {}

    @property
    def count(self) -> int:
        """The number of open connections."""
        return len(self._open)

    async def accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """Accepts connections until it is cancelled; each is served in the nursery."""
        listener.setblocking(False)
        while True:
            await trio.lowlevel.wait_readable(listener.fileno())
            try:
                for _ in range(_ACCEPT):
                    line, address = listener.accept()
                    line.setblocking(False)
                    client = (str(address[0]), int(address[1])) if isinstance(address, tuple) else None
                    nursery.start_soon(self._serve, line, client)
            except BlockingIOError:
                pass
            except OSError as error:
                _log.warning("the control API cannot take a connection: %s", error)
                await trio.sleep(0.2)  # out of file descriptors, perhaps: wait before the next try

    async def _serve(self, line: socket.socket, client: tuple[str, int] | None) -> None:
        if len(self._open) >= self._most:
            self._stopped("lines", "connections without a token")
            stranger = next((c for c in self._open if not c.shown.let_in), None)
            if stranger is None:
                line.close()
                return
            del self._open[stranger]
            stranger.end()
        connection = HttpConnection(line, self._patience, client)
        self._open[connection] = None
        try:
            await connection.run(self._app, self._settings, self._context)
        finally:
            self._open.pop(connection, None)

    async def close_idle(self) -> None:
        """Closes idle connections now, and the others after their answer."""
        await self._context.terminated.set()
        for connection in list(self._open):
            connection.end_if_idle()

    def end_all(self) -> None:
        """Ends every connection now."""
        for connection in list(self._open):
            connection.end()
