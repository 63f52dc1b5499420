"""What a person hears of: who answered, followed or invited them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.page.forms import somebody
from banyan_web.page.rendering import as_page, render
from banyan_web.params import text
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
KINDS = {
    "mentions": ["reply", "quote", "mention"],
    "follows": ["follow", "follow_request", "follow_accept"],
    "reactions": ["reaction", "repost"],
}
"""What the tabs of the page show."""


@ENDPOINTS.get("/notifications")
@as_page
async def notifications(web: DoorContext, ask: Ask) -> Response:
    """What the visitor hears of. Reading the first page marks it as read."""
    me, before = somebody(web, ask), text(ask.params, "before", "") or None
    only = text(ask.params, "only", "all")
    found = await web.call("notifications", before=before, kinds=KINDS.get(only), by=me.did)
    requests: list[Any] = []
    if before is None:
        try:
            requests = (await web.call("follow.requests", by=me.did))["accounts"]
        except Refused:
            pass
    shown = {"notices": found["notices"], "before": found["before"], "requests": requests}
    answer = await render(web, ask, "notifications.html", **shown, only=only if only in KINDS else "all")
    if before is None and only not in KINDS and found["notices"]:
        with suppress(Refused):  # nothing is written for a suspended account, which reads all the same
            await web.call("marker.set", timeline="notifications", place=found["notices"][0]["at"], by=me.did)
    return answer
