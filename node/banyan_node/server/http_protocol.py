"""HTTP/1.1 on one connection: anycorn and h11 parse requests and frame answers, and bytes that are no request are
refused.

The differences from anycorn's own server, and why:

- The head of an answer waits for the first bytes of its body, and both leave in one write: a write costs more than all
  work on the answer, and one write wakes the client once.
- The application runs in a trio task; received pieces of a body wait for it in a queue of `PIECES`.
- HTTP/1.1 only. Upgrades to HTTP/2 are ignored, as RFC 9110 allows (section 7.8): Java's HTTP client asks for one at
  its first call; those to WebSocket are too, unless `ServerSettings.sockets` says that the application takes them. A
  client that starts in HTTP/2 is disconnected.
- Bytes after the last request of a connection are dropped. h11 takes them for an error of the client, and would answer
  400 instead of the request's own answer, although the request was carried out.
- What is refused before an application sees it, and with which status, is decided by `HttpConversation`, for workers
  of the door too (web/banyan_web/workers/uvicorn_server.py): a request with both a length and chunks, for example,
  because a program in between may have used the other one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import h11
import msgspec
import trio
from anycorn.config import Config
from anycorn.events import Event
from anycorn.protocol.events import Body, EndBody, Request, Response
from anycorn.protocol.events import Event as StreamEvent
from anycorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from anycorn.protocol.http_stream import HTTPStream
from anycorn.typing import ASGIReceiveEvent, ConnectionState, H11SendableEvent
from anycorn.utils import InvalidRequestPathError, decode_asgi_path
from anycorn.worker_context import WorkerContext
from starlette.types import ASGIApp

from banyan_node.server.servers import name_of
from banyan_node.server.websocket import MESSAGE_BYTES, PING_S, Socket, wants_socket

# For a client whose bytes are no request that is understood here.

CODE = "bad_http"
SENTENCES: Mapping[int, str] = {
    400: "This is no HTTP request that can be read in one way only.",
    431: "The head of this request is longer than is taken here.",
    501: "This transfer coding is not known here; send the body's length, or chunks.",
    505: "Version 1.1 of HTTP is spoken here.",
}
"""By status; another one is said as 400."""
RefusalBody = Callable[[str, str], bytes]
"""Makes the body of a refusal from its code and its sentence."""


def nested(code: str, message: str, more: Mapping[str, Any] | None = None) -> bytes:
    """As the control API says it."""
    return msgspec.json.encode({"error": {"code": code, "message": message, **(more or {})}})


def flat(code: str, message: str) -> bytes:
    """As the door says it."""
    return msgspec.json.encode({"error": message, "code": code})


def said(status: int, body: RefusalBody) -> bytes:
    return body(CODE, SENTENCES.get(status, SENTENCES[400]))


def headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Those of the answer, after which the connection ends."""
    kind = (b"content-type", b"application/json")
    return [kind, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]


# -- requests and answers

PIECES = 10
"""The most pieces of a body that wait for the application; meanwhile the connection is not read."""
HEAD_BYTES = 64 << 10
"""The largest head of a request, in however many pieces it comes."""
_log = logging.getLogger(__name__)
Send = Callable[[Any], Awaitable[None]]
Stopped = Callable[[str, str], object]
"""Is told which gate refused, and whom."""


def uncounted(gate: str, whom: str) -> None:
    """Where nobody counts."""


class ServerSettings(Config):
    """anycorn's settings. The Date header is made once a second.

    sockets: whether WebSockets are taken. body: makes what is said to who speaks no HTTP. stopped: told of each refusal
    of a gate."""

    def __init__(self, sockets: bool = False, body: RefusalBody = nested, stopped: Stopped = uncounted) -> None:
        super().__init__()
        self.sockets, self.body, self.stopped = sockets, body, stopped
        self.websocket_max_message_size = MESSAGE_BYTES
        self.websocket_ping_interval = PING_S
        self.websocket_permessage_deflate = False
        self.include_server_header = False
        self.errorlog = logging.getLogger("anycorn.error")
        self._said: tuple[int, list[tuple[bytes, bytes]]] = (0, [])

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        now = int(time.time())
        if self._said[0] != now:
            self._said = (now, super().response_headers(protocol))
        return self._said[1]


