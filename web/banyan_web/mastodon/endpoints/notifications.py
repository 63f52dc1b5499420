"""Notifications, one by one (version 1) and in groups (version 2), and how far somebody has read."""

from __future__ import annotations

import time
from typing import Any

from banyan_crdt.ids import CellKey, account_from_text, account_to_text
from banyan_reading.timelines import home_place
from banyan_schema.dates import iso
from banyan_schema.social import Target, post_from_text, post_to_text
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.endpoints.reports import TYPES
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.entity_ids import RepostId, account_id, id_of_repost, notice_id, parsed, place_of, status_id
from banyan_web.mastodon.notifications import (
    OF_A_STATUS,
    SHOWN_AS,
    AppNotification,
    NotificationEntities,
    NotificationQuery,
    entities,
    group_key,
    notification,
    of_moderation,
    one_of,
    page_link,
    put_away,
    shown_of,
    told,
    wanted,
)
from banyan_web.params import number, text, texts
from banyan_web.refusals import HttpRefusal, there

ENDPOINTS = Endpoints()
COUNTED, COUNTED_MOST = 100, 1_000
"""Unread notifications that are counted, and at most."""


@ENDPOINTS.get("/api/v1/notifications", "read:notifications")
async def every(web: DoorContext, ask: DoorRequest) -> Any:
    found, more = await told(web, ask.account, wanted(ask))
    page_link(web, ask, found, more)
    known = await entities(web, ask.account, found)
    return [notification(one, known) for one in shown_of(found, known)]


@ENDPOINTS.get("/api/v1/notifications/{id}", "read:notifications")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    one = await one_of(web, ask.account, ask.path["id"])
    known = await entities(web, ask.account, [one])
    return notification(there(shown_of([one], known))[0], known)


@ENDPOINTS.post("/api/v1/notifications/clear", "write:notifications")
async def clear(web: DoorContext, ask: DoorRequest) -> Any:
    await web.call("notifications.clear", by=ask.account)
    return {}


@ENDPOINTS.post("/api/v1/notifications/{id}/dismiss", "write:notifications")
@ENDPOINTS.post("/api/v1/notifications/dismiss", "write:notifications")
async def dismiss(web: DoorContext, ask: DoorRequest) -> Any:
    """Clients of old servers say the id in the body."""
    id_ = ask.path["id"] if "id" in ask.path else text(ask.params, "id")
    await put_away(web, ask.account, [await one_of(web, ask.account, id_)])
    return {}


@ENDPOINTS.get("/api/v1/notifications/unread_count", "read:notifications")
async def unread(web: DoorContext, ask: DoorRequest) -> Any:
    limit = number(ask.params, "limit", COUNTED, COUNTED_MOST)
    found, _ = await told(web, ask.account, wanted(ask)._replace(limit=limit))
    return {"count": sum(one.unread for one in found)}


# -- version 2: alike ones are one group

GROUPED = ("favourite", "follow", "reblog")
SAMPLE = 8
"""Accounts that a group names."""
SEARCHED = 1_000
"""So many notifications are looked through for a group that is asked for."""


def _key(one: AppNotification, grouped: list[str]) -> str:
    return group_key(one) if one.type in grouped else f"ungrouped-{one.id}"


def _groups(found: list[AppNotification], grouped: list[str]) -> dict[str, list[AppNotification]]:
    groups: dict[str, list[AppNotification]] = {}
    for one in found:
        groups.setdefault(_key(one, grouped), []).append(one)
    return groups


def _entity(key: str, group: list[AppNotification], known: NotificationEntities) -> dict[str, Any]:
    first = group[0]
    of = {"status_id": known.statuses[first.uri]["id"]} if first.uri is not None and first.type in OF_A_STATUS else {}
    return {
        "group_key": key,
        "notifications_count": len(group),
        "type": first.type,
        "most_recent_notification_id": first.id,
        "page_min_id": group[-1].id,
        "page_max_id": first.id,
        "latest_page_notification_at": iso(first.time_ms),
        "sample_account_ids": [account_id(did) for did in dict.fromkeys(one.by for one in group)][:SAMPLE],
        **of,
        **of_moderation(first, known),
    }


def _answer(groups: dict[str, list[AppNotification]], known: NotificationEntities) -> dict[str, Any]:
    """The accounts and statuses that the groups name, each once, and the groups."""
    entities_of = [_entity(key, group, known) for key, group in groups.items()]
    named = {one for entity in entities_of for one in entity["sample_account_ids"]}
    shown = {entity["status_id"] for entity in entities_of if "status_id" in entity}
    return {
        "accounts": [one for one in known.accounts.values() if one["id"] in named],
        "statuses": [one for one in known.statuses.values() if one["id"] in shown],
        "notification_groups": entities_of,
    }


@ENDPOINTS.get("/api/v2/notifications", "read:notifications")
async def every_group(web: DoorContext, ask: DoorRequest) -> Any:
    """A page is of so many notifications; a group that goes on behind it begins anew there. All accounts are answered
    in full."""
    grouped = texts(ask.params, "grouped_types") or list(GROUPED)
    found, more = await told(web, ask.account, wanted(ask))
    page_link(web, ask, found, more)
    known = await entities(web, ask.account, found)
    partly: dict[str, Any] = {"partial_accounts": []} if ask.params.get("expand_accounts") == "partial_avatars" else {}
    return _answer(_groups(shown_of(found, known), [one for one in grouped if one in GROUPED]), known) | partly


