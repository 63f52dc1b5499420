"""Lists of people and what belongs to one: followers, bookmarks, favourites, lists of accounts, and what they hear
of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth.sessions import Visitor, visitor_of
from banyan_web.page.formats import did_of, readable
from banyan_web.page.forms import back, form, somebody, sure, undone
from banyan_web.page.rendering import language, page, render
from banyan_web.page.translations import WORDS
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
A_PAGE = 20
MOST = 40
"""People on a page."""
_KEPT = (("/bookmarks", "bookmarks"), ("/favourites", "favourites_title"))


async def cards(web: DoorContext, me: Visitor | None, accounts: Sequence[str]) -> list[dict[str, Any]]:
    """What a list of people shows of each. following: None where it cannot be changed: nobody is logged in, or one of
    the two blocks the other."""
    if not accounts:
        return []
    rows = (await web.call("profiles", accounts=list(accounts)))["profiles"]
    ties: dict[str, bool] = {}
    if me is not None:
        found = await web.call("relationships", accounts=list(accounts), by=me.did)
        for one in found["relationships"]:
            follows = one["following"] or one["requested"]
            if follows or not (one["blocking"] or one["blocked_by"]):
                ties[one["account"]] = follows
    return [
        {
            "account": row["account"],
            "name": row["name"],
            "bio": row["fields"].get("bio", ""),
            "avatar": _picture(row),
            "following": ties.get(row["account"]),
        }
        for row in rows
    ]


def _picture(row: dict[str, Any]) -> str | None:
    item = row["pictures"].get("avatar")
    return None if item is None or not item["here"] else item["preview"] or item["blob"]


async def _tied(web: DoorContext, ask: DoorRequest, method: str, heading: str) -> Response:
    me, did = visitor_of(web, ask), await did_of(web, ask.path["name"])
    after = text(ask.params, "after", "") or None
    found = await web.call(method, account=did, after=after, limit=MOST, by=me and me.did)
    name = (await web.call("profile.get", account=did))["name"] or WORDS[language(ask)]["nameless"]
    people = await cards(web, me, [one["account"] for one in found["accounts"]])
    said = WORDS[language(ask)][heading].format(name=readable(name))
    return await render(web, ask, "people/people.html", heading=said, tabs=(), people=people, after=found["after"])


@page(ENDPOINTS, "/@{name}/followers")
async def followers(web: DoorContext, ask: DoorRequest) -> Response:
    """Who follows an account."""
    return await _tied(web, ask, "followers", "followers_of")


@page(ENDPOINTS, "/@{name}/following")
async def following(web: DoorContext, ask: DoorRequest) -> Response:
    """Whom it follows."""
    return await _tied(web, ask, "following", "following_of")


@page(ENDPOINTS, "/bookmarks")
async def bookmarks(web: DoorContext, ask: DoorRequest) -> Response:
    """The posts that the visitor keeps, those that are here."""
    me, words = somebody(web, ask), WORDS[language(ask)]
    found = (await web.call("bookmarks", by=me.did))["bookmarks"]
    rows = sorted((one["post"] for one in found if one["post"]), key=lambda row: -int(row["time_ms"]))
    return await timeline(web, ask, words["bookmarks"], rows[:200], None, "bookmarks_none", tabs=_KEPT)


@page(ENDPOINTS, "/favourites")
async def favourites(web: DoorContext, ask: DoorRequest) -> Response:
    """The posts to which the visitor reacted."""
    me, words = somebody(web, ask), WORDS[language(ask)]
    before = text(ask.params, "before", "") or None
    found = await web.call("favourites", before=before, limit=A_PAGE, by=me.did)
    posts, heading = found["posts"], words["favourites_title"]
    return await timeline(web, ask, heading, posts, found["before"], "favourites_none", tabs=_KEPT)


async def timeline(
    web: DoorContext, ask: DoorRequest, heading: str, posts: list[Any], before: str | None, hint: str = "", **more: Any
) -> Response:
    """A list of posts under a heading. hint: key of what it says if there are none. more: what else it has."""
    said = {"heading": heading, "posts": posts, "before": before, "hint": WORDS[language(ask)][hint] if hint else ""}
    usual = {"tabs": (), "link": "?", "live": "", "form": None, "hint_icon": "keep", "people": ()}
    return await render(web, ask, "posts/timeline.html", **usual | said | more)


# -- lists


@page(ENDPOINTS, "/lists")
async def lists(web: DoorContext, ask: DoorRequest) -> Response:
    """The visitor's lists; with `account`, to put that one on one of them."""
    me, account = somebody(web, ask), text(ask.params, "account", "")
    adding = None
    if account:
        adding = (await web.call("profiles", accounts=[account]))["profiles"][0]
    return await render(
        web, ask, "people/lists.html", lists=(await web.call("lists", by=me.did))["lists"], adding=adding
    )


@page(ENDPOINTS, "/lists/{id}")
async def one_list(web: DoorContext, ask: DoorRequest) -> Response:
    """Who is on a list, and what they say."""
    me, before = somebody(web, ask), text(ask.params, "before", "") or None
    shown = await web.call("list.show", id=ask.path["id"], by=me.did)
    found = await web.call("feed", in_list=ask.path["id"], before=before, limit=A_PAGE, by=me.did)
    return await render(web, ask, "people/list.html", list=shown, posts=found["posts"], before=found["before"])


@form(ENDPOINTS, "/lists")
async def make(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Makes a list."""
    await web.call("list.set", title=text(ask.params, "title").strip(), by=me.did)
    return back(ask, "made")


@form(ENDPOINTS, "/lists/member")
async def member(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Puts an account on a list, or takes it off."""
    undo = undone(ask)
    await web.call("list.add", id=text(ask.params, "id"), accounts=[text(ask.params, "account")], undo=undo, by=me.did)
    return back(ask) if undo else back(ask, "listed")


@form(ENDPOINTS, "/lists/delete")
async def drop(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Deletes a list."""
    sure(ask)
    try:
        await web.call("list.delete", id=text(ask.params, "id"), by=me.did)
    except HttpRefusal as why:
        if why.status != 404:
            raise


# -- what a person hears of

KINDS = {
    "mentions": ["reply", "quote", "mention"],
    "follows": ["follow", "follow_request", "follow_accept"],
    "reactions": ["reaction", "repost"],
}
"""What the tabs of the page show."""


@page(ENDPOINTS, "/notifications")
async def notifications(web: DoorContext, ask: DoorRequest) -> Response:
    """What the visitor hears of. Reading the first page marks it as read."""
    me, before = somebody(web, ask), text(ask.params, "before", "") or None
    only = text(ask.params, "only", "all")
    found = await web.call("notifications", before=before, kinds=KINDS.get(only), by=me.did)
    requests: list[Any] = []
    if before is None:
        try:
            requests = (await web.call("follow.requests", by=me.did))["accounts"]
        except HttpRefusal:
            pass
    shown = {"notices": found["notices"], "before": found["before"], "requests": requests}
    answer = await render(web, ask, "people/notifications.html", **shown, only=only if only in KINDS else "all")
    if before is None and only not in KINDS and found["notices"]:
        with suppress(HttpRefusal):  # nothing is written for a suspended account, which reads all the same
            await web.call("marker.set", timeline="notifications", place=found["notices"][0]["at"], by=me.did)
    return answer
