"""Tags as apps see them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from banyan_web.endpoint import DoorContext
from banyan_web.refusals import Refused

DAYS, DAY_S, DAY_HOURS = 7, 86_400, 24


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


async def used(web: DoorContext, limit: int, only: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Tags that most accounts used lately, with how often they did. How many accounts used one is known of all these
    days together: no day can have had more, nor more than it has posts. only: this tag. Raises Refused."""
    rows = (await web.call("trends", hours=DAYS * DAY_HOURS, limit=limit, tag=only))["trends"]
    return {row["tag"]: _uses(row["posts"], row["accounts"]) for row in rows}


async def uses(web: DoorContext, name: str) -> list[dict[str, str]]:
    """Of one tag; without a search index it is not known."""
    try:
        return next(iter((await used(web, 1, name)).values()), _uses([0] * DAYS * DAY_HOURS, 0))
    except Refused:
        return []


def _uses(posts: Sequence[int], accounts: int) -> list[dict[str, str]]:
    """Of days, the last first. posts: by hours."""
    now = int(time.time())
    days = [sum(posts[max(0, end - DAY_HOURS) : end]) for end in range(len(posts), 0, -DAY_HOURS)]
    return [
        {"day": str(now - now % DAY_S - n * DAY_S), "uses": str(count), "accounts": str(min(count, accounts))}
        for n, count in enumerate(days)
    ]
