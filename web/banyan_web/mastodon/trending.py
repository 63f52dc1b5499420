"""Posts and links that are talked about: of the newest public posts that are held here, by what others did with them.

Read once in five minutes for all, and shown to each reader without what that one does not see.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.mastodon.cards.link_cards import link_of
from banyan_web.mastodon.entities.statuses import rows_of, statuses
from banyan_web.mastodon.entities.tags import DAY_S
from banyan_web.mastodon.moderated import is_limited
from banyan_web.params import number

ENDPOINTS = Endpoints()
LOOKED = 400
"""The newest posts that are looked at."""
PAGE, MOST, SKIPPED = 20, 40, 400
LEAST = 2
"""So many accounts link what is talked about: one alone makes no trend."""
_NAME = "rows"


async def _rows(web: Web) -> list[dict[str, Any]]:
    found = web.talked.get(_NAME)
    if found is None:
        found = (await web.call("feed", all=True, replies=False, limit=LOOKED, by=None))["posts"]
        web.talked.put(_NAME, found)
    return found


def _weight(row: Mapping[str, Any]) -> int:
    return int(sum(row["reactions"].values()) + 2 * row["reposts"] + row["replies"])


async def _unseen(web: Web, reader: str | None) -> set[str]:
    """The accounts that the reader blocks or mutes."""
    if reader is None:
        return set()
    blocked, muted = (await web.call("blocks", by=reader))["blocks"], (await web.call("mutes", by=reader))["mutes"]
    return {one["account"] for one in [*blocked, *muted]}


@ENDPOINTS.get("/api/v1/trends/statuses")
async def posts(web: Web, ask: Ask) -> Any:
    skip, limit = number(ask.params, "offset", 0, SKIPPED, 0), number(ask.params, "limit", PAGE, MOST)
    unseen = await _unseen(web, ask.reader)
    rows = [row for row in await _rows(web) if _weight(row) and row["account"] not in unseen]
    rows.sort(key=_weight, reverse=True)
    page = await _still_shown(web, rows[skip : skip + limit], ask.reader)
    held = await rows_of(web, [row["uri"] for row in page], ask.reader)
    return await statuses(web, list(held.values()), ask.reader)


@ENDPOINTS.get("/api/v1/trends/links")
async def links(web: Web, ask: Ask) -> Any:
    """Of pages whose card is here; none is asked for because of this."""
    skip, limit = number(ask.params, "offset", 0, SKIPPED, 0), number(ask.params, "limit", 10, PAGE)
    unseen, found = await _unseen(web, ask.reader), dict[str, list[dict[str, Any]]]()
    for row in await _rows(web):
        if row["account"] not in unseen and (link := link_of(row["text"])):
            found.setdefault(link, []).append(row)
    by_people = {link: len({row["account"] for row in rows}) for link, rows in found.items()}
    names = sorted((link for link in found if by_people[link] >= LEAST), key=lambda link: -by_people[link])
    now, cards = int(time.time()), list[dict[str, Any]]()
    for link in names:
        if len(cards) < skip + limit and (card := web.cards.held(web, link)) is not None:
            rows = await _still_shown(web, found[link], ask.reader)
            if len({row["account"] for row in rows}) >= LEAST:
                cards.append({**card, "history": _history(rows, now)})
    return cards[skip:]


async def _still_shown(web: Web, rows: list[dict[str, Any]], reader: str | None) -> list[dict[str, Any]]:
    """Without what moderators decided since the rows were read."""
    seen = [row for row in rows if not await is_limited(web, row["account"])]
    held = await rows_of(web, [row["uri"] for row in seen], reader)
    return [row for row in seen if row["uri"] in held]


def _history(rows: list[dict[str, Any]], now: int) -> list[dict[str, str]]:
    """Of seven days, the last first."""
    today, out = now - now % DAY_S, []
    for n in range(7):
        day = today - n * DAY_S
        some = [row["account"] for row in rows if day <= row["time_ms"] // 1_000 < day + DAY_S]
        out.append({"day": str(day), "uses": str(len(some)), "accounts": str(len(set(some)))})
    return out
