"""What a person who is logged in does: HTML forms, which work without JavaScript, and lead back to where they were."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.page.rendering import as_page, reader, render
from banyan_web.page.visitor import Visitor, local, writing
from banyan_web.params import text, texts
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
CHUNK = 262_144
"""Bytes of a chunk of an upload."""
FAVOURITE = "❤️"
A_DAY_MS = 24 * 3_600_000


def _form(path: str, files: bool = False) -> Callable[[Callable[[Web, Ask, Visitor], Awaitable[str | None]]], None]:
    """Declares what a form does. It returns where it leads; None: where the form says."""

    def declare(do: Callable[[Web, Ask, Visitor], Awaitable[str | None]]) -> None:
        @ENDPOINTS.post(path, files=files)
        @as_page
        async def done(web: Web, ask: Ask) -> Response:
            me = writing(web, ask)
            to = await do(web, ask, me)
            return RedirectResponse(to or local(ask.params.get("to")), 303)

    return declare


@_form("/post", files=True)
async def post(web: Web, ask: Ask, me: Visitor) -> str | None:
    """A post or a reply, with pictures and a poll."""
    given = ask.params
    files, alts = given.get("media", []), texts(given, "alt")
    if not isinstance(files, list) or not all(isinstance(one, str | UploadFile) for one in files):
        raise Refused(422, "media is a list of files.")
    media = [
        {"blob": await _put(web, one), "description": (alts[n : n + 1] or [""])[0].strip() or None}
        for n, one in enumerate(files)
        if isinstance(one, UploadFile) and one.filename
    ]
    options = [one.strip() for one in texts(given, "options") if one.strip()]
    closes = time.time_ns() // 1_000_000 + A_DAY_MS
    said: dict[str, Any] = {
        "text": text(given, "text", ""),
        "warning": text(given, "warning", "").strip() or None,
        "audience": "unlisted" if given.get("unlisted") else None,
        "media": media or None,
        "poll": {"options": options, "closes_ms": closes} if options else None,
    }
    reply = text(given, "reply", "") or None
    await web.call("reply" if reply else "post", by=me.did, uri=reply, **said)
    return None


async def _put(web: Web, file: UploadFile) -> str:
    """The blob of a file that a form brought."""
    raw = await file.read()
    chunks = [raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK)]
    if not chunks:
        raise Refused(422, "The file is empty.")
    begun = await web.call("upload.begin", size=len(raw), hashes=[sha256(chunk).hexdigest() for chunk in chunks])
    for number in begun["missing"]:
        data = b64encode(chunks[number]).decode()
        await web.call("upload.chunk", upload=begun["upload"], number=number, data=data)
    return str((await web.call("media.put", upload=begun["upload"]))["blob"])


@_form("/favourite")
async def favourite(web: Web, ask: Ask, me: Visitor) -> None:
    """Reacts with a heart, or takes it back."""
    uri = text(ask.params, "uri")
    await _toggle(web, "react", uri=uri, emoji=FAVOURITE, by=me.did)


@_form("/boost")
async def boost(web: Web, ask: Ask, me: Visitor) -> None:
    """Shares a post, or takes that back."""
    await _toggle(web, "repost", uri=text(ask.params, "uri"), by=me.did)


async def _toggle(web: Web, method: str, **params: Any) -> None:
    """Takes it back if it is there; otherwise does it."""
    try:
        await web.call(method, undo=True, **params)
    except Refused as why:
        if why.status != 404:
            raise
        await web.call(method, **params)


@_form("/delete")
async def delete(web: Web, ask: Ask, me: Visitor) -> None:
    """Deletes a post of one's own."""
    uri = text(ask.params, "uri")
    if uri.partition("/")[0] != me.did:
        raise Refused(403, "Only posts of one's own can be deleted.")
    await web.call("delete", uri=uri)


@_form("/follow")
async def follow(web: Web, ask: Ask, me: Visitor) -> None:
    """Follows an account."""
    await web.call("follow", account=text(ask.params, "account"), by=me.did)


@_form("/unfollow")
async def unfollow(web: Web, ask: Ask, me: Visitor) -> None:
    """Follows it no more."""
    await web.call("unfollow", account=text(ask.params, "account"), by=me.did)


@_form("/vote")
async def vote(web: Web, ask: Ask, me: Visitor) -> None:
    """Votes in a poll."""
    chosen = [int(one) for one in texts(ask.params, "options") if one.isascii() and one.isdigit() and len(one) < 4]
    await web.call("vote", uri=text(ask.params, "uri"), options=chosen, by=me.did)


@ENDPOINTS.get("/notifications")
@as_page
async def notifications(web: Web, ask: Ask) -> Response:
    """What the visitor hears of. Reading the first page marks it as read."""
    me = reader(web, ask)
    if me is None:
        raise Refused(401, "Log in first.")
    before = text(ask.params, "before", "") or None
    found = await web.call("notifications", before=before, by=me.did)
    answer = await render(web, ask, "notifications.html", notices=found["notices"], before=found["before"])
    if before is None and found["notices"]:
        with suppress(Refused):  # nothing is written for a suspended account, which reads all the same
            await web.call("marker.set", timeline="notifications", place=found["notices"][0]["at"], by=me.did)
    return answer
