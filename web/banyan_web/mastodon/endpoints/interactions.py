"""What one does with a post: favourite, reblog, bookmark, pin, vote; and who did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from banyan_web.endpoint import Do, DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entities.statuses import FAVOURITE, row_of, status, status_by_id, uri_of
from banyan_web.mastodon.entity_ids import repost_id
from banyan_web.mastodon.paging import places
from banyan_web.params import number, text, texts
from banyan_web.platform.requests import key_for
from banyan_web.refusals import HttpRefusal, there

ENDPOINTS = Endpoints()
LIMIT, MOST = 40, 80


async def _mine(web: DoorContext, ask: DoorRequest, uri: str) -> dict[str, Any]:
    """What one did with the post. Raises HttpRefusal."""
    found: dict[str, Any] = (await row_of(web, uri, ask.account))["mine"]
    return found


@ENDPOINTS.post("/api/v1/statuses/{id}/favourite", "write:favourites")
async def favourite(web: DoorContext, ask: DoorRequest) -> Any:
    uri = await uri_of(web, ask.path["id"])
    if not (await _mine(web, ask, uri))["reactions"]:
        await web.call("react", uri=uri, emoji=FAVOURITE, by=ask.account)
    return await status(web, uri, ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/unfavourite", "write:favourites")
async def unfavourite(web: DoorContext, ask: DoorRequest) -> Any:
    """Takes back every reaction, because each counts as a favourite."""
    uri = await uri_of(web, ask.path["id"])
    for emoji in (await _mine(web, ask, uri))["reactions"]:
        await web.call("react", uri=uri, emoji=emoji, undo=True, by=ask.account)
    return await status(web, uri, ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/reblog", "write:statuses")
async def reblog(web: DoorContext, ask: DoorRequest) -> Any:
    uri = await uri_of(web, ask.path["id"])
    if text(ask.params, "visibility", "public") not in ("public", "unlisted"):
        raise HttpRefusal(422, "Reposts here are public; this one was not made.")
    await web.call("repost", uri=uri, by=ask.account)
    when = (await _mine(web, ask, uri))["reposted_ms"]
    return await status_by_id(web, repost_id(uri, ask.account, when), ask.account)


def _act(method: str, undo: bool = False, unless: Callable[[dict[str, Any]], object] | None = None) -> Do:
    """What an endpoint does with the post of the path, or takes back. unless: of what one did with it so far."""

    async def do(web: DoorContext, ask: DoorRequest) -> Any:
        uri = await uri_of(web, ask.path["id"])
        if method == "pin" and uri.partition("/")[0] != ask.account:
            raise HttpRefusal(422, "Validation failed: Someone else's post cannot be pinned")
        if unless is None or not unless(await _mine(web, ask, uri)):
            await web.call(method, uri=uri, undo=undo, by=ask.account)
        return await status(web, uri, ask.account)

    return do


for _name, _scope, _do in (
    ("unreblog", "write:statuses", _act("repost", True, lambda mine: mine["reposted_ms"] is None)),
    ("bookmark", "write:bookmarks", _act("bookmark", False, lambda mine: mine["bookmarked"])),
    ("unbookmark", "write:bookmarks", _act("bookmark", True, lambda mine: not mine["bookmarked"])),
    ("pin", "write:accounts", _act("pin", False, lambda mine: mine["pinned"])),
    ("unpin", "write:accounts", _act("pin", True, lambda mine: not mine["pinned"])),
    # nothing more is told of the conversation: one's own devices know it, and nobody else
    ("mute", "write:mutes", _act("conversation.mute")),
    ("unmute", "write:mutes", _act("conversation.mute", True)),
):
    ENDPOINTS.post(f"/api/v1/statuses/{{id}}/{_name}", _scope)(_do)


def _people(method: str, rows: str) -> Do:
    async def do(web: DoorContext, ask: DoorRequest) -> Any:
        uri = await uri_of(web, ask.path["id"])
        await row_of(web, uri, ask.reader)
        place = text(ask.params, "max_id", "")
        after = f"{int(place):x}"[1:] if place.isascii() and place.isdigit() and len(place) < 700 else None
        limit = number(ask.params, "limit", LIMIT, MOST)
        found = await web.call(method, uri=uri, by=ask.reader, limit=limit, after=after or None)
        if found["after"] is not None:  # a 1 before it keeps its zeros
            places([("next", "max_id", str(int("1" + found["after"], 16)))], web, ask)
        return list((await accounts(web, [one["account"] for one in found[rows]])).values())

    return do


ENDPOINTS.get("/api/v1/statuses/{id}/favourited_by")(_people("reactions", "reactions"))
ENDPOINTS.get("/api/v1/statuses/{id}/reblogged_by")(_people("reposts", "accounts"))


# -- polls


@ENDPOINTS.get("/api/v1/polls/{id}")
async def show_poll(web: DoorContext, ask: DoorRequest) -> Any:
    return await _poll(web, ask, await uri_of(web, ask.path["id"]))


@ENDPOINTS.post("/api/v1/polls/{id}/votes", "write:statuses")
async def vote(web: DoorContext, ask: DoorRequest) -> Any:
    uri = await uri_of(web, ask.path["id"])
    found = await _poll(web, ask, uri)
    choices = texts(ask.params, "choices")
    if not choices or not all(one.isascii() and one.isdigit() and len(one) < 4 for one in choices):
        raise HttpRefusal(422, "choices is a list of numbers of options, from 0.")
    if found["voted"] and not found["own_votes"]:
        raise HttpRefusal(422, "Validation failed: You cannot vote in your own polls")
    if key_for(ask) and found["own_votes"] == sorted(map(int, choices)):
        return found  # sent again
    if found["own_votes"]:
        raise HttpRefusal(422, "Validation failed: You have already voted on this poll")
    if any(int(one) >= len(found["options"]) for one in choices):
        raise HttpRefusal(422, "Validation failed: The chosen vote option does not exist")
    await web.call("vote", uri=uri, options=[int(one) for one in choices], by=ask.account)
    return await _poll(web, ask, uri)


async def _poll(web: DoorContext, ask: DoorRequest, uri: str) -> dict[str, Any]:
    found: dict[str, Any] | None = (await status(web, uri, ask.reader))["poll"]
    return there(found)
