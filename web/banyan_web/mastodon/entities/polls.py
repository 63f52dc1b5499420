"""Polls as apps see them. A poll has the id of its post."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from banyan_schema.dates import iso


def poll(row: Mapping[str, Any], id_: str, reader: str | None, own: bool = False) -> dict[str, Any]:
    """The Poll entity. row: a PollRow. own: whether the reader wrote it, who then counts as having voted."""
    mine = row["mine"] if reader is not None else []
    found = {
        "id": id_,
        "expires_at": iso(row["closes_ms"]),
        "expired": row["closed"],
        "multiple": row["choices"] == "several",
        "votes_count": sum(option["votes"] for option in row["options"]),
        "voters_count": row["voters"],
        "options": [{"title": option["text"], "votes_count": option["votes"]} for option in row["options"]],
        "emojis": [],
    }
    if reader is not None:
        found |= {"voted": bool(mine) or own, "own_votes": mine}
    return found
