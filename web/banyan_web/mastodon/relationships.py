"""What somebody does to another account: follow, block, mute, note; and those who ask to follow."""

from __future__ import annotations

import re
import time
from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.entities.accounts import relationship
from banyan_web.mastodon.entity_ids import account_id, did_of
from banyan_web.mastodon.paging import between
from banyan_web.params import number, text, texts, truthy
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
PAGE, MOST = 40, 80
LONGEST_S = 100 * 366 * 86_400
"""The longest mute that ends."""
_LANGUAGE = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,6})?")


async def _done(web: DoorContext, ask: DoorRequest) -> dict[str, Any]:
    return await relationship(web, ask.account, did_of(ask.path["id"]))


async def _undone(web: DoorContext, ask: DoorRequest, method: str, **params: Any) -> dict[str, Any]:
    """Takes something back; it is no mistake if there is nothing to take back, as with Mastodon."""
    try:
        await web.call(method, account=did_of(ask.path["id"]), by=ask.account, **params)
    except HttpRefusal as why:
        if why.status != 404:
            raise
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/follow", "write:follows")
async def follow(web: DoorContext, ask: DoorRequest) -> Any:
    """Again, of somebody whom one follows, it changes which posts are at home. Of `notify` the network knows
    nothing."""
    other, params = did_of(ask.path["id"]), ask.params
    langs = [one for one in texts(params, "languages") if one]
    if not all(_LANGUAGE.fullmatch(one) for one in langs):
        raise HttpRefusal(422, "languages[] are tags such as vi or en.")
    await web.call("follow", account=other, by=ask.account)
    if {"reblogs", "languages"} & params.keys():
        (known,) = (await web.call("relationships", accounts=[other], by=ask.account))["relationships"]
        wish = {"reposts": truthy(params, "reblogs", known["reposts"])}
        wanted = langs if "languages" in params else known["langs"]
        await web.call("follow.wish", account=other, **wish, langs=wanted or None, by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/unfollow", "write:follows")
async def unfollow(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("follow.wish", account=did_of(ask.path["id"]), by=ask.account)
    return await _undone(web, ask, "unfollow")


@ENDPOINTS.post("/api/v1/accounts/{id}/block", "write:blocks")
async def block(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("block", account=did_of(ask.path["id"]), by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/unblock", "write:blocks")
async def unblock(web: DoorContext, ask: DoorRequest) -> Any:
    return await _undone(web, ask, "block", undo=True)


@ENDPOINTS.post("/api/v1/accounts/{id}/mute", "write:mutes")
async def mute(web: DoorContext, ask: DoorRequest) -> Any:
    """Notifications are muted too: the network has no mute without them."""
    seconds = number(ask.params, "duration", 0, LONGEST_S, 0)
    until = int((time.time() + seconds) * 1_000) if seconds else None
    await web.call("mute", account=did_of(ask.path["id"]), until=until, by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/accounts/{id}/unmute", "write:mutes")
async def unmute(web: DoorContext, ask: DoorRequest) -> Any:
    return await _undone(web, ask, "mute", undo=True)


@ENDPOINTS.post("/api/v1/accounts/{id}/note", "write:accounts")
async def note(web: DoorContext, ask: DoorRequest) -> Any:
    return await _undone(web, ask, "note.set", text=text(ask.params, "comment", ""))


@ENDPOINTS.post("/api/v1/accounts/{id}/remove_from_followers", "write:follows")
async def remove(web: DoorContext, ask: DoorRequest) -> Any:
    """Only a locked account decides who follows it."""
    mine = (await accounts.profiles(web, [ask.account]))[ask.account]
    if not mine["locked"]:
        says = "Your account is not locked, so everybody may follow it: lock it first, or block this account."
        raise HttpRefusal(422, says)
    return await _undone(web, ask, "follow.accept", undo=True)


@ENDPOINTS.get("/api/v1/follow_requests", "read:follows")
async def requests(web: DoorContext, ask: DoorRequest) -> Any:
    after = ask.params.get("max_id")
    found = await web.call(
        "follow.requests",
        after=did_of(text(ask.params, "max_id")) if after else None,
        limit=number(ask.params, "limit", PAGE, MOST),
        by=ask.account,
    )
    between(web, ask, None if found["after"] is None else account_id(found["after"]))
    return await accounts.listed(web, found["accounts"])


@ENDPOINTS.post("/api/v1/follow_requests/{id}/authorize", "write:follows")
async def authorize(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("follow.accept", account=did_of(ask.path["id"]), by=ask.account)
    return await _done(web, ask)


@ENDPOINTS.post("/api/v1/follow_requests/{id}/reject", "write:follows")
async def reject(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("follow.refuse", account=did_of(ask.path["id"]), by=ask.account)
    return await _done(web, ask)


def page_of(web: DoorContext, ask: DoorRequest, rows: list[dict[str, Any]], most: int = MOST) -> list[dict[str, Any]]:
    """A page of rows that have an `account`, by id; `limit` 0: all of them."""
    limit = number(ask.params, "limit", PAGE, most, 0) or len(rows)
    if ask.params.get("max_id"):
        last = did_of(text(ask.params, "max_id"))
        rows = [row for row in rows if account_id(row["account"]) > account_id(last)]
    if len(rows) > limit:
        between(web, ask, account_id(rows[limit - 1]["account"]))
    return rows[:limit]


@ENDPOINTS.get("/api/v1/blocks", "read:blocks")
async def blocks(web: DoorContext, ask: DoorRequest) -> Any:
    rows = (await web.call("blocks", by=ask.account))["blocks"]
    return await accounts.listed(web, page_of(web, ask, rows))


@ENDPOINTS.get("/api/v1/mutes", "read:mutes")
async def mutes(web: DoorContext, ask: DoorRequest) -> Any:
    rows = page_of(web, ask, (await web.call("mutes", by=ask.account))["mutes"])
    found = await accounts.listed(web, rows)
    until = [None if row["until"] is None else iso(row["until"]) for row in rows]
    return [{**one, "mute_expires_at": ends} for one, ends in zip(found, until, strict=True)]
