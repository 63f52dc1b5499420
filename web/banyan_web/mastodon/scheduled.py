"""Posts that are published later: drafts of the node that are due at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.composing import due_ms
from banyan_web.mastodon.entities.media import attachment, blob_id
from banyan_web.mastodon.entities.statuses import GONE, SENSITIVE, rows_of
from banyan_web.mastodon.ids import status_id, thing_id, thing_of
from banyan_web.mastodon.paging import cut, link
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()


async def scheduled(web: DoorContext, ask: Ask, id_: str) -> dict[str, Any]:
    """The ScheduledStatus entity. Raises Refused."""
    draft = thing_of(id_)
    for one in await _due(web, ask):
        if one["id"] == draft:
            return (await _entities(web, ask, [one]))[0]
    raise Refused(404, GONE)


async def _due(web: DoorContext, ask: Ask) -> list[dict[str, Any]]:
    drafts = (await web.call("drafts", by=ask.account))["drafts"]
    return [one for one in drafts if one["due"] is not None]


async def _entities(web: DoorContext, ask: Ask, drafts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named = list({one[part] for one in drafts for part in ("reply", "quote") if one[part]})
    ids = {uri: status_id(uri, row["time_ms"]) for uri, row in (await rows_of(web, named, ask.account)).items()}
    return [_entity(web, one, ids) for one in drafts]


def _entity(web: DoorContext, draft: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    warning, due = draft["warning"] or "", iso(draft["due"])
    media = [item for item in draft["media"] if item["type"] != "text/vtt"]
    return {
        "id": thing_id(draft["id"]),
        "scheduled_at": due,
        "params": {
            "text": draft["text"],
            "media_ids": [blob_id(item["blob"]) for item in media] or None,
            "sensitive": bool(warning),
            "spoiler_text": "" if warning == SENSITIVE and media else warning,
            "visibility": draft["audience"],
            "language": draft["lang"],
            "scheduled_at": None,
            "poll": None,
            "idempotency": None,
            "in_reply_to_id": ids.get(draft["reply"] or ""),
            "quoted_status_id": ids.get(draft["quote"] or ""),
            "application_id": 0,
            "with_rate_limit": False,
        },
        "media_attachments": [attachment(web, item) for item in media],
    }


@ENDPOINTS.get("/api/v1/scheduled_statuses", "read:statuses")
async def index(web: DoorContext, ask: Ask) -> Any:
    """By id."""
    found = sorted(await _entities(web, ask, await _due(web, ask)), key=lambda one: str(one["id"]), reverse=True)
    page = cut(ask, found, lambda one: str(one["id"]), 20, 40)
    link(web, ask, [str(one["id"]) for one in page], page[-1:] != found[-1:])
    return page


@ENDPOINTS.get("/api/v1/scheduled_statuses/{id}", "read:statuses")
async def show(web: DoorContext, ask: Ask) -> Any:
    return await scheduled(web, ask, ask.path["id"])


@ENDPOINTS.put("/api/v1/scheduled_statuses/{id}", "write:statuses")
async def move(web: DoorContext, ask: Ask) -> Any:
    due = due_ms(ask.params)
    if due is not None:
        await web.call("draft.due", id=thing_of(ask.path["id"]), due=due, by=ask.account)
    return await scheduled(web, ask, ask.path["id"])


@ENDPOINTS.delete("/api/v1/scheduled_statuses/{id}", "write:statuses")
async def drop(web: DoorContext, ask: Ask) -> Any:
    await web.call("draft.drop", id=thing_of(ask.path["id"]), by=ask.account)
    return {}
