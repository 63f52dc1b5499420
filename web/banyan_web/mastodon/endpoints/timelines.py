"""Timelines: home, public, of a tag, of a list, of an account; of quotes; and what somebody favoured or bookmarked."""

from __future__ import annotations

from typing import Any
from unicodedata import normalize

from starlette.responses import Response

from banyan_node.api.methods.posts.feeds import Feed as NodeFeed
from banyan_node.api.methods.posts.post_rows import PostRow
from banyan_node.api.methods.posts.search import MOST_POSTS as MOST_FOUND
from banyan_node.api.methods.posts.search import MOST_TAGS
from banyan_reading.timelines import found_below, found_ms, place_ms
from banyan_schema.social import tags_in
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.endpoints.tags import followed
from banyan_web.mastodon.entities.statuses import answer_of, bodies, row_of, rows_of, statuses, uri_of
from banyan_web.mastodon.entity_ids import did_of, thing_of
from banyan_web.mastodon.paging import LIMIT, MOST, Feed, both, bounds, cut, line, link, page, places, typed_line
from banyan_web.params import number, text, texts, truthy

ENDPOINTS = Endpoints()
PLACE_DIGITS = 135
TAGS = 4
"""Tags of each kind that one question names, as with Mastodon."""
TAG_READ, TAG_READS = 80, 25
"""Posts of one question to the index; and how many questions `min_id` may take, for the index goes down alone."""


async def _shown(web: DoorContext, ask: DoorRequest, **asked: Any) -> Response:
    """A page of a timeline of the node. asked: which one."""
    return await _page_of(web, ask, _node_feed(web, **asked))


def _node_feed(web: DoorContext, **asked: Any) -> Feed:
    async def feed(**place: Any) -> dict[str, Any]:
        found: NodeFeed = await web.answer("feed", **asked, **place)
        return {"posts": found.posts, "before": found.before, "after": found.after}

    return feed


async def _page_of(web: DoorContext, ask: DoorRequest, feed: Feed) -> Response:
    """A page of a timeline of typed rows."""
    lines, further = await page(feed, bounds(ask), typed_line)
    link(web, ask, [one.id for one in lines], further)
    return answer_of(await bodies(web, [one.row for one in lines], ask.reader))


@ENDPOINTS.get("/api/v1/timelines/home", "read:statuses")
async def home(web: DoorContext, ask: DoorRequest) -> Any:
    """Of those whom one follows, and of tags that one follows."""
    tags = (await followed(web, ask.account))[:MOST_TAGS]  # those beyond are not at home
    if not tags:
        return await _shown(web, ask, by=ask.account)
    feed = both(_node_feed(web, by=ask.account), _tagged(web, ask.account, tags))
    return await _page_of(web, ask, feed)


@ENDPOINTS.get("/api/v1/timelines/public")
async def public(web: DoorContext, ask: DoorRequest) -> Any:
    where = {name: True for name in ("local", "remote") if truthy(ask.params, name)}
    if len(where) > 1:
        return []
    only = {"media": True} if truthy(ask.params, "only_media") else {}
    return await _shown(web, ask, all=True, replies=False, by=ask.reader, **where, **only)


@ENDPOINTS.get("/api/v1/timelines/list/{id}", "read:lists")
async def of_list(web: DoorContext, ask: DoorRequest) -> Any:
    return await _shown(web, ask, in_list=thing_of(ask.path["id"]), by=ask.account)


@ENDPOINTS.get("/api/v1/accounts/{id}/statuses")
async def of_account(web: DoorContext, ask: DoorRequest) -> Any:
    did, params = did_of(ask.path["id"]), ask.params
    if truthy(params, "pinned"):
        pinned = (await web.call("profile.get", account=did))["pinned"][: number(params, "limit", LIMIT, MOST)]
        rows = await rows_of(web, [row["uri"] for row in pinned], ask.reader)
        return await statuses(web, list(rows.values()), ask.reader)
    media = truthy(params, "only_media")
    only = {
        "replies": not truthy(params, "exclude_replies"),
        "reposts": not (media or truthy(params, "exclude_reblogs") or bool(params.get("tagged"))),
        "media": media,
        "tag": text(params, "tagged", "").removeprefix("#") or None,
    }
    return await _shown(web, ask, account=did, by=ask.reader, **only)


@ENDPOINTS.get("/api/v1/statuses/{id}/quotes")
async def quotes(web: DoorContext, ask: DoorRequest) -> Any:
    """The posts that quote a post."""
    uri = await uri_of(web, ask.path["id"])
    await row_of(web, uri, ask.reader)
    return await _shown(web, ask, quotes=uri, by=ask.reader)


