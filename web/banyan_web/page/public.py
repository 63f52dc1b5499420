"""Pages that anybody reads: timelines, profiles, conversations, tags, search, about.

Whoever is not logged in reads as nobody (`NOBODY` of the node's API): nothing is muted or filtered for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth.sessions import Visitor, keep, local, visitor_of
from banyan_web.page.formats import did_of, post_path, readable, tail, thing_in, uri_in
from banyan_web.page.forms import somebody
from banyan_web.page.people import cards, timeline
from banyan_web.page.posts import answer_form, blank
from banyan_web.page.rendering import THEMES, language, page, render
from banyan_web.page.translations import LANGUAGES, WORDS
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
A_PAGE, ANSWERS, A_FEW = 20, 60, 6
"""Posts on a page, answers on that of a conversation, and people beside posts."""
_YEAR_S = 365 * 24 * 3_600


def _before(ask: DoorRequest) -> str | None:
    return text(ask.params, "before", "") or None


TABS = (("/home", "home"), ("/", "public"), ("/local", "local"))
"""Timelines: address, and key of the word."""


@page(ENDPOINTS, "/")
async def public(web: DoorContext, ask: DoorRequest) -> Response:
    """The public timeline of the node."""
    me = visitor_of(web, ask)
    found = await web.call("feed", all=True, before=_before(ask), limit=A_PAGE, by=me and me.did)
    return await _timeline(web, ask, me, "public_title", found)


@page(ENDPOINTS, "/local")
async def here(web: DoorContext, ask: DoorRequest) -> Response:
    """What those say in public who are hosted here."""
    me = visitor_of(web, ask)
    found = await web.call("feed", all=True, local=True, before=_before(ask), limit=A_PAGE, by=me and me.did)
    return await _timeline(web, ask, me, "local_title", found)


@page(ENDPOINTS, "/home")
async def home(web: DoorContext, ask: DoorRequest) -> Response:
    """What those say whom the visitor follows."""
    me = somebody(web, ask)
    found = await web.call("feed", before=_before(ask), limit=A_PAGE, by=me.did)
    people: list[Any] = []
    if len(found["posts"]) < A_FEW and _before(ask) is None:
        some = (await web.call("suggestions", limit=A_FEW, by=me.did))["suggestions"]
        people = await cards(web, me, [one["account"] for one in some])
    return await _timeline(web, ask, me, "home", found, hint="home_none", people=people)


async def _timeline(
    web: DoorContext,
    ask: DoorRequest,
    me: Visitor | None,
    word: str,
    found: Any,
    hint: str = "",
    people: Sequence[Any] = (),
) -> Response:
    first = _before(ask) is None
    more = {
        "tabs": TABS if me is not None else TABS[1:],
        "live": "" if not first else "home" if word == "home" else "public",
        "cursor": found["cursor"],
        "form": blank(web, ask, me) if me is not None and first else None,
        "hint_icon": "home",
        "people": people,
    }
    heading, hint = WORDS[language(ask)][word], hint if first else ""
    return await timeline(web, ask, heading, found["posts"], found["before"], hint, **more)


@page(ENDPOINTS, "/@{name}")
async def profile(web: DoorContext, ask: DoorRequest) -> Response:
    """An account and its posts."""
    me, did = visitor_of(web, ask), await did_of(web, ask.path["name"])
    found = await web.call("profile.get", account=did)
    shown = text(ask.params, "with", "")
    shown = shown if shown in ("replies", "media") else ""
    only = {"media": True} if shown == "media" else {"replies": True} if shown == "replies" else {"replies": False}
    posts = await web.call("feed", account=did, **only, before=_before(ask), limit=A_PAGE, by=me and me.did)
    tie = None
    if me is not None and me.did != did:
        tie = (await web.call("relationships", accounts=[did], by=me.did))["relationships"][0]
    return await render(
        web,
        ask,
        "people/profile.html",
        profile=found,
        posts=posts["posts"],
        before=posts["before"],
        link=f"?with={shown}&" if shown else "?",
        later=_before(ask) is not None,
        shown=shown,
        tie=tie,
    )


@page(ENDPOINTS, "/@{name}/{key}")
async def conversation(web: DoorContext, ask: DoorRequest) -> Response:
    """A post, what it answers, and what answers it."""
    did = await did_of(web, ask.path["name"])
    return await _thread(web, ask, await uri_in(web, did, ask.path["key"]))


@page(ENDPOINTS, "/@{name}/{key}/quotes")
async def quotes(web: DoorContext, ask: DoorRequest) -> Response:
    """The posts that quote a post."""
    me, did = visitor_of(web, ask), await did_of(web, ask.path["name"])
    uri = await uri_in(web, did, ask.path["key"])
    found = await web.call("feed", quotes=uri, before=_before(ask), limit=A_PAGE, by=me and me.did)
    return await timeline(web, ask, WORDS[language(ask)]["quotes_title"], found["posts"], found["before"])


@page(ENDPOINTS, "/p/{name}/{key}")
async def by_uri(web: DoorContext, ask: DoorRequest) -> Response:
    """A post by its URI."""
    return RedirectResponse(post_path(thing_in(ask.path["name"], ask.path["key"])), 301)


async def _thread(web: DoorContext, ask: DoorRequest, uri: str) -> Response:
    me, after = visitor_of(web, ask), text(ask.params, "after", "") or None
    found = await web.call("thread", uri=uri, after=after, limit=ANSWERS, by=me and me.did)
    row = next((row for row in found["posts"] if row["uri"] == uri), None)
    who = (row and row["name"]) or tail(uri)[:12]
    may_not = row is not None and row["mine"] is not None and "answers" in row["mine"]["may_not"]
    form = answer_form(web, ask, me, row) if me is not None and row is not None and not may_not else None
    more = {"root": (row and row["root"]) or uri, "who": readable(who), "form": form, "may_not": may_not}
    return await render(web, ask, "posts/thread.html", thread=found, uri=uri, **more)


@page(ENDPOINTS, "/tags/{tag}")
async def tag(web: DoorContext, ask: DoorRequest) -> Response:
    """Public posts under a tag."""
    me, named = visitor_of(web, ask), ask.path["tag"].removeprefix("#")
    found = await web.call("search", question=f"#{named}", before=_before(ask), limit=A_PAGE, by=me and me.did)
    heading = WORDS[language(ask)]["tag_title"].format(tag=readable(named))
    return await timeline(web, ask, heading, found["posts"], found["before"])


@page(ENDPOINTS, "/search")
async def search(web: DoorContext, ask: DoorRequest) -> Response:
    """Posts by their words, and accounts by name or id."""
    me, question = visitor_of(web, ask), text(ask.params, "q", "").strip()
    trends = [] if question else (await web.call("trends", hours=168, limit=A_PAGE))["trends"]
    found: dict[str, Any] = {"posts": [], "before": None}
    people: list[Any] = []
    why = None
    if question:
        try:
            found_people = await web.call("accounts.search", text=question, limit=A_FEW, by=me and me.did)
            people = await cards(web, me, [one["account"] for one in found_people["accounts"]])
        except HttpRefusal:
            pass
        try:
            found = await web.call("search", question=question, before=_before(ask), limit=A_PAGE, by=me and me.did)
        except HttpRefusal as refused:
            why = refused.message
    return await render(
        web,
        ask,
        "posts/search.html",
        question=question,
        people=people,
        posts=found["posts"],
        before=found["before"],
        link=f"?{urlencode({'q': question})}&",
        why=why,
        trends=trends,
    )


@page(ENDPOINTS, "/about")
async def about(web: DoorContext, ask: DoorRequest) -> Response:
    """What this is, who runs it, and how one uses an app."""
    node, size = await web.call("id"), await web.call("graph.size")
    own = node["account"] and (await web.call("profile.get", account=node["account"]))["name"]
    said = {"words": web.server.description, "email": web.server.email}
    return await render(web, ask, "about.html", node=node, size=size, own_name=own or "", **said)


@page(ENDPOINTS, "/more")
async def more(web: DoorContext, ask: DoorRequest) -> Response:
    """All other pages: the bar at the foot of a phone has room for five."""
    return await render(web, ask, "more.html")


@page(ENDPOINTS, "/language/{code}")
async def choose(web: DoorContext, ask: DoorRequest) -> Response:
    """Keeps the visitor's language."""
    if ask.path["code"] not in LANGUAGES:
        raise HttpRefusal(404, "The pages are not in that language.")
    answer = RedirectResponse(local(ask.params.get("to")), 303)
    keep(web, answer, "lang", ask.path["code"], _YEAR_S)
    return answer


@page(ENDPOINTS, "/theme/{name}")
async def choose_theme(web: DoorContext, ask: DoorRequest) -> Response:
    """Keeps whether the visitor wants it light, dark, or as the device is."""
    if ask.path["name"] not in THEMES:
        raise HttpRefusal(404, "There is no such theme.")
    answer = RedirectResponse(local(ask.params.get("to")), 303)
    keep(web, answer, "theme", ask.path["name"], _YEAR_S)
    return answer
