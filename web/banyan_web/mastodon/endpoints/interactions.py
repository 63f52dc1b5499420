"""What one does with a post: favourite, reblog, bookmark, pin, vote; and who did."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entities.statuses import FAVOURITE, GONE, row_of, status, status_by_id, uri_of
from banyan_web.mastodon.entity_ids import repost_id
from banyan_web.mastodon.paging import places
from banyan_web.params import number, text, texts
from banyan_web.refusals import HttpRefusal

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


@ENDPOINTS.post("/api/v1/statuses/{id}/unreblog", "write:statuses")
async def unreblog(web: DoorContext, ask: DoorRequest) -> Any:
    uri = await uri_of(web, ask.path["id"])
    if (await _mine(web, ask, uri))["reposted_ms"] is not None:
        await web.call("repost", uri=uri, undo=True, by=ask.account)
    return await status(web, uri, ask.account)


async def _bookmarked(web: DoorContext, ask: DoorRequest, wanted: bool) -> Any:
    uri = await uri_of(web, ask.path["id"])
    if (await _mine(web, ask, uri))["bookmarked"] != wanted:
        await web.call("bookmark", uri=uri, undo=not wanted, by=ask.account)
    return await status(web, uri, ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/bookmark", "write:bookmarks")
async def bookmark(web: DoorContext, ask: DoorRequest) -> Any:
    return await _bookmarked(web, ask, True)


@ENDPOINTS.post("/api/v1/statuses/{id}/unbookmark", "write:bookmarks")
async def unbookmark(web: DoorContext, ask: DoorRequest) -> Any:
    return await _bookmarked(web, ask, False)


async def _pinned(web: DoorContext, ask: DoorRequest, wanted: bool) -> Any:
    uri = await uri_of(web, ask.path["id"])
    if uri.partition("/")[0] != ask.account:
        raise HttpRefusal(422, "Validation failed: Someone else's post cannot be pinned")
    if (await _mine(web, ask, uri))["pinned"] != wanted:
        await web.call("pin", uri=uri, undo=not wanted, by=ask.account)
    return await status(web, uri, ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/pin", "write:accounts")
async def pin(web: DoorContext, ask: DoorRequest) -> Any:
    return await _pinned(web, ask, True)


@ENDPOINTS.post("/api/v1/statuses/{id}/unpin", "write:accounts")
async def unpin(web: DoorContext, ask: DoorRequest) -> Any:
    return await _pinned(web, ask, False)


@ENDPOINTS.post("/api/v1/statuses/{id}/mute", "write:mutes")
async def mute(web: DoorContext, ask: DoorRequest) -> Any:
    """Nothing more is told of the conversation. One's own devices know it, and nobody else."""
    uri = await uri_of(web, ask.path["id"])
    await web.call("conversation.mute", uri=uri, by=ask.account)
    return await status(web, uri, ask.account)


@ENDPOINTS.post("/api/v1/statuses/{id}/unmute", "write:mutes")
async def unmute(web: DoorContext, ask: DoorRequest) -> Any:
    uri = await uri_of(web, ask.path["id"])
    await web.call("conversation.mute", uri=uri, undo=True, by=ask.account)
    return await status(web, uri, ask.account)


async def _people(web: DoorContext, ask: DoorRequest, method: str, rows: str) -> Any:
    uri = await uri_of(web, ask.path["id"])
    await row_of(web, uri, ask.reader)
    place = text(ask.params, "max_id", "")
    after = f"{int(place):x}"[1:] if place.isascii() and place.isdigit() and len(place) < 700 else None
    limit = number(ask.params, "limit", LIMIT, MOST)
    found = await web.call(method, uri=uri, by=ask.reader, limit=limit, after=after or None)
    if found["after"] is not None:  # a 1 before it keeps its zeros
        places([("next", "max_id", str(int("1" + found["after"], 16)))], web, ask)
    return list((await accounts(web, [one["account"] for one in found[rows]])).values())


@ENDPOINTS.get("/api/v1/statuses/{id}/favourited_by")
async def favourited_by(web: DoorContext, ask: DoorRequest) -> Any:
    return await _people(web, ask, "reactions", "reactions")


@ENDPOINTS.get("/api/v1/statuses/{id}/reblogged_by")
async def reblogged_by(web: DoorContext, ask: DoorRequest) -> Any:
    return await _people(web, ask, "reposts", "accounts")


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
    if found["own_votes"]:
        raise HttpRefusal(422, "Validation failed: You have already voted on this poll")
    if any(int(one) >= len(found["options"]) for one in choices):
        raise HttpRefusal(422, "Validation failed: The chosen vote option does not exist")
    await web.call("vote", uri=uri, options=[int(one) for one in choices], by=ask.account)
    return await _poll(web, ask, uri)


async def _poll(web: DoorContext, ask: DoorRequest, uri: str) -> dict[str, Any]:
    found = (await status(web, uri, ask.reader))["poll"]
    if found is None:
        raise HttpRefusal(404, GONE)
    poll: dict[str, Any] = found
    return poll
