"""What arrives at the node, as it comes: events for a browser (SSE).

A stream tells of new posts, of peers, and of posts about which moderators decided. It makes no more than RATE events a
second, and says how many it left out; of decisions it leaves out none.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import anyio
import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.operator_errors import CallError
from banyan_node.server.blob_files import until_gone
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.mastodon.entities.statuses import row_of
from banyan_web.mastodon.moderated import is_limited
from banyan_web.page.rendering import as_page, render
from banyan_web.page.texts import post_path, readable
from banyan_web.refusals import Refused, of_call

ENDPOINTS = Endpoints()
RATE = 20
"""Events a second, of one stream."""
STREAMS, MADE = 200, 64
"""Open at once, and events of which what was made is kept."""
BEAT_S = 15.0
"""Seconds after which a silent stream says that it lives."""


@ENDPOINTS.get("/live")
@as_page
async def live(web: Web, ask: Ask) -> Response:
    """The page that shows the events."""
    return await render(web, ask, "live.html")


class _Streams:
    """The open streams, and what was made of the last events: each is made once, however many watch."""

    def __init__(self) -> None:
        self.open = 0
        self._made: OrderedDict[str, list[tuple[str, Any]]] = OrderedDict()
        """By what was told: events that no entry tells share a cursor."""

    async def of(self, web: Web, value: dict[str, Any]) -> list[tuple[str, Any]]:
        """What a stream tells of an event: kind and data."""
        event = f"{web.url} {msgspec.json.encode(value).decode()}"
        if event not in self._made:
            self._made[event] = await _of(web, value)
            while len(self._made) > MADE:
                self._made.popitem(last=False)
        return self._made[event]


_STREAMS = _Streams()


@ENDPOINTS.get("/live/events")
async def events(web: Web, ask: Ask) -> Response:
    """The events, as SSE: `post`, `said` (an account signed something else), `peer`, `judged` (a post is shown
    otherwise now, or not at all), `more`. A browser that comes again
    goes on where it was, if the node can."""
    demand_room(web)
    since = ask.request.headers.get("last-event-id", "")
    try:
        source = await web.backend.events({"since": since} if since else {})
    except CallError:
        try:
            source = await web.backend.events({})
        except CallError as why:
            raise of_call(why) from why
    return EventStream(_told(web, source))


def demand_room(web: Web) -> None:
    """Raises Refused if as many streams are open as there may be."""
    if _STREAMS.open >= web.bounds.share(STREAMS):
        raise Refused(503, "Too many watch; try again soon.", {"retry-after": "10"})


class EventStream(Response):
    """Server-sent events until the browser leaves or the node stops."""

    media_type = "text/event-stream"

    def __init__(self, told: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers={"cache-control": "no-store", "connection": "close", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._told = told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def piece(raw: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": raw, "more_body": more})

        async def beat() -> None:
            while True:
                await anyio.sleep(BEAT_S)
                await piece(b": here\n\n")

        _STREAMS.open += 1
        try:
            async with aclosing(self._told) as told, anyio.create_task_group() as tasks:
                tasks.start_soon(until_gone, receive, tasks.cancel_scope)
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await piece(b"retry: 3000\n\n")
                tasks.start_soon(beat)
                async for raw in told:
                    await piece(raw)
                await piece(b"", False)
                tasks.cancel_scope.cancel()
        finally:
            _STREAMS.open -= 1


async def _told(web: Web, source: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    """The events as text, no more than RATE a second."""
    second, made, left = 0, 0, 0
    async with aclosing(source):
        async for event in source:
            value = msgspec.to_builtins(event)
            now = int(time.monotonic())
            if now != second:
                if left:
                    yield event_text("more", value["cursor"], {"count": left})
                second, made, left = now, 0, 0
            if made >= RATE and value["event"] != "judged":
                left += 1
                continue
            for kind, data in await _STREAMS.of(web, value):
                made += 1
                yield event_text(kind, value["cursor"], data)


def event_text(kind: str, cursor: str, data: Any) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), cursor.encode(), msgspec.json.encode(data))


async def _of(web: Web, value: dict[str, Any]) -> list[tuple[str, Any]]:
    kind = value["event"]
    if kind in ("peer_up", "peer_down"):
        return [("peer", {"peer": value["peer"], "up": kind == "peer_up", "time_ms": value["time_ms"]})]
    if kind == "judged":
        return [("judged", await _judged(web, post["uri"])) for post in value["posts"]]
    if kind != "entries":
        return []
    account = value["log"]["account"]
    try:
        if await is_limited(web, account):
            return []
        found = await web.call("feed", account=account, reposts=False, limit=1, by=None)
        name = (await web.call("profile.get", account=account))["name"]
    except Refused:
        return []
    said = {"account": account, "name": readable(name), "entries": value["entries"], "time_ms": value["time_ms"]}
    row = found["posts"][0] if found["posts"] else None
    if row and row["audience"] == "public" and value["time_ms"] - row["time_ms"] < 60_000:
        post = {"uri": row["uri"], "path": post_path(row["uri"]), "time_ms": row["time_ms"]}
        return [("post", said | post | _words(row))]
    return [("said", said)]


def _words(row: Mapping[str, Any]) -> dict[str, Any]:
    warned = row["warning"] or row["label"]
    return {"text": None if warned else readable(row["text"])[:400], "warning": warned}


async def _judged(web: Web, uri: str) -> dict[str, Any]:
    """shown: whether everybody sees it."""
    said = {"uri": uri, "path": post_path(uri)}
    try:
        row = await row_of(web, uri, None)
        shown = row["audience"] == "public" and not await is_limited(web, row["account"])
    except Refused:
        shown = False
    return {**said, "shown": shown, **(_words(row) if shown else {"text": None, "warning": None})}
