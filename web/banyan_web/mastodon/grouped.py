"""Notifications, version 2: alike ones are one group."""

from __future__ import annotations

from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.entities.accounts import accounts
from banyan_web.mastodon.ids import account_id
from banyan_web.mastodon.moderated import TYPES
from banyan_web.mastodon.noticing import (
    OF_A_STATUS,
    SHOWN_AS,
    Entities,
    Told,
    Wanted,
    entities,
    group_key,
    of_moderation,
    page_link,
    put_away,
    shown_of,
    told,
    wanted,
)
from banyan_web.params import number, texts
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
GROUPED = ("favourite", "follow", "reblog")
SAMPLE = 8
"""Accounts that a group names."""
SEARCHED = 1_000
"""So many notifications are looked through for a group that is asked for."""
UNREAD, UNREAD_MOST = 100, 1_000


def _key(one: Told, grouped: list[str]) -> str:
    return group_key(one) if one.type in grouped else f"ungrouped-{one.id}"


def _groups(found: list[Told], grouped: list[str]) -> dict[str, list[Told]]:
    groups: dict[str, list[Told]] = {}
    for one in found:
        groups.setdefault(_key(one, grouped), []).append(one)
    return groups


def _entity(key: str, group: list[Told], known: Entities) -> dict[str, Any]:
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


def _answer(groups: dict[str, list[Told]], known: Entities) -> dict[str, Any]:
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
async def every(web: DoorContext, ask: Ask) -> Any:
    """A page is of so many notifications; a group that goes on behind it begins anew there. All accounts are answered
    in full."""
    grouped = texts(ask.params, "grouped_types") or list(GROUPED)
    found, more = await told(web, ask.account, wanted(ask))
    page_link(web, ask, found, more)
    known = await entities(web, ask.account, found)
    partly: dict[str, Any] = {"partial_accounts": []} if ask.params.get("expand_accounts") == "partial_avatars" else {}
    return _answer(_groups(shown_of(found, known), [one for one in grouped if one in GROUPED]), known) | partly


async def _group(web: DoorContext, ask: Ask) -> tuple[list[Told], Entities]:
    """Raises Refused."""
    key = ask.path["key"]
    type_ = key.partition("-")[0]
    kinds = [kind for kind, shown in SHOWN_AS.items() if type_ in (shown, "ungrouped")]
    own = frozenset(TYPES.values()) if type_ == "ungrouped" else frozenset[str]()
    found, _ = await told(web, ask.account, Wanted(kinds, None, None, False, SEARCHED, None, own))
    grouped = [] if type_ == "ungrouped" else [type_]
    group = _groups([one for one in found if _key(one, grouped) == key], grouped).get(key, [])
    known = await entities(web, ask.account, group)
    if not (shown := shown_of(group, known)):
        raise Refused(404, "Record not found")
    return shown, known


@ENDPOINTS.get("/api/v2/notifications/unread_count", "read:notifications")
async def unread(web: DoorContext, ask: Ask) -> Any:
    limit = number(ask.params, "limit", UNREAD, UNREAD_MOST)
    found, _ = await told(web, ask.account, wanted(ask)._replace(limit=limit))
    return {"count": len(_groups([one for one in found if one.unread], list(GROUPED)))}


@ENDPOINTS.get("/api/v2/notifications/{key}", "read:notifications")
async def show(web: DoorContext, ask: Ask) -> Any:
    group, known = await _group(web, ask)
    return _answer({ask.path["key"]: group}, known)


@ENDPOINTS.get("/api/v2/notifications/{key}/accounts", "read:notifications")
async def who(web: DoorContext, ask: Ask) -> Any:
    group, _ = await _group(web, ask)
    return list((await accounts(web, [one.by for one in group])).values())


@ENDPOINTS.post("/api/v2/notifications/{key}/dismiss", "write:notifications")
async def dismiss(web: DoorContext, ask: Ask) -> Any:
    group, _ = await _group(web, ask)
    await put_away(web, ask.account, group)
    return {}