async def _group(web: DoorContext, ask: DoorRequest) -> tuple[list[AppNotification], NotificationEntities]:
    """Raises HttpRefusal."""
    key = ask.path["key"]
    type_ = key.partition("-")[0]
    kinds = [kind for kind, shown in SHOWN_AS.items() if type_ in (shown, "ungrouped")]
    own = frozenset(TYPES.values()) if type_ == "ungrouped" else frozenset[str]()
    found, _ = await told(web, ask.account, NotificationQuery(kinds, None, None, False, SEARCHED, None, own))
    grouped = [] if type_ == "ungrouped" else [type_]
    group = _groups([one for one in found if _key(one, grouped) == key], grouped).get(key, [])
    known = await entities(web, ask.account, group)
    return there(shown_of(group, known)), known


@ENDPOINTS.get("/api/v2/notifications/unread_count", "read:notifications")
async def unread_groups(web: DoorContext, ask: DoorRequest) -> Any:
    limit = number(ask.params, "limit", COUNTED, COUNTED_MOST)
    found, _ = await told(web, ask.account, wanted(ask)._replace(limit=limit))
    return {"count": len(_groups([one for one in found if one.unread], list(GROUPED)))}


@ENDPOINTS.get("/api/v2/notifications/{key}", "read:notifications")
async def show_group(web: DoorContext, ask: DoorRequest) -> Any:
    group, known = await _group(web, ask)
    return _answer({ask.path["key"]: group}, known)


@ENDPOINTS.get("/api/v2/notifications/{key}/accounts", "read:notifications")
async def who(web: DoorContext, ask: DoorRequest) -> Any:
    group, _ = await _group(web, ask)
    return list((await accounts(web, [one.by for one in group])).values())


@ENDPOINTS.post("/api/v2/notifications/{key}/dismiss", "write:notifications")
async def dismiss_group(web: DoorContext, ask: DoorRequest) -> Any:
    group, _ = await _group(web, ask)
    await put_away(web, ask.account, group)
    return {}


# -- how far somebody has read; their devices share it

TIMELINES = ("home", "notifications")
_LAST, _LAST_REPOST = b"\xff\xff", b"\xff\xfe"
"""The counter of a time, of which an id says the milliseconds only: behind all posts of that millisecond. It also says
whether the 48 bytes after it are of a post, or of a repost as its id has them."""


def _home(place: str) -> tuple[str, int]:
    """(id of a status, milliseconds) of a place at home."""
    ms, counter, account, key = home_place(place)
    if counter == _LAST_REPOST:
        return id_of_repost(RepostId(account_to_text(account), ms, key.hex())), ms
    return status_id(post_to_text(Target(account, CellKey(key))), ms), ms


def place_at_home(id_: str) -> str:
    """The place of a status in the home timeline. Raises HttpRefusal."""
    found = parsed(id_)
    time_ms = found.time_ms.to_bytes(6, "big")
    if isinstance(found, RepostId):
        return (time_ms + _LAST_REPOST + account_from_text(found.by)).hex() + found.short
    return (time_ms + _LAST + post_from_text(found.uri).raw).hex()


async def _markers(web: DoorContext, ask: DoorRequest, wanted: list[str]) -> dict[str, Any]:
    found = await web.call("markers", by=ask.account)
    said: dict[str, Any] = {}
    if found["home"] is not None and "home" in wanted:
        id_, ms = _home(found["home"])
        said["home"] = {"last_read_id": id_, "version": 1, "updated_at": iso(ms)}
    if found["notifications"] is not None and "notifications" in wanted:
        id_ = notice_id(found["notifications"])
        said["notifications"] = {"last_read_id": id_, "version": 1, "updated_at": iso(int(time.time() * 1_000))}
    return said


@ENDPOINTS.get("/api/v1/markers", "read:statuses")
async def show_markers(web: DoorContext, ask: DoorRequest) -> Any:
    return await _markers(web, ask, texts(ask.params, "timeline"))


@ENDPOINTS.post("/api/v1/markers", "write:statuses")
async def keep(web: DoorContext, ask: DoorRequest) -> Any:
    """A marker goes forward only."""
    places: dict[str, str] = {}
    for timeline in TIMELINES:
        given = ask.params.get(timeline)
        if given is None:
            continue
        if not isinstance(given, dict):
            raise HttpRefusal(422, f"{timeline} is an object with last_read_id.")
        id_ = text(given, "last_read_id")
        try:
            places[timeline] = place_at_home(id_) if timeline == "home" else place_of(id_)
        except HttpRefusal:
            raise HttpRefusal(422, f"{timeline}[last_read_id] is no id of this server.") from None
    for timeline, place in places.items():
        await web.call("marker.set", timeline=timeline, place=place, by=ask.account)
    return await _markers(web, ask, list(places))