class RequestTasks:
    """Starts a task for each request, as anycorn asks for it."""

    def __init__(self, app: ASGIApp, nursery: trio.Nursery) -> None:
        self._app, self._nursery = app, nursery

    async def spawn_app(
        self, app: object, config: object, scope: Any, send: Send
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        arriving = _Arriving()
        self._nursery.start_soon(self._run, scope, arriving, send)
        return arriving.put

    def spawn(self, do: Callable[[], Awaitable[None]]) -> None:
        """Starts anycorn's own task beside that of a request."""
        self._nursery.start_soon(do)

    async def _run(self, scope: Any, arriving: _Arriving, send: Send) -> None:
        try:
            await self._app(scope, arriving.get, send)
        except Exception:
            _log.exception("the control API could not answer a request")
        finally:
            arriving.end()
            await send(None)  # anycorn's sign for the end of the answer


class _Arriving:
    """Received pieces of a request that wait for the application."""

    def __init__(self) -> None:
        self._pieces: deque[Any] = deque()
        self._ended = False
        self._changed: trio.Event | None = None

    async def put(self, piece: ASGIReceiveEvent) -> None:
        while len(self._pieces) >= PIECES and not self._ended:
            await self._change()
        self._pieces.append(piece)
        self._tell()

    async def get(self) -> Any:
        while not self._pieces:
            await self._change()
        self._tell()
        return self._pieces.popleft()

    def end(self) -> None:
        """The application takes no more pieces."""
        self._ended = True
        self._tell()

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class _Flag:
    """An event that can be cleared, as anycorn needs it."""

    def __init__(self) -> None:
        self._event = trio.Event()

    async def clear(self) -> None:
        self._event = trio.Event()

    async def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()

    def is_set(self) -> bool:
        return self._event.is_set()


class ServerContext(WorkerContext):
    """The context of all connections to one listener. terminated: whether connections end after their answer."""

    event_class = _Flag


class HttpConversation(h11.Connection):
    """What is taken as a request; the rest raises h11.RemoteProtocolError, whose status `refused` keeps. Drops bytes
    after the last request. `their_state` is MUST_CLOSE from the end of that request on."""

    refused = 400

    def __init__(self, stopped: Stopped = uncounted, whom: str = "") -> None:
        """stopped: told of what is refused. whom: the other end."""
        super().__init__(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._stopped, self.whom = stopped, whom

    def late(self) -> None:
        """The connection ends because no head came in time: a part of one is refused, no word at all is not."""
        if self.their_state is h11.IDLE and len(self._receive_buffer):
            self._stopped("head", self.whom)

    def unread(self) -> None:
        """The connection ends because an answer is not read."""
        self._stopped("unread", self.whom)

    def receive_data(self, data: bytes) -> None:
        if self.their_state is not h11.MUST_CLOSE:
            super().receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if self.their_state is h11.MUST_CLOSE:
            return h11.NEED_DATA
        before = self.their_state
        try:
            waiting = len(self._receive_buffer)
            event = super().next_event()
            framing = waiting - len(self._receive_buffer) - (len(event.data) if isinstance(event, h11.Data) else 0)
            if framing > HEAD_BYTES:  # of a request, a chunk, or trailers
                raise h11.RemoteProtocolError("a long head", error_status_hint=431)
            if isinstance(event, h11.Request):
                _check(event)
        except h11.RemoteProtocolError as error:
            self.refused = error.error_status_hint
            if before is not h11.ERROR:
                self._stopped("head", self.whom)
            self._process_error(self.their_role)  # nothing more is read
            raise
        return event


def _check(request: h11.Request) -> None:
    """Raises h11.RemoteProtocolError."""
    if request.http_version == b"2.0":
        raise h11.RemoteProtocolError("HTTP/2", error_status_hint=505)
    names = [name for name, _value in request.headers]
    if b"content-length" in names and b"transfer-encoding" in names:
        raise h11.RemoteProtocolError("a length and chunks")
    try:
        decode_asgi_path(request.target.partition(b"?")[0])
    except InvalidRequestPathError:
        raise h11.RemoteProtocolError("a path that is no UTF-8") from None


class Http(H11Protocol):
    """HTTP on one connection. tell: gets anycorn's events about the connection. write: sends bytes to the client."""

    def __init__(
        self,
        config: ServerSettings,
        context: ServerContext,
        tasks: RequestTasks,
        state: ConnectionState,
        tell: Callable[[Event], Awaitable[None]],
        write: Callable[[bytes], Awaitable[None]],
        client: tuple[str, int] | None = None,
    ) -> None:
        super().__init__(cast(Any, None), config, cast(Any, context), cast(Any, tasks), state, client, None, tell, None)
        self.conversation = self.connection = HttpConversation(config.stopped, name_of(client))
        self._write, self._sockets, self._body = write, config.sockets, config.body
        self._head = b""
        """The head of an answer, which waits for the body."""

    async def stream_send(self, event: StreamEvent) -> None:
        match event:
            case Response(headers=headers, status_code=101):
                await self._write(self._framed(h11.InformationalResponse(headers=headers, status_code=101)))
            case Response(headers=headers, status_code=status):
                more = self.config.response_headers("h11")
                if self.keep_alive_requests >= self.config.keep_alive_max_requests:
                    more = [*more, (b"connection", b"close")]
                self._head = self._framed(h11.Response(headers=[*headers, *more], status_code=status))
                if self.connection.their_state is h11.MUST_CLOSE:
                    await self.can_read.set()  # a next request is not waited with: only that the client leaves is heard
            case Body(data=data):
                head, self._head = self._head, b""
                await self._write(head + self._framed(h11.Data(data=data)))
            case EndBody():
                head, self._head = self._head, b""
                await self._write(head + self._framed(h11.EndOfMessage()))
            case _:
                await super().stream_send(event)

    def _framed(self, event: H11SendableEvent) -> bytes:
        """The bytes of an event; none if the client broke the protocol. Raises h11.LocalProtocolError if we did."""
        try:
            return self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return b""

    async def _check_protocol(self, event: h11.Request) -> None:
        """`HttpConversation` did; anycorn's own would begin HTTP/2."""

    async def _send_error_response(self, status_code: int) -> None:
        body = said(status_code, self._body)
        fields = [*headers(body), *self.config.response_headers("h11")]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=fields))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())

    @property
    def is_socket(self) -> bool:
        """Whether WebSocket is spoken from now on."""
        return isinstance(self.connection, H11WSConnection)

    async def _create_stream(self, request: h11.Request) -> None:
        socket = self._sockets and wants_socket(request.method, request.headers)
        if socket:
            self.connection = H11WSConnection(cast(h11.Connection, self.connection))
        self.stream = (Socket if socket else HTTPStream)(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
            None,
        )
        self.keep_alive_requests += 1
        await self.stream.handle(
            Request(
                STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii"),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
