"""Posts and links that are talked about: of the newest public posts that are held here, by what others did with them.

Read once in five minutes for all, and shown to each reader without what that one does not see.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.cards.link_cards import LinkCards, link_of
from banyan_web.mastodon.entities.statuses import rows_of, statuses
from banyan_web.mastodon.entities.tags import DAY_S
from banyan_web.params import number

ENDPOINTS = Endpoints()
LOOKED = 400
"""The newest posts that are looked at."""
PAGE, MOST, SKIPPED = 20, 40, 400
LEAST = 2
"""So many accounts link what is talked about: one alone makes no trend."""
_NAME = "rows"


async def _rows(web: DoorContext) -> list[dict[str, Any]]:
    found = web.caches.talked.get(_NAME)
    if found is None:
        found = (await web.call("feed", all=True, replies=False, limit=LOOKED, by=None))["posts"]
        web.caches.talked[_NAME] = found
    return found


def _weight(row: Mapping[str, Any]) -> int:
    return int(sum(row["reactions"].values()) + 2 * row["reposts"] + row["replies"])


@ENDPOINTS.get("/api/v1/trends/statuses")
async def posts(web: DoorContext, ask: Ask) -> Any:
    skip, limit = number(ask.params, "offset", 0, SKIPPED, 0), number(ask.params, "limit", PAGE, MOST)
    rows = sorted((row for row in await _rows(web) if _weight(row)), key=_weight, reverse=True)
    seen = list[dict[str, Any]]()
    for at in range(0, len(rows), MOST):
        if len(seen) < skip + limit:
            seen += await _seen(web, rows[at : at + MOST], ask.reader)
    return await statuses(web, seen[skip : skip + limit], ask.reader)


@ENDPOINTS.get("/api/v1/trends/links")
async def links(web: DoorContext, ask: Ask) -> Any:
    """Of pages whose card is here; none is asked for because of this."""
    skip, limit = number(ask.params, "offset", 0, SKIPPED, 0), number(ask.params, "limit", 10, PAGE)
    found = dict[str, list[dict[str, Any]]]()
    for row in await _rows(web):
        if link := link_of(row["text"]):
            found.setdefault(link, []).append(row)
    by_people = {link: len({row["account"] for row in rows}) for link, rows in found.items()}
    names = sorted((link for link in found if by_people[link] >= LEAST), key=lambda link: -by_people[link])
    now, cards = int(time.time()), list[dict[str, Any]]()
    for link in names:
        if len(cards) < skip + limit and (card := web.part(LinkCards).held(web, link)) is not None:
            rows = await _seen(web, found[link], ask.reader)
            if len({row["account"] for row in rows}) >= LEAST:
                cards.append({**card, "history": _history(rows, now)})
    return cards[skip:]


async def _seen(web: DoorContext, rows: list[dict[str, Any]], reader: str | None) -> list[dict[str, Any]]:
    """Those that the reader sees, as they are now."""
    held = await rows_of(web, [row["uri"] for row in rows], reader, where="public", seen=True)
    return [held[row["uri"]] for row in rows if row["uri"] in held]


def _history(rows: list[dict[str, Any]], now: int) -> list[dict[str, str]]:
    """Of seven days, the last first."""
    today, out = now - now % DAY_S, []
    for n in range(7):
        day = today - n * DAY_S
        some = [row["account"] for row in rows if day <= row["time_ms"] // 1_000 < day + DAY_S]
        out.append({"day": str(day), "uses": str(len(some)), "accounts": str(len(set(some)))})
    return out
