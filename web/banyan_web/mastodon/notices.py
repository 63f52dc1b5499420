"""Notifications, version 1; and what this server filters of them, which is nothing."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.noticing import (
    entities,
    notification,
    one_of,
    page_link,
    put_away,
    shown_of,
    told,
    wanted,
)
from banyan_web.params import number, text
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
COUNTED, COUNTED_MOST = 100, 1_000
"""Unread notifications that are counted, and at most."""


@ENDPOINTS.get("/api/v1/notifications", "read:notifications")
async def every(web: DoorContext, ask: Ask) -> Any:
    found, more = await told(web, ask.account, wanted(ask))
    page_link(web, ask, found, more)
    known = await entities(web, ask.account, found)
    return [notification(one, known) for one in shown_of(found, known)]


@ENDPOINTS.get("/api/v1/notifications/{id}", "read:notifications")
async def show(web: DoorContext, ask: Ask) -> Any:
    one = await one_of(web, ask.account, ask.path["id"])
    known = await entities(web, ask.account, [one])
    if not shown_of([one], known):
        raise Refused(404, "Record not found")
    return notification(one, known)


@ENDPOINTS.post("/api/v1/notifications/clear", "write:notifications")
async def clear(web: DoorContext, ask: Ask) -> Any:
    await web.call("notifications.clear", by=ask.account)
    return {}


@ENDPOINTS.post("/api/v1/notifications/{id}/dismiss", "write:notifications")
async def dismiss(web: DoorContext, ask: Ask) -> Any:
    await put_away(web, ask.account, [await one_of(web, ask.account, ask.path["id"])])
    return {}


@ENDPOINTS.post("/api/v1/notifications/dismiss", "write:notifications")
async def old_dismiss(web: DoorContext, ask: Ask) -> Any:
    """As clients of old servers ask for it."""
    await put_away(web, ask.account, [await one_of(web, ask.account, text(ask.params, "id"))])
    return {}


@ENDPOINTS.get("/api/v1/notifications/unread_count", "read:notifications")
async def unread(web: DoorContext, ask: Ask) -> Any:
    limit = number(ask.params, "limit", COUNTED, COUNTED_MOST)
    found, _ = await told(web, ask.account, wanted(ask)._replace(limit=limit))
    return {"count": sum(one.unread for one in found)}


# -- what is filtered: nothing

_SUMMARY = {"pending_requests_count": 0, "pending_notifications_count": 0}
_WHOM = ("not_following", "not_followers", "new_accounts", "private_mentions")


@ENDPOINTS.get("/api/v1/notifications/policy", "read:notifications")
async def old_policy(web: DoorContext, ask: Ask) -> Any:
    return {**{f"filter_{whom}": False for whom in _WHOM}, "summary": _SUMMARY}


@ENDPOINTS.get("/api/v2/notifications/policy", "read:notifications")
async def policy(web: DoorContext, ask: Ask) -> Any:
    return {**{f"for_{whom}": "accept" for whom in (*_WHOM, "limited_accounts")}, "summary": _SUMMARY}


@ENDPOINTS.put("/api/v1/notifications/policy", "write:notifications")
async def set_old_policy(web: DoorContext, ask: Ask) -> Any:
    return await old_policy(web, ask)


@ENDPOINTS.patch("/api/v2/notifications/policy", "write:notifications")
async def set_policy(web: DoorContext, ask: Ask) -> Any:
    """Answers what holds: everything is accepted."""
    return await policy(web, ask)


@ENDPOINTS.get("/api/v1/notifications/requests", "read:notifications")
async def requests(web: DoorContext, ask: Ask) -> Any:
    return []


@ENDPOINTS.get("/api/v1/notifications/requests/merged", "read:notifications")
async def merged(web: DoorContext, ask: Ask) -> Any:
    return {"merged": True}


@ENDPOINTS.get("/api/v1/notifications/requests/{id}", "read:notifications")
async def request(web: DoorContext, ask: Ask) -> Any:
    raise Refused(404, "Record not found")


@ENDPOINTS.post("/api/v1/notifications/requests/{id}/accept", "write:notifications")
async def accept_request(web: DoorContext, ask: Ask) -> Any:
    raise Refused(404, "Record not found")


@ENDPOINTS.post("/api/v1/notifications/requests/{id}/dismiss", "write:notifications")
async def dismiss_request(web: DoorContext, ask: Ask) -> Any:
    raise Refused(404, "Record not found")
