"""Streams over WebSocket: many on one connection.

    GET /api/v1/streaming?access_token=...&stream=user
    {"type": "subscribe", "stream": "hashtag", "tag": "tết"}
    {"stream": ["user"], "event": "update", "payload": "{...}"}

The token can stand in the query, in Authorization, or in Sec-WebSocket-Protocol, as Mastodon's own page sends it.
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from starlette.websockets import WebSocketDisconnect

from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.streaming.app_streams import AppStream
from banyan_web.mastodon.streaming.channels import channel, check
from banyan_web.mastodon.streaming.endpoints import HEARTBEAT_S, refresh
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.params import nested
from banyan_web.refusals import Refused
from banyan_web.sockets import Connection, SocketEndpoint

MOST = 100
"""Streams of one connection."""
GOING_AWAY, NO_BYTES, TRY_LATER = 1001, 1003, 1013


async def _serve(web: DoorContext, to: Connection) -> None:
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


async def _tell(web: DoorContext, to: Connection, stream: AppStream) -> int:
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


async def _listen(web: DoorContext, to: Connection, stream: AppStream, scope: anyio.CancelScope) -> None:
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


async def _change(web: DoorContext, to: Connection, stream: AppStream, said: Any) -> None:
    """Subscribes or unsubscribes. Each message counts as a request, for it asks the node too."""
    try:
        to.count()
        if not isinstance(said, dict):
            raise Refused(400, "A message is a JSON object")
        asked = channel(said, said.get("stream"))
        if said.get("type") == "subscribe":
            check(to.token, asked)
            if len(stream.channels) >= MOST and not stream.listens(asked):
                raise Refused(429, f"A connection has at most {MOST} streams")
            await web.part(Hub).add(web, stream, asked)
        elif said.get("type") == "unsubscribe":
            web.part(Hub).remove(stream, asked)
        else:
            raise Refused(400, "The type of a message is subscribe or unsubscribe")
    except Refused as why:
        await to.say({"error": why.message, "status": why.status})
