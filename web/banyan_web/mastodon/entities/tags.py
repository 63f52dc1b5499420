"""Tags as apps see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from banyan_web.endpoint import DoorContext

DAY_S, DAY_HOURS = 86_400, 24


def tag(
    web: DoorContext,
    name: str,
    uses: Sequence[Mapping[str, str]] = (),
    following: bool = False,
    featuring: bool = False,
) -> dict[str, Any]:
    """The Tag entity. uses: how often it was used, the last day first."""
    return {
        "id": name,
        "name": name,
        "url": f"{web.url}/tags/{quote(name)}",
        "history": list(uses),
        "following": following,
        "featuring": featuring,
    }


def trending(web: DoorContext, row: Mapping[str, Any], now_s: int) -> dict[str, Any]:
    """The same of a row of `trends` of whole days. How many accounts used it is known of all these days together: no
    day can have had more, nor more than it has posts."""
    posts = row["posts"]
    days = [sum(posts[max(0, end - DAY_HOURS) : end]) for end in range(len(posts), 0, -DAY_HOURS)]
    today = now_s - now_s % DAY_S
    uses = [
        {"day": str(today - n * DAY_S), "uses": str(count), "accounts": str(min(count, row["accounts"]))}
        for n, count in enumerate(days)
    ]
    return tag(web, row["tag"], uses)
