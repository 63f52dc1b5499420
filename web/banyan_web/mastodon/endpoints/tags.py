"""Tags that somebody follows, whose posts are at home, and tags that stand in a profile.

Which tags one follows is read by one's own devices alone. Those of a profile are its field `tags`, which other programs
show as any field.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from banyan_schema.dates import iso
from banyan_schema.social import tags_in
from banyan_schema.social.post import tag_fold
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import TAGS, profiles
from banyan_web.mastodon.entity_ids import did_of
from banyan_web.mastodon.paging import between
from banyan_web.mastodon.post_html import tag_url
from banyan_web.params import number, text
from banyan_web.refusals import HttpRefusal, gone

# -- as apps see them

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
        "url": tag_url(web.url, name),
        "history": list(uses),
        "following": following,
        "featuring": featuring,
    }


async def used(web: DoorContext, limit: int, only: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Tags that most accounts used lately, with how often they did. How many accounts used one is known of all these
    days together: no day can have had more, nor more than it has posts. only: this tag. Raises HttpRefusal."""
    rows = (await web.call("trends", hours=DAYS * DAY_HOURS, limit=limit, tag=only))["trends"]
    return {row["tag"]: _uses(row["posts"], row["accounts"]) for row in rows}


async def uses(web: DoorContext, name: str) -> list[dict[str, str]]:
    """Of one tag; without a search index it is not known."""
    try:
        return next(iter((await used(web, 1, name)).values()), _uses([0] * DAYS * DAY_HOURS, 0))
    except HttpRefusal:
        return []


def _uses(posts: Sequence[int], accounts: int) -> list[dict[str, str]]:
    """Of days, the last first. posts: by hours."""
    now = int(time.time())
    days = [sum(posts[max(0, end - DAY_HOURS) : end]) for end in range(len(posts), 0, -DAY_HOURS)]
    return [
        {"day": str(now - now % DAY_S - n * DAY_S), "uses": str(count), "accounts": str(min(count, accounts))}
        for n, count in enumerate(days)
    ]


ENDPOINTS = Endpoints()
PAGE, MOST = 100, 200
FEATURED = 10
"""Tags of a profile."""
COUNTED = 200
"""Posts with a tag of a profile that are counted."""
SUGGESTED = 10


def _named(name: str) -> str:
    """Raises HttpRefusal."""
    name = name.strip().removeprefix("#")
    found = tags_in(f"#{name}")
    if len(found) != 1 or tag_fold(found[0]) != tag_fold(name):
        raise gone()
    return found[0]


async def followed(web: DoorContext, reader: str) -> list[str]:
    """The tags that somebody follows, as they were typed."""
    found = web.caches.tags.get(reader)
    if found is None:
        found = (await web.call("tags.followed", by=reader))["tags"]
        web.caches.tags[reader] = found
    return found


async def _featured(web: DoorContext, did: str) -> list[str]:
    row = (await profiles(web, [did]))[did]
    return list(tags_in(row["fields"].get(TAGS, "")))[:FEATURED]


def _among(name: str, tags: list[str]) -> bool:
    return tag_fold(name) in map(tag_fold, tags)


async def _shown(web: DoorContext, ask: DoorRequest, name: str) -> dict[str, Any]:
    history = await uses(web, name)
    if ask.reader is None:
        return tag(web, name, history)
    follows, shows = await followed(web, ask.reader), await _featured(web, ask.reader)
    return tag(web, name, history, _among(name, follows), _among(name, shows))


@ENDPOINTS.get("/api/v1/tags/{name}")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    return await _shown(web, ask, _named(ask.path["name"]))


@ENDPOINTS.post("/api/v1/tags/{name}/follow", "write:follows")
@ENDPOINTS.post("/api/v1/tags/{name}/unfollow", "write:follows")
async def follow(web: DoorContext, ask: DoorRequest) -> Any:
    name, undo = _named(ask.path["name"]), ask.last_part == "unfollow"
    await web.call("tag.follow", tag=name, undo=undo, by=ask.account)
    web.caches.tags[ask.account] = (await web.call("tags.followed", by=ask.account))["tags"]
    return await _shown(web, ask, name)


