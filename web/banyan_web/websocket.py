"""WebSockets of the door. All handshakes come here, as all requests come to `_PathRoute` of app.py.

The invariants: a handshake counts as a request, and so does each message that asks for something; who has no token of
a person pays for what the connection costs from the handshake to its end, and is refused work once too much was asked
for; such connections are streams, bounded as all are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from banyan_node.server.http_connections import let_in
from banyan_storage.errors import StorageError
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext
from banyan_web.open_streams import token_shown
from banyan_web.rate_limiter import Meter, counted, is_anonymous
from banyan_web.refusals import HttpRefusal, failure, refusal


@dataclass(slots=True)
class WebSocketConnection:
    """A WebSocket whose handshake was counted."""

    socket: WebSocket
    token: Token
    meter: Meter
    _web: DoorContext
    _protocol: str | None

    async def accept(self) -> None:
        await self.socket.accept(self._protocol)

    def count(self) -> None:
        """Before the work for a message. Raises HttpRefusal."""
        counted(self._web.bounds, self.token, "")
        self.meter.demand()

    async def say(self, value: Any) -> None:
        """Sends a message of JSON."""
        await self.socket.send_text(msgspec.json.encode(value).decode())


class SocketEndpoint(NamedTuple):
    """token_in_query: the token may stand in the address, as apps of Mastodon put it there. serve: raises HttpRefusal
    before it accepts, never after."""

    path: str
    token_in_query: bool
    serve: Callable[[DoorContext, WebSocketConnection], Awaitable[None]]


class SocketPlace:
    """The ASGI application at the path of one."""

    def __init__(self, web: DoorContext, endpoint: SocketEndpoint) -> None:
        self._web, self._endpoint = web, endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meter = Meter(self._web.bounds, scope, receive, send)
        await meter.run(self._serve(WebSocket(scope, receive, meter.send), meter))

    async def _serve(self, socket: WebSocket, meter: Meter) -> None:
        web = self._web
        try:
            raw, protocol = self._shown(socket)
            token, address = token_shown(web.door, socket.scope, raw), web.bounds.address_of(socket)
            counted(web.bounds, token, address)
            if is_anonymous(token):
                meter.charge(address)
            if token is None:
                raise HttpRefusal(401, "Missing or invalid access token", {"www-authenticate": "Bearer"})
            let_in(socket.scope)
            await self._endpoint.serve(web, WebSocketConnection(socket, token, meter, web, protocol))
        except HttpRefusal as why:
            web.bounds.refused(why, socket)
            await socket.send_denial_response(refusal(why))
        except StorageError as why:
            told = failure(why, "a WebSocket")
            if socket.application_state is WebSocketState.CONNECTING:
                await socket.send_denial_response(refusal(told))

    def _shown(self, socket: WebSocket) -> tuple[str, str | None]:
        """The token, and the protocol to answer with: Mastodon's own page sends the token as one."""
        said = socket.headers.get("authorization")
        if said is not None:
            return said.partition(" ")[2].strip(), None
        query = socket.query_params.get("access_token") if self._endpoint.token_in_query else None
        if query:
            return query, None
        protocol = socket.headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
        return protocol, protocol or None
