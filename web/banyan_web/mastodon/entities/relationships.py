"""How the one who asks and others stand to one another, as apps see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities.accounts import AT_ONCE
from banyan_web.mastodon.ids import account_id


def _entity(row: dict[str, Any]) -> dict[str, Any]:
    until = row["muting_until"]
    return {
        "id": account_id(row["account"]),
        "following": row["following"],
        "showing_reblogs": (row["following"] or row["requested"]) and row["reposts"],
        "notifying": False,
        "languages": row["langs"],
        "followed_by": row["followed_by"],
        "blocking": row["blocking"],
        "blocked_by": row["blocked_by"],
        "muting": row["muting"],
        "muting_notifications": row["muting"],
        "muting_expires_at": None if until is None else iso(until),
        "requested": row["requested"],
        "requested_by": row["requested_by"],
        "domain_blocking": False,
        "endorsed": False,
        "note": row["note"],
    }


async def relationships(web: DoorContext, reader: str, dids: Sequence[str]) -> list[dict[str, Any]]:
    """Relationship entities, in this order. Raises Refused."""
    found = list[dict[str, Any]]()
    for at in range(0, len(dids), AT_ONCE):
        rows = await web.call("relationships", accounts=list(dids[at : at + AT_ONCE]), by=reader)
        found += map(_entity, rows["relationships"])
    return found


async def relationship(web: DoorContext, reader: str, did: str) -> dict[str, Any]:
    """Raises Refused."""
    return (await relationships(web, reader, [did]))[0]