@ENDPOINTS.get("/api/v1/followed_tags", "read:follows")
async def every(web: DoorContext, ask: DoorRequest) -> Any:
    """In the order of the alphabet; `max_id` says how many come before."""
    tags = (await web.call("tags.followed", by=ask.account))["tags"]
    first, limit = number(ask.params, "max_id", 0, len(tags), 0), number(ask.params, "limit", PAGE, MOST)
    between(web, ask, str(first + limit) if len(tags) > first + limit else None)
    return [tag(web, name, (), True) for name in tags[first : first + limit]]


# -- of a profile


def _id(name: str) -> str:
    return str(int.from_bytes(sha256(tag_fold(name).encode()).digest()[:6], "big"))


async def _entity(web: DoorContext, did: str, name: str) -> dict[str, Any]:
    try:
        rows = (await web.call("search", question=f"#{name} from:{did}", limit=COUNTED, by=None))["posts"]
    except HttpRefusal:  # the index is being built
        rows = []
    last = rows[0]["time_ms"] // 1_000 if rows else None
    return {
        "id": _id(name),
        "name": name,
        "url": tag_url(web.url, name),
        "statuses_count": str(len(rows)),
        "last_status_at": None if last is None else iso(last * 1_000)[:10],
    }


async def _set(web: DoorContext, did: str, tags: list[str]) -> None:
    await web.call("profile.set", fields={TAGS: " ".join(f"#{name}" for name in tags)}, by=did)


async def featured_tags(web: DoorContext, did: str) -> list[dict[str, Any]]:
    """The FeaturedTag entities of an account."""
    return [await _entity(web, did, name) for name in await _featured(web, did)]


@ENDPOINTS.get("/api/v1/accounts/{id}/featured_tags")
async def of_account(web: DoorContext, ask: DoorRequest) -> Any:
    return await featured_tags(web, did_of(ask.path["id"]))


@ENDPOINTS.get("/api/v1/featured_tags", "read:accounts")
async def own(web: DoorContext, ask: DoorRequest) -> Any:
    return await featured_tags(web, ask.account)


@ENDPOINTS.post("/api/v1/featured_tags", "write:accounts")
async def feature(web: DoorContext, ask: DoorRequest) -> Any:
    name = _tag_of_profile(text(ask.params, "name"))
    await _add(web, ask.account, name)
    return await _entity(web, ask.account, name)


def _tag_of_profile(said: str) -> str:
    try:
        return _named(said)
    except HttpRefusal:
        raise HttpRefusal(422, "Validation failed: Tag is invalid") from None


async def _add(web: DoorContext, did: str, name: str) -> None:
    tags = await _featured(web, did)
    if _among(name, tags):
        return
    if len(tags) >= FEATURED:
        raise HttpRefusal(422, f"Validation failed: A profile has at most {FEATURED} tags")
    await _set(web, did, [*tags, name])


async def _remove(web: DoorContext, did: str, name: str) -> None:
    tags = await _featured(web, did)
    if _among(name, tags):
        await _set(web, did, [one for one in tags if tag_fold(one) != tag_fold(name)])


@ENDPOINTS.delete("/api/v1/featured_tags/{id}", "write:accounts")
async def no_feature(web: DoorContext, ask: DoorRequest) -> Any:
    for name in await _featured(web, ask.account):
        if _id(name) == ask.path["id"]:
            await _remove(web, ask.account, name)
            return {}
    raise gone()


@ENDPOINTS.get("/api/v1/featured_tags/suggestions", "read:accounts")
async def suggested(web: DoorContext, ask: DoorRequest) -> Any:
    """Those of one's newest posts that are not in the profile."""
    rows = (await web.call("feed", account=ask.account, reposts=False, limit=COUNTED, by=ask.account))["posts"]
    shown, found = await _featured(web, ask.account), dict[str, str]()
    for row in rows:
        for name in row["tags"]:
            if not _among(name, shown):
                found.setdefault(tag_fold(name), name)
    return [tag(web, name) for name in list(found.values())[:SUGGESTED]]


@ENDPOINTS.post("/api/v1/tags/{name}/feature", "write:accounts")
@ENDPOINTS.post("/api/v1/tags/{name}/unfeature", "write:accounts")
async def feature_tag(web: DoorContext, ask: DoorRequest) -> Any:
    name = _named(ask.path["name"])
    await (_remove if ask.last_part == "unfeature" else _add)(web, ask.account, name)
    return await _shown(web, ask, name)
