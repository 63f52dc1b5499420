"""Notifications that no entry of the network says: a report came, for moderators; a decision about the reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from banyan_node.moderation.telling import KEPT, OWN_PLACES
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.notice_ids import LARGEST, PLACE_BYTES, notice_id, place_of

TYPES: Mapping[str, str] = {"report": "admin.report", "decision": "moderation_warning"}
"""What the node tells -> types of Mastodon. The outcome of a report has none there: `GET /v1/reports` has it."""


async def is_limited(web: DoorContext, account: str) -> bool:
    """Whether only its followers see what the account says, as moderators want it."""
    return (await web.call("account.standing", account=account))["limited"] is not None


async def tells(
    web: DoorContext, reader: str, types: frozenset[str], newest: str | None, oldest: str | None
) -> list[dict[str, Any]]:
    """Rows of `moderation.told` between two ids of notifications, both left out, the newest first."""
    if not types:
        return []
    before = None if newest is None else place_of(newest)
    found = (await web.call("moderation.told", before=before, limit=KEPT, by=reader))["tells"]
    return [
        row
        for row in found
        if TYPES.get(row["what"]) in types
        and (oldest is None or notice_id(row["at"]) > oldest)
        and (row["report"] or row["decision"])
    ]


async def tell_at(web: DoorContext, reader: str, place: str) -> dict[str, Any] | None:
    """The one at a place, if there is one."""
    if not is_own(place):
        return None
    above = min(int(place, 16) + 1, LARGEST).to_bytes(PLACE_BYTES, "big").hex()
    found = await tells(web, reader, frozenset(TYPES.values()), notice_id(above), None)
    return found[0] if found and found[0]["at"] == place else None


def is_own(place: str) -> bool:
    """Whether it is a place of moderation, and of no operation."""
    return int(place, 16) & 0xFFFF >= OWN_PLACES
