"""Search, and what is talked about."""

from __future__ import annotations

from typing import Any

from banyan_schema.social import tags_in
from banyan_schema.social.post import tag_fold
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.accounts import find
from banyan_web.mastodon.entities import accounts
from banyan_web.mastodon.entities.statuses import status, statuses
from banyan_web.mastodon.entities.tags import tag, used
from banyan_web.mastodon.ids import did_of
from banyan_web.mastodon.naming import behind
from banyan_web.params import number, text, truthy
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
PAGE, MOST = 20, 40
SKIPPED = 160
"""The most posts or tags that are left out before the first that is shown: the node finds 200 at once."""
LOOKED = 5
"""Of a tag that is used much, so many posts are asked for to know whether the reader sees one."""
TYPES = ("accounts", "statuses", "hashtags")


@ENDPOINTS.get("/api/v2/search", "read:search")
async def search(web: DoorContext, ask: Ask) -> Any:
    words, kind = text(ask.params, "q").strip(), ask.params.get("type")
    if kind is not None and kind not in TYPES:
        raise Refused(422, f"type is {', '.join(TYPES)}.")
    found: dict[str, Any] = {"accounts": [], "statuses": [], "hashtags": []}
    limit, skip = number(ask.params, "limit", PAGE, MOST), number(ask.params, "offset", 0, SKIPPED, 0)
    if not words:
        return found
    did, uri = await behind(web, words, ask.reader)
    if did is not None or uri is not None:
        return found if skip else found | await _exactly(web, ask, did, uri, kind)
    if kind in (None, "accounts"):
        found["accounts"] = await find(web, ask, words, limit, skip, truthy(ask.params, "following"))
    if kind in (None, "statuses"):
        found["statuses"] = await _posts(web, ask, words, limit, skip)
    if kind in (None, "hashtags"):
        found["hashtags"] = await _tags(web, words, limit, skip)
    return found


async def _exactly(web: DoorContext, ask: Ask, did: str | None, uri: str | None, kind: Any) -> dict[str, Any]:
    """What an address or an id names. An account of which nothing is here is answered if `resolve` is asked: to follow
    it is what makes it come."""
    try:
        if uri is not None and kind in (None, "statuses"):
            return {"statuses": [await status(web, uri, ask.reader)]}
        if did is not None and kind in (None, "accounts"):
            there = await accounts.account(web, did) if truthy(ask.params, "resolve") else None
            return {"accounts": [there or await accounts.known(web, did, ask.reader)]}
    except Refused as why:
        if why.status != 404:
            raise
    return {}


async def _posts(web: DoorContext, ask: Ask, words: str, limit: int, skip: int) -> list[dict[str, Any]]:
    question = words
    if ask.params.get("account_id"):
        question += f" from:{did_of(text(ask.params, 'account_id'))}"
    try:
        rows = (await web.call("search", question=question, limit=skip + limit, by=ask.reader))["posts"]
    except Refused as why:
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
async def trends(web: DoorContext, ask: Ask) -> Any:
    """Without those on whose page the reader sees nothing."""
    skip, limit = number(ask.params, "offset", 0, 80, 0), number(ask.params, "limit", 10, 20)
    seen = list[Any]()
    for name, uses in (await used(web, min(100, 2 * (skip + limit)))).items():
        if len(seen) == skip + limit:
            break
        if (await web.call("search", question=f"#{name}", limit=LOOKED, by=ask.reader))["posts"]:
            seen.append(tag(web, name, uses))
    return seen[skip:]


@ENDPOINTS.get("/api/v1/trends")
async def old_trends(web: DoorContext, ask: Ask) -> Any:
    return await trends(web, ask)
