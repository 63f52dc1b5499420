"""Streams over WebSocket: many on one connection.

    GET /api/v1/streaming?access_token=...&stream=user
    {"type": "subscribe", "stream": "hashtag", "tag": "tết"}
    {"stream": ["user"], "event": "update", "payload": "{...}"}

The token can stand in the query, in Authorization, or in Sec-WebSocket-Protocol, as Mastodon's own page sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from banyan_node.server.http_connections import let_in
from banyan_web.counting import counted
from banyan_web.door_store import Token
from banyan_web.endpoint import Web
from banyan_web.mastodon.streaming import hub
from banyan_web.mastodon.streaming.channels import channel, check
from banyan_web.mastodon.streaming.endpoints import HEARTBEAT_S, refresh
from banyan_web.open_streams import token_shown
from banyan_web.params import nested
from banyan_web.refusals import Refused, refusal

PATH = "/api/v1/streaming"
MOST = 100
"""Streams of one connection."""
GOING_AWAY, NO_BYTES, TRY_LATER = 1001, 1003, 1013


class Sockets:
    """The ASGI application at PATH."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        web, socket = self._web, WebSocket(scope, receive, send)
        raw, protocol = shown(socket)
        token = token_shown(web.door, scope, raw)
        try:
            counted(web.bounds, token, web.bounds.address_of(socket))
            if token is None:
                raise Refused(401, "Missing or invalid access token")
            let_in(scope)
            stream = await web.hub.open(web, token.account, token.allows("read:notifications"))
        except Refused as why:
            await socket.send_denial_response(refusal(why))
            return
        code: int | None = None
        try:
            await socket.accept(protocol)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, socket, stream, token, tasks.cancel_scope)
                code = await self._tell(socket, stream)
                tasks.cancel_scope.cancel()
            if code is not None:
                await socket.close(code)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client has left
        finally:
            web.hub.close(stream)

    async def _tell(self, socket: WebSocket, stream: hub.AppStream) -> int:
        """Until the stream ends. Returns the code to close with."""
        while stream.ended is None:
            message = await stream.get(HEARTBEAT_S)
            if message is not None and message.channel in stream.channels:
                said: dict[str, Any] = {"stream": stream.channels[message.channel], "event": message.event}
                if message.payload is not None:
                    said["payload"] = message.payload
                await socket.send_text(msgspec.json.encode(said).decode())
            elif message is None and stream.ended is None:
                await refresh(self._web, stream)
        return {"shutdown": GOING_AWAY, "bytes": NO_BYTES}.get(stream.ended, TRY_LATER)

    async def _listen(self, socket: WebSocket, stream: hub.AppStream, token: Token, scope: anyio.CancelScope) -> None:
        """Until the client leaves."""
        first = nested(socket.query_params.multi_items())
        if first.get("stream"):
            await self._change(socket, stream, token, {**first, "type": "subscribe"})
        while True:
            try:
                said: str | None = await socket.receive_text()
            except (WebSocketDisconnect, KeyError):
                scope.cancel()
                return
            if said is None:  # a message of bytes
                stream.end("bytes")
                return
            try:
                value = msgspec.json.decode(said)
            except (msgspec.DecodeError, RecursionError):
                value = None
            if isinstance(value, dict):
                await self._change(socket, stream, token, value)
            else:
                await _error(socket, Refused(400, "A message is a JSON object"))

    async def _change(self, socket: WebSocket, stream: hub.AppStream, token: Token, said: Mapping[str, Any]) -> None:
        """Subscribes or unsubscribes. Each message counts as a request, for it asks the node too."""
        try:
            counted(self._web.bounds, token, "")
            asked = channel(said, said.get("stream"))
            if said.get("type") == "subscribe":
                check(token, asked)
                if len(stream.channels) >= MOST and not stream.listens(asked):
                    raise Refused(429, f"A connection has at most {MOST} streams")
                await self._web.hub.add(self._web, stream, asked)
            elif said.get("type") == "unsubscribe":
                self._web.hub.remove(stream, asked)
            else:
                raise Refused(400, "The type of a message is subscribe or unsubscribe")
        except Refused as why:
            await _error(socket, why)


async def _error(socket: WebSocket, why: Refused) -> None:
    await socket.send_text(msgspec.json.encode({"error": why.message, "status": why.status}).decode())


def shown(socket: WebSocket, in_query: bool = True) -> tuple[str, str | None]:
    """The token that is shown, and the protocol to answer with. in_query: it may stand in the address, as apps of
    Mastodon put it there."""
    said = socket.headers.get("authorization")
    if said is not None:
        return said.partition(" ")[2].strip(), None
    query = socket.query_params.get("access_token") if in_query else None
    if query:
        return query, None
    protocol = socket.headers.get("sec-websocket-protocol", "").partition(",")[0].strip()
    return protocol, protocol or None
