"""Cards of posts, and their pictures."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from starlette.responses import Response

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.cards import card_store
from banyan_web.mastodon.entities.statuses import status_by_id
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/api/v1/statuses/{id}/card")
async def card(web: DoorContext, ask: Ask) -> Any:
    """Of the first link of a post, as old apps ask for it."""
    shown = await status_by_id(web, ask.path["id"], ask.reader)
    return (shown["reblog"] or shown)["card"] or {}


@ENDPOINTS.get("/cards/{name}")
async def picture(web: DoorContext, ask: Ask) -> Any:
    found = await to_thread.run_sync(card_store.picture, web.door, ask.path["name"][:64])
    if found is None:
        raise Refused(404, "Nothing is here.")
    kind, raw = found
    kept = {"cache-control": "public, immutable, max-age=1209600", "access-control-allow-origin": "*"}
    return Response(raw, headers={**kept, "content-type": kind, "cross-origin-resource-policy": "cross-origin"})
