"""Pages that anybody reads: timelines, profiles, conversations, groups, channels, search.

Whoever is not logged in reads as nobody (`NOBODY` of the node's API): nothing is muted or filtered for them.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.page.naming import did_of, thing_in, uri_in
from banyan_web.page.rendering import as_page, language, reader, render
from banyan_web.page.texts import post_path, readable, tail
from banyan_web.page.visitor import Visitor, keep, local
from banyan_web.page.words import LANGUAGES, WORDS
from banyan_web.params import text
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
A_PAGE, ANSWERS = 20, 60
"""Posts on a page, and answers on that of a conversation."""
_YEAR_S = 365 * 24 * 3_600


def _before(ask: Ask) -> str | None:
    return text(ask.params, "before", "") or None


@ENDPOINTS.get("/")
@as_page
async def public(web: Web, ask: Ask) -> Response:
    """The public timeline of the node."""
    me = reader(web, ask)
    found = await web.call("feed", all=True, before=_before(ask), limit=A_PAGE, by=me and me.did)
    heading = WORDS[language(ask)]["public_title"]
    return await _timeline(web, ask, heading, found["posts"], found["before"])


@ENDPOINTS.get("/home")
@as_page
async def home(web: Web, ask: Ask) -> Response:
    """What those say whom the visitor follows."""
    me = _somebody(web, ask)
    found = await web.call("feed", before=_before(ask), limit=A_PAGE, by=me.did)
    return await _timeline(web, ask, WORDS[language(ask)]["home"], found["posts"], found["before"])


def _somebody(web: Web, ask: Ask) -> Visitor:
    me = reader(web, ask)
    if me is None:
        raise Refused(401, "Log in first.")
    return me


async def _timeline(web: Web, ask: Ask, heading: str, posts: list[Any], before: str | None) -> Response:
    return await render(
        web, ask, "timeline.html", heading=heading, posts=posts, before=before, link="?", writes=_before(ask) is None
    )


@ENDPOINTS.get("/@{name}")
@as_page
async def profile(web: Web, ask: Ask) -> Response:
    """An account and its posts."""
    me, did = reader(web, ask), await did_of(web, ask.path["name"])
    found = await web.call("profile.get", account=did)
    found["pinned"]
    posts = await web.call("feed", account=did, before=_before(ask), limit=A_PAGE, by=me and me.did)
    following = False
    if me is not None and me.did != did:
        following = (await web.call("relationship", account=did, by=me.did))["following"]
    return await render(
        web,
        ask,
        "profile.html",
        profile=found,
        posts=posts["posts"],
        before=posts["before"],
        link="?",
        later=_before(ask) is not None,
        following=following,
    )


@ENDPOINTS.get("/@{name}/{key}")
@as_page
async def conversation(web: Web, ask: Ask) -> Response:
    """A post, what it answers, and what answers it."""
    did = await did_of(web, ask.path["name"])
    return await _thread(web, ask, uri_in(did, ask.path["key"]))


@ENDPOINTS.get("/p/{name}/{key}")
@as_page
async def by_uri(web: Web, ask: Ask) -> Response:
    """A post by its URI."""
    return RedirectResponse(post_path(thing_in(ask.path["name"], ask.path["key"])), 301)


async def _thread(web: Web, ask: Ask, uri: str) -> Response:
    me, after = reader(web, ask), text(ask.params, "after", "") or None
    found = await web.call("thread", uri=uri, after=after, limit=ANSWERS, by=me and me.did)
    found["posts"]
    who = next((row["name"] for row in found["posts"] if row["uri"] == uri), "") or tail(uri)[:12]
    return await render(web, ask, "thread.html", thread=found, uri=uri, who=readable(who))


@ENDPOINTS.get("/tags/{tag}")
@as_page
async def tag(web: Web, ask: Ask) -> Response:
    """Public posts under a tag."""
    me, named = reader(web, ask), ask.path["tag"].removeprefix("#")
    found = await web.call("search", question=f"#{named}", before=_before(ask), limit=A_PAGE, by=me and me.did)
    heading = WORDS[language(ask)]["tag_title"].format(tag=readable(named))
    return await _timeline(web, ask, heading, found["posts"], found["before"])


@ENDPOINTS.get("/search")
@as_page
async def search(web: Web, ask: Ask) -> Response:
    """Posts by their words, and accounts by name or id."""
    me, question = reader(web, ask), text(ask.params, "q", "").strip()
    found: dict[str, Any] = {"posts": [], "before": None}
    people: list[Any] = []
    why = None
    if question:
        try:
            people = (await web.call("find", text=question))["accounts"]
        except Refused:
            pass
        try:
            found = await web.call("search", question=question, before=_before(ask), limit=A_PAGE, by=me and me.did)
        except Refused as refused:
            why = refused.message
    return await render(
        web,
        ask,
        "search.html",
        question=question,
        people=people,
        posts=found["posts"],
        before=found["before"],
        link=f"?{urlencode({'q': question})}&",
        why=why,
    )


@ENDPOINTS.get("/groups/{name}/{key}")
@as_page
async def group(web: Web, ask: Ask) -> Response:
    """A group and its posts."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
    found = await web.call("group.show", group=uri, by=me and me.did)
    found["pinned"]
    posts = await web.call("group.feed", group=uri, before=_before(ask), limit=A_PAGE, by=me and me.did)
    return await render(
        web,
        ask,
        "group.html",
        group=found,
        posts=posts["posts"],
        before=posts["before"],
        link="?",
        later=_before(ask) is not None,
    )


@ENDPOINTS.get("/channels/{name}/{key}")
@as_page
async def channel(web: Web, ask: Ask) -> Response:
    """A channel and its episodes."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
    after = text(ask.params, "after", "") or None
    found = await web.call("channel.show", channel=uri, by=me and me.did)
    episodes = await web.call("episode.list", channel=uri, after=after, limit=A_PAGE, by=me and me.did)
    [one["post"] for one in episodes["episodes"] if one["post"] is not None]
    return await render(web, ask, "channel.html", channel=found, episodes=episodes)


@ENDPOINTS.get("/about")
@as_page
async def about(web: Web, ask: Ask) -> Response:
    """What this is, who runs it, and how one uses an app."""
    node, stats = await web.call("id"), await web.call("graph.stats")
    own = node["account"] and (await web.call("profile.get", account=node["account"]))["name"]
    return await render(web, ask, "about.html", node=node, stats=stats, own_name=own or "")


@ENDPOINTS.get("/language/{code}")
@as_page
async def choose(web: Web, ask: Ask) -> Response:
    """Keeps the visitor's language."""
    if ask.path["code"] not in LANGUAGES:
        raise Refused(404, "The pages are not in that language.")
    answer = RedirectResponse(local(ask.params.get("to")), 303)
    keep(web, answer, "lang", ask.path["code"], _YEAR_S)
    return answer
