"""Search, and posts and links that are talked about."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from banyan_schema.social import post_from_text, tags_in
from banyan_schema.social.post import tag_fold
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.endpoints.accounts import find
from banyan_web.mastodon.endpoints.tags import DAY_S, tag, used
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.entities.accounts import DID, account_named, as_did
from banyan_web.mastodon.entities.statuses import rows_of, status, statuses, uri_of
from banyan_web.mastodon.entity_ids import did_of
from banyan_web.mastodon.link_cards import LinkCards, link_of
from banyan_web.params import number, text, truthy
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
PAGE, MOST = 20, 40
SKIPPED = 160
"""The most posts or tags that are left out before the first that is shown: the node finds 200 at once."""
LOOKED = 5
"""Of a tag that is used much, so many posts are asked for to know whether the reader sees one."""
TYPES = ("accounts", "statuses", "hashtags")


@ENDPOINTS.get("/api/v2/search", "read:search")
async def search(web: DoorContext, ask: DoorRequest) -> Any:
    words, kind = text(ask.params, "q").strip(), ask.params.get("type")
    if kind is not None and kind not in TYPES:
        raise HttpRefusal(422, f"type is {', '.join(TYPES)}.")
    found: dict[str, Any] = {"accounts": [], "statuses": [], "hashtags": []}
    limit, skip = number(ask.params, "limit", PAGE, MOST), number(ask.params, "offset", 0, SKIPPED, 0)
    if not words:
        return found
    did, uri = await _behind(web, words, ask.reader)
    if did is not None or uri is not None:
        return found if skip else found | await _exactly(web, ask, did, uri, kind)
    if kind in (None, "accounts"):
        found["accounts"] = await find(web, ask, words, limit, skip, truthy(ask.params, "following"))
    if kind in (None, "statuses"):
        found["statuses"] = await _posts(web, ask, words, limit, skip)
    if kind in (None, "hashtags"):
        found["hashtags"] = await _tags(web, words, limit, skip)
    return found


async def _exactly(web: DoorContext, ask: DoorRequest, did: str | None, uri: str | None, kind: Any) -> dict[str, Any]:
    """What an address or an id names. An account of which nothing is here is answered if `resolve` is asked: to follow
    it is what makes it come."""
    try:
        if uri is not None and kind in (None, "statuses"):
            return {"statuses": [await status(web, uri, ask.reader)]}
        if did is not None and kind in (None, "accounts"):
            there = await accounts.account(web, did) if truthy(ask.params, "resolve") else None
            return {"accounts": [there or await accounts.known(web, did, ask.reader)]}
    except HttpRefusal as why:
        if why.status != 404:
            raise
    return {}


async def _behind(web: DoorContext, address: str, reader: str | None) -> tuple[str | None, str | None]:
    """(DID, URI of a post) of a text that is an id, or an address of this door: one of both, or none."""
    text = address.strip()
    if (uri := _as_post(text)) is not None:
        return None, uri
    if text.startswith(DID):
        return as_did(text), None
    if not text.startswith(web.url + "/"):
        return None, None
    parts = text[len(web.url) :].partition("?")[0].strip("/").split("/")
    if parts[0].startswith("@") and len(parts) in (1, 2):
        if len(parts) == 2:
            return None, await _post(web, parts[1])
        return await account_named(web, parts[0], reader), None
    return None, None


async def _post(web: DoorContext, id_: str) -> str | None:
    try:
        return await uri_of(web, id_)
    except HttpRefusal:
        return None


def _as_post(text: str) -> str | None:
    """The URI of a post that a text is."""
    try:
        post_from_text(text)
    except ValueError:
        return None
    return text


async def _posts(web: DoorContext, ask: DoorRequest, words: str, limit: int, skip: int) -> list[dict[str, Any]]:
    question = words
    if ask.params.get("account_id"):
        question += f" from:{did_of(text(ask.params, 'account_id'))}"
    try:
        rows = (await web.call("search", question=question, limit=skip + limit, by=ask.reader))["posts"]
    except HttpRefusal as why:
        if why.status == 422:
            return []  # as a question about posts it means nothing; it may be a name
        raise
    return await statuses(web, rows[skip:], ask.reader)


async def _tags(web: DoorContext, words: str, limit: int, skip: int) -> list[dict[str, Any]]:
    """The tag that it is, and those used lately that begin so."""
    name = words.removeprefix("#")
    if tags_in(f"#{name}") != (name,):
        return []
    found = {one: uses for one, uses in (await used(web, 100)).items() if one.startswith(tag_fold(name))}
    names = sorted(found, key=lambda one: one != tag_fold(name)) or [name]
    return [tag(web, one, found.get(one, ())) for one in names[skip : skip + limit]]


@ENDPOINTS.get("/api/v1/trends/tags")
@ENDPOINTS.get("/api/v1/trends")
async def trends(web: DoorContext, ask: DoorRequest) -> Any:
    """Without those on whose page the reader sees nothing."""
    skip, limit = number(ask.params, "offset", 0, 80, 0), number(ask.params, "limit", 10, 20)
    seen = list[Any]()
    for name, uses in (await used(web, min(100, 2 * (skip + limit)))).items():
        if len(seen) == skip + limit:
            break
        if (await web.call("search", question=f"#{name}", limit=LOOKED, by=ask.reader))["posts"]:
            seen.append(tag(web, name, uses))
    return seen[skip:]


# Of the newest public posts that are held here, by what others did with them. Read once in five minutes for all, and
# shown to each reader without what that one does not see.

TREND_LOOKED = 400
"""The newest posts that are looked at."""
TREND_PAGE, TREND_MOST, TREND_SKIPPED = 20, 40, 400
LEAST = 2
"""So many accounts link what is talked about: one alone makes no trend."""
_NAME = "rows"


async def _rows(web: DoorContext) -> list[dict[str, Any]]:
    found = web.caches.talked.get(_NAME)
    if found is None:
        found = (await web.call("feed", all=True, replies=False, limit=TREND_LOOKED, by=None))["posts"]
        web.caches.talked[_NAME] = found
    return found


def _weight(row: Mapping[str, Any]) -> int:
    return int(sum(row["reactions"].values()) + 2 * row["reposts"] + row["replies"])


@ENDPOINTS.get("/api/v1/trends/statuses")
async def posts(web: DoorContext, ask: DoorRequest) -> Any:
    skip, limit = number(ask.params, "offset", 0, TREND_SKIPPED, 0), number(ask.params, "limit", TREND_PAGE, TREND_MOST)
    rows = sorted((row for row in await _rows(web) if _weight(row)), key=_weight, reverse=True)
    seen = list[dict[str, Any]]()
    for at in range(0, len(rows), TREND_MOST):
        if len(seen) < skip + limit:
            seen += await _seen(web, rows[at : at + TREND_MOST], ask.reader)
    return await statuses(web, seen[skip : skip + limit], ask.reader)


@ENDPOINTS.get("/api/v1/trends/links")
async def links(web: DoorContext, ask: DoorRequest) -> Any:
    """Of pages whose card is here; none is asked for because of this."""
    skip, limit = number(ask.params, "offset", 0, TREND_SKIPPED, 0), number(ask.params, "limit", 10, TREND_PAGE)
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