@ENDPOINTS.get("/api/v1/timelines/tag/{tag}")
async def of_tag(web: DoorContext, ask: DoorRequest) -> Any:
    """From the index of public posts. any, all, none: further tags."""
    params, local = ask.params, truthy(ask.params, "local")
    wanted = _tags([ask.path["tag"]]) + _tags(texts(params, "any"))
    marks = "".join(f" #{tag}" for tag in _tags(texts(params, "all")))
    marks += "".join(f" -#{tag}" for tag in _tags(texts(params, "none")))
    marks += " has:media" * truthy(params, "only_media")
    feed = index_feed(web, ask.reader, [{"question": f"#{tag}{marks}", "local": local} for tag in wanted])
    at = bounds(ask)
    lines, further = await page(feed, at)
    link(web, ask, [one.id for one in lines], further)
    return await statuses(web, [one.row for one in lines], ask.reader)


def index_feed(web: DoorContext, reader: str | None, questions: list[dict[str, Any]]) -> Feed:
    """What the index of public posts finds, as a timeline. questions: parameters of `search`."""

    async def feed(limit: int = LIMIT, before: str | None = None, after: str | None = None) -> dict[str, Any]:
        """The index goes down alone: the newest above `after` are the last of those that it gives."""
        rows: dict[str, dict[str, Any]] = {}
        ends: list[str] = []
        for question in questions:
            place = before and _row_below(before)
            for _ in range(1 if after is None else TAG_READS):
                found = await web.call("search", **question, by=reader, limit=TAG_READ, before=place)
                rows |= {row["uri"]: row for row in found["posts"]}
                place = found["before"]
                if place is None or (after is not None and found_ms(place) < place_ms(after)):
                    break
            if place is not None and after is None:
                ends.append(f"{found_ms(place):012x}:{place}")
        last = max(ends, default=None)
        floor = -1 if last is None else place_ms(last)
        return {"posts": [row for row in rows.values() if row["time_ms"] >= floor], "before": last, "after": None}

    return feed


def _tagged(web: DoorContext, reader: str, tags: list[str]) -> Feed:
    """Public posts with one of these tags that the reader sees at home. The index says which, and goes down alone; the
    posts are kept rows of the node."""

    async def feed(limit: int = LIMIT, before: str | None = None, after: str | None = None) -> dict[str, Any]:
        uris, place = list[str](), before and _row_below(before)
        size = TAG_READ if after is not None else min(limit, MOST_FOUND)
        for _ in range(1 if after is None else TAG_READS):
            found = await web.call("tagged", tags=tags, limit=size, before=place)
            uris += found["posts"]
            place = found["before"]
            if place is None or (after is not None and found_ms(place) < place_ms(after)):
                break
        rows = list[PostRow]()
        for at in range(0, len(uris), MOST_FOUND):
            asked = {"uris": uris[at : at + MOST_FOUND], "where": "tag", "seen": True}
            rows += [row for row in (await web.answer("posts.get", **asked, by=reader)).posts if row is not None]
        if place is None or after is not None:
            return {"posts": rows, "before": None, "after": None}
        floor = found_ms(place)
        return {
            "posts": [row for row in rows if row.time_ms >= floor],
            "before": f"{floor:012x}:{place}",
            "after": None,
        }

    return feed


def _tags(given: list[str]) -> list[str]:
    """Those that can be tags."""
    bare = [tag.strip().removeprefix("#") for tag in given[:TAGS]]
    return [tag for tag in bare if tags_in(f"#{tag}") == (normalize("NFC", tag),)]


def _row_below(place: str) -> str:
    """The place in the index where a page ended, or else above all posts of the millisecond of a place in a feed."""
    if ":" in place:
        return place.partition(":")[2]
    return found_below(place_ms(place))


@ENDPOINTS.get("/api/v1/favourites", "read:favourites")
async def favourites(web: DoorContext, ask: DoorRequest) -> Any:
    """The latest favourite first. Pages follow one another by the Link header."""
    before, limit = text(ask.params, "max_id", ""), number(ask.params, "limit", LIMIT, MOST)
    place = f"{int(before):0112x}" if before.isascii() and before.isdigit() and len(before) < PLACE_DIGITS else None
    found = await web.call("favourites", by=ask.account, limit=limit, before=place)
    if found["before"] is not None:
        places([("next", "max_id", str(int(found["before"], 16)))], web, ask)
    return await statuses(web, found["posts"], ask.account)


@ENDPOINTS.get("/api/v1/bookmarks", "read:bookmarks")
async def bookmarks(web: DoorContext, ask: DoorRequest) -> Any:
    """The newest post first."""
    kept = (await web.call("bookmarks", by=ask.account))["bookmarks"]
    lines = sorted((line(one["post"]) for one in kept if one["post"] is not None), reverse=True)
    some = cut(ask, lines, lambda one: one.id)
    link(web, ask, [one.id for one in some], some[-1:] != lines[-1:])
    rows = await rows_of(web, [one.row["uri"] for one in some], ask.account)
    return await statuses(web, list(rows.values()), ask.account)
