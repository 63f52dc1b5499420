"""Streams over server-sent events: one connection for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from starlette.responses import Response

from banyan_node.server.http_connections import let_in
from banyan_web.door_store import Token
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.streaming.app_streams import AppStream
from banyan_web.mastodon.streaming.channels import StreamName, channel, check
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.open_streams import token_shown
from banyan_web.refusals import Refused
from banyan_web.streaming import LiveAnswer

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
async def health(web: DoorContext, ask: Ask) -> Any:
    return Response("OK", media_type="text/plain")


@ENDPOINTS.get(_ROOT)
async def nowhere_else(web: DoorContext, ask: Ask) -> Any:
    """Without an upgrade to WebSocket: an app asks so whether streams are on another host."""
    raise Refused(404, "Streams are at this host: connect by WebSocket, or ask for one below this path.")


def _add(path: str, name: str) -> None:
    @ENDPOINTS.get(f"{_ROOT}/{path}")
    async def stream(web: DoorContext, ask: Ask) -> Any:
        asked = channel(ask.params, name)
        token = check(ask.token or token_shown(web.door, ask.request.scope, raw_token(ask)), asked)
        let_in(ask.request.scope)
        pieces = _pieces(web, asked, token)
        return LiveAnswer(await anext(pieces), pieces, "text/event-stream")


for _path, _name in _PATHS.items():
    _add(_path, _name)


def raw_token(ask: Ask) -> str:
    """Of the header, or of the query: an EventSource of a browser can send no header. Only streams take it there."""
    said = ask.request.headers.get("authorization")
    given = ask.params.get("access_token", "") if said is None else said.partition(" ")[2].strip()
    return given if isinstance(given, str) else ""


async def _pieces(web: DoorContext, asked: StreamName, token: Token) -> AsyncGenerator[bytes, None]:
    """Raises Refused at the first one."""
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
        with suppress(Refused):
            await web.part(Hub).refresh(web, stream.person)
