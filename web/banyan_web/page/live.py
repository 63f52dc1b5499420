"""What arrives at the node, as it comes: events for a browser (SSE).

A stream tells of new posts, of peers, and of posts about which moderators decided. It makes no more than RATE events a
second, and says how many it left out; of decisions it leaves out none.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, NamedTuple

import anyio
import msgspec
from cachetools import FIFOCache
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.operator_errors import CallError
from banyan_node.server.blob_files import until_gone
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.statuses import row_of
from banyan_web.oauth.sessions import visitor_of
from banyan_web.page.formats import post_path, readable
from banyan_web.page.rendering import page, render
from banyan_web.refusals import HttpRefusal, of_call, too_much

ENDPOINTS = Endpoints()
RATE, LOOKED = 20, 40
"""Events a second, of one stream; and how many are looked at for that: those who watch may hide many of them."""
STREAMS, MADE = 200, 128
"""Open at once; and how much is kept of what was made of events."""
FRESH_MS, ASIDE = 60_000, 200
"""How old a post may be that is told as new; and how many other entries may have arrived among those of an event."""
BEAT_S = 15.0
"""Seconds after which a silent stream says that it lives."""


@page(ENDPOINTS, "/live")
async def live(web: DoorContext, ask: DoorRequest) -> Response:
    """The page that shows the events."""
    return await render(web, ask, "live.html")


class _Eyes(NamedTuple):
    """Who watches. reader: a DID, or None. where: which filters of theirs count, those of `home` or of `public`."""

    reader: str | None
    where: str


class _Happened(NamedTuple):
    """An event of a stream before it is known who watches. uri: of the post whose words are to be told with it.
    account: that it is about, if it is about no post."""

    kind: str
    data: dict[str, Any]
    account: str | None = None
    uri: str | None = None


class _Once:
    """What is made by whoever asks first; others wait for it."""

    def __init__(self) -> None:
        self.turn = anyio.Lock()
        self.made: Any = None


class _LiveStreams:
    """The open streams, and what was made of the last events. What does not depend on who watches, and what everybody
    sees who is not logged in, is made once, however many watch."""

    def __init__(self) -> None:
        self.open = 0
        self._made: FIFOCache[str, _Once] = FIFOCache(MADE)
        """By what was told: events that no entry tells share a cursor."""

    async def of(self, web: DoorContext, value: dict[str, Any], eyes: _Eyes) -> list[tuple[str, Any]]:
        """What a stream tells of an event: kind and data."""
        event = f"{web.url} {msgspec.json.encode(value).decode()}"
        happened: list[_Happened] = await self._once(event, partial(_happened, web, value))
        seen = partial(_seen, web, happened, eyes)
        return await (seen() if eyes.reader is not None else self._once(f"{event} {eyes.where}", seen))

    async def _once(self, name: str, make: Callable[[], Awaitable[Any]]) -> Any:
        one = self._made.setdefault(name, _Once())
        async with one.turn:
            if one.made is None:
                one.made = await make()
        return one.made


_STREAMS = _LiveStreams()


@ENDPOINTS.get("/live/events")
async def events(web: DoorContext, ask: DoorRequest) -> Response:
    """The events, as SSE: `begin` (its id is where), `post`, `said` (an account signed something, and no new
    post), `peer`,
    `judged` (a post is shown otherwise now, or not at all), `more`. A browser that comes again goes on where
    it was, if the node can.

    Who is logged in hears nothing of whom its timelines hide, and no post that they hide: with `where=home` the home
    timeline, else the public ones."""
    demand_room(web)
    me, since = visitor_of(web, ask), ask.request.headers.get("last-event-id", "")
    eyes = _Eyes(me and me.did, "home" if ask.params.get("where") == "home" else "public")
    try:
        told = await _listening(web, eyes, {"since": since} if since else {})
    except CallError:
        try:
            told = await _listening(web, eyes, {})
        except CallError as why:
            raise of_call(why) from why
    return EventStream(told)


async def _listening(web: DoorContext, eyes: _Eyes, params: Mapping[str, str]) -> AsyncGenerator[bytes, None]:
    """What is told, begun: nothing is missed that happens after the answer."""
    told = _told(web, await web.backend.events(params), eyes)
    await anext(told)
    return told


def demand_room(web: DoorContext) -> None:
    """Raises HttpRefusal if as many streams are open as there may be."""
    if _STREAMS.open >= web.bounds.share(STREAMS):
        raise too_much("streams", "Too many watch; try again soon.", status=503)


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
                with suppress(CallError):  # the node is gone; the browser comes again
                    async for raw in told:
                        await piece(raw)
                await piece(b"", False)
                tasks.cancel_scope.cancel()
        finally:
            _STREAMS.open -= 1


async def _told(web: DoorContext, source: AsyncGenerator[Any, None], eyes: _Eyes) -> AsyncGenerator[bytes, None]:
    """Nothing, once it listens; where it begins; then the events as text, no more than RATE a second, of LOOKED that
    are looked at."""
    second, made, looked, left = 0, 0, 0, 0
    async with aclosing(source):
        begin = await anext(source, None)
        yield b""
        if begin is not None:
            yield event_text("begin", begin["cursor"], None)
        async for event in source:
            value = msgspec.to_builtins(event)
            now = int(time.monotonic())
            if now != second:
                if left:
                    yield event_text("more", value["cursor"], {"count": left})
                second, made, looked, left = now, 0, 0, 0
            if (made >= RATE or looked >= LOOKED) and value["event"] != "judged":
                left += 1
                continue
            looked += 1
            for kind, data in await _STREAMS.of(web, value, eyes):
                made += 1
                yield event_text(kind, value["cursor"], data)


def event_text(kind: str, cursor: str, data: Any) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (kind.encode(), cursor.encode(), msgspec.json.encode(data))


async def _happened(web: DoorContext, value: dict[str, Any]) -> list[_Happened]:
    kind = value["event"]
    if kind in ("peer_up", "peer_down"):
        return [_Happened("peer", {"peer": value["peer"], "up": kind == "peer_up", "time_ms": value["time_ms"]})]
    if kind == "judged":
        return [_Happened("judged", _address(post["uri"]), uri=post["uri"]) for post in value["posts"]]
    if kind != "entries":
        return []
    account = value["log"]["account"]
    try:
        written, hidden = await _written(web, value)
        name = (await web.call("profile.get", account=account))["name"]
    except HttpRefusal:
        return []
    said = {"account": account, "name": readable(name), "entries": value["entries"], "time_ms": value["time_ms"]}
    posts = [
        _Happened("post", {**said, **_address(uri), "time_ms": ms}, uri=uri)
        for uri, ms in written
        if value["time_ms"] - ms < FRESH_MS
    ]
    posts += [_Happened("judged", _address(uri), uri=uri) for uri in hidden]
    return posts or [_Happened("said", said, account)]


async def _written(web: DoorContext, value: Mapping[str, Any]) -> tuple[list[tuple[str, int]], list[str]]:
    """The posts that these entries brought, each with its time, the oldest first; and those that they hide, or show
    again."""
    log, (store, _, n) = value["log"], value["cursor"].partition("-")
    since = f"{store}-{max(0, int(n) - value['entries'] - ASIDE)}"
    found = await web.call("firehose", since=since, accounts=[log["account"]], collections=["post", "hidden"])
    entries = range(value["length"] - value["entries"], value["length"])
    events = [
        one
        for one in found["events"]
        if one["content"] is not None
        if one["seq"] in entries and (one["writer"], one["log"]) == (log["writer"], log["log"])
    ]
    return [
        (one["uri"], min(one["time_ms"], one["content"]["created_ms"] or one["time_ms"]))
        for one in events
        if (one["collection"], one["kind"]) == ("post", "create")
    ], [f"{one['content']['account']}/{one['content']['key']}" for one in events if one["collection"] == "hidden"]


async def _seen(web: DoorContext, happened: Iterable[_Happened], eyes: _Eyes) -> list[tuple[str, Any]]:
    """What of it is told to who watches. `shown` of a post that was judged: whether they see it in timelines."""
    told = list[tuple[str, Any]]()
    for kind, data, account, uri in happened:
        row = None if uri is None else await _row(web, uri, eyes)
        if kind == "judged":
            told.append((kind, {**data, "shown": row is not None, **_words(row)}))
        elif row is not None:
            told.append((kind, {**data, **_words(row)}))
        elif uri is None and (account is None or await _sees(web, account, eyes)):
            told.append((kind, data))
    return told


async def _sees(web: DoorContext, account: str, eyes: _Eyes) -> bool:
    try:
        return bool((await web.call("accounts.seen", accounts=[account], by=eyes.reader))["seen"][0])
    except HttpRefusal:
        return False


async def _row(web: DoorContext, uri: str, eyes: _Eyes) -> Mapping[str, Any] | None:
    """The post as the timelines show it; None if they do not. An unlisted one stands at home alone."""
    try:
        row = await row_of(web, uri, eyes.reader, eyes.where, seen=True)
        if row["audience"] == "public":
            return row
        if eyes.reader is None or eyes.where != "home":
            return None
        if row["account"] == eyes.reader:
            return row
        found = await web.call("relationships", accounts=[row["account"]], by=eyes.reader)
    except HttpRefusal:
        return None
    return row if found["relationships"][0]["following"] else None


def _address(uri: str) -> dict[str, Any]:
    return {"uri": uri, "path": post_path(uri)}


def _words(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """text: None if it stands behind a warning, or is not shown."""
    if row is None:
        return {"text": None, "warning": None}
    warned = row["warning"] or row["label"] or row["filtered"]
    return {"text": None if warned else readable(row["text"])[:400], "warning": warned}
