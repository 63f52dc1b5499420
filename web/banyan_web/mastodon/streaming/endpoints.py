"""Streams over server-sent events, one connection for each, and over WebSocket, many on one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import anyio
import msgspec
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from banyan_node.server.http_connections import let_in
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.streaming.app_streams import AppStream, StreamName, channel, check
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.open_streams import LiveAnswer, token_shown
from banyan_web.params import nested
from banyan_web.refusals import HttpRefusal
from banyan_web.websocket import SocketEndpoint, WebSocketConnection

ENDPOINTS = Endpoints()
HEARTBEAT_S = 15.0
_ROOT = "/api/v1/streaming"
_PATHS = {
    "user": "user",
    "user/notification": "user:notification",
    "public": "public",
    "public/local": "public:local",
    "public/remote": "public:remote",
    "hashtag": "hashtag",
    "hashtag/local": "hashtag:local",
    "list": "list",
    "direct": "direct",
}


@ENDPOINTS.get(f"{_ROOT}/health")
async def health(web: DoorContext, ask: DoorRequest) -> Any:
    return Response("OK", media_type="text/plain")


@ENDPOINTS.get(_ROOT)
async def nowhere_else(web: DoorContext, ask: DoorRequest) -> Any:
    """Without an upgrade to WebSocket: an app asks so whether streams are on another host."""
    raise HttpRefusal(404, "Streams are at this host: connect by WebSocket, or ask for one below this path.")


def _add(path: str, name: str) -> None:
    @ENDPOINTS.get(f"{_ROOT}/{path}")
    async def stream(web: DoorContext, ask: DoorRequest) -> Any:
        asked = channel(ask.params, name)
        token = check(ask.token or token_shown(web.door, ask.request.scope, raw_token(ask)), asked)
        let_in(ask.request.scope)
        pieces = _pieces(web, asked, token)
        return LiveAnswer(await anext(pieces), pieces, "text/event-stream")


for _path, _name in _PATHS.items():
    _add(_path, _name)


def raw_token(ask: DoorRequest) -> str:
    """Of the header, or of the query: an EventSource of a browser can send no header. Only streams take it there."""
    said = ask.request.headers.get("authorization")
    given = ask.params.get("access_token", "") if said is None else said.partition(" ")[2].strip()
    return given if isinstance(given, str) else ""


async def _pieces(web: DoorContext, asked: StreamName, token: Token) -> AsyncGenerator[bytes, None]:
    """Raises HttpRefusal at the first one."""
    stream = await web.part(Hub).open(web, token.account, token.allows("read:notifications"))
    try:
        await web.part(Hub).add(web, stream, asked)
        yield b":)\n"
        while stream.ended is None:
            message = await stream.get(HEARTBEAT_S)
            if message is not None:
                yield b"event: %b\ndata: %b\n\n" % (message.event.encode(), (message.payload or "undefined").encode())
            elif stream.ended is None:
                await refresh(web, stream)
                yield b":thump\n"
    finally:
        web.part(Hub).close(stream)


async def refresh(web: DoorContext, stream: AppStream) -> None:
    """What is known of its account is read again, if that is long ago."""
    if stream.person is not None:
        with suppress(HttpRefusal):
            await web.part(Hub).refresh(web, stream.person)


# Over WebSocket:
#
#     GET /api/v1/streaming?access_token=...&stream=user
#     {"type": "subscribe", "stream": "hashtag", "tag": "tết"}
#     {"stream": ["user"], "event": "update", "payload": "{...}"}
#
# The token can stand in the query, in Authorization, or in Sec-WebSocket-Protocol, as Mastodon's own page sends it.

MOST = 100
"""Streams of one connection."""
GOING_AWAY, NO_BYTES, TRY_LATER = 1001, 1003, 1013


async def _serve(web: DoorContext, to: WebSocketConnection) -> None:
    stream = await web.part(Hub).open(web, to.token.account, to.token.allows("read:notifications"))
    code: int | None = None
    try:
        await to.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(to.meter.beside, _listen, web, to, stream, tasks.cancel_scope)
            code = await _tell(web, to, stream)
            tasks.cancel_scope.cancel()
        if code is not None:
            await to.socket.close(code)
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client has left
    finally:
        web.part(Hub).close(stream)


SOCKET = SocketEndpoint("/api/v1/streaming", True, _serve)


async def _tell(web: DoorContext, to: WebSocketConnection, stream: AppStream) -> int:
    """Until the stream ends. Returns the code to close with."""
    while stream.ended is None:
        message = await stream.get(HEARTBEAT_S)
        if message is not None and message.channel in stream.channels:
            said: dict[str, Any] = {"stream": stream.channels[message.channel], "event": message.event}
            if message.payload is not None:
                said["payload"] = message.payload
            await to.say(said)
        elif message is None and stream.ended is None:
            await refresh(web, stream)
    return {"shutdown": GOING_AWAY, "bytes": NO_BYTES}.get(stream.ended, TRY_LATER)


async def _listen(web: DoorContext, to: WebSocketConnection, stream: AppStream, scope: anyio.CancelScope) -> None:
    """Until the client leaves."""
    first = nested(to.socket.query_params.multi_items())
    if first.get("stream"):
        await _change(web, to, stream, {**first, "type": "subscribe"})
    while True:
        try:
            said: str | None = await to.socket.receive_text()
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
        await _change(web, to, stream, value)


async def _change(web: DoorContext, to: WebSocketConnection, stream: AppStream, said: Any) -> None:
    """Subscribes or unsubscribes. Each message counts as a request, for it asks the node too."""
    try:
        to.count()
        if not isinstance(said, dict):
            raise HttpRefusal(400, "A message is a JSON object")
        asked = channel(said, said.get("stream"))
        if said.get("type") == "subscribe":
            check(to.token, asked)
            if len(stream.channels) >= MOST and not stream.listens(asked):
                raise HttpRefusal(429, f"A connection has at most {MOST} streams", gate="streams")
            await web.part(Hub).add(web, stream, asked)
        elif said.get("type") == "unsubscribe":
            web.part(Hub).remove(stream, asked)
        else:
            raise HttpRefusal(400, "The type of a message is subscribe or unsubscribe")
    except HttpRefusal as why:
        web.bounds.refused(why, to.socket)
        await to.say({"error": why.message, "status": why.status})
