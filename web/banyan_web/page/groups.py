"""Groups: which there are, what is said in one, and joining it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.page.formats import did_of, post_path, readable, thing_in
from banyan_web.page.forms import back, form, undone
from banyan_web.page.posts import blank
from banyan_web.page.rendering import as_page, language, reader, render
from banyan_web.page.translations import WORDS
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import Visitor

ENDPOINTS = Endpoints()
A_PAGE = 20
MEMBERS, EVENTS = 60, 5
RULING, INSIDE = ("owner", "moderator"), ("owner", "moderator", "member")


def group_path(uri: str) -> str:
    return "/groups/" + post_path(uri).removeprefix("/@")


@ENDPOINTS.get("/groups")
@as_page
async def mine(web: DoorContext, ask: DoorRequest) -> Response:
    """The groups of the visitor; for others those of the node's own account."""
    me = reader(web, ask)
    account = me.did if me is not None else (await web.call("id"))["account"]
    return await _list(web, ask, me, account, WORDS[language(ask)]["groups"])


@ENDPOINTS.get("/@{name}/groups")
@as_page
async def theirs(web: DoorContext, ask: DoorRequest) -> Response:
    """The groups of an account."""
    did, words = await did_of(web, ask.path["name"]), WORDS[language(ask)]
    name = (await web.call("profile.get", account=did))["name"] or words["nameless"]
    return await _list(web, ask, reader(web, ask), did, words["groups_of"].format(name=readable(name)))


async def _list(web: DoorContext, ask: DoorRequest, me: Visitor | None, account: str | None, heading: str) -> Response:
    found: list[Any] = []
    if account:
        found = (await web.call("groups", account=account, by=me and me.did))["groups"]
    makes = me is not None and me.did == account
    return await render(web, ask, "groups.html", groups=found, heading=heading, may_make=makes)


@form(ENDPOINTS, "/groups")
async def make(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Opens a group."""
    said = {name: text(ask.params, name, "").strip() for name in ("name", "description", "rules")}
    made = await web.call("group.create", **said, kind=text(ask.params, "kind", "open"), by=me.did)
    return group_path(made["uri"])


@ENDPOINTS.get("/groups/{name}/{key}")
@as_page
async def group(web: DoorContext, ask: DoorRequest) -> Response:
    """A group and its posts."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
    before = text(ask.params, "before", "") or None
    found = await web.call("group.show", group=uri, by=me and me.did)
    posts = await web.call("group.feed", group=uri, before=before, limit=A_PAGE, by=me and me.did)
    requests: list[Any] = []
    if me is not None and found["standing"] in RULING:
        requests = (await web.call("group.requests", group=uri, by=me.did))["members"]
    events = await web.call("event.list", group=uri, limit=EVENTS, by=me and me.did)
    inside = me is not None and found["standing"] in INSIDE
    form = blank(web, ask, me, group=uri, in_group=found["name"]) if me is not None and inside else None
    return await render(
        web,
        ask,
        "group.html",
        group=found,
        posts=posts["posts"],
        before=posts["before"],
        link="?",
        later=before is not None,
        requests=requests,
        events=events["events"],
        form=form,
    )


@ENDPOINTS.get("/groups/{name}/{key}/members")
@as_page
async def members(web: DoorContext, ask: DoorRequest) -> Response:
    """Who is in a group."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
    after = text(ask.params, "after", "") or None
    name = (await web.call("group.show", group=uri, by=me and me.did))["name"]
    found = await web.call("group.members", group=uri, after=after, limit=MEMBERS, by=me and me.did)
    heading = WORDS[language(ask)]["members_of"].format(name=readable(name))
    shown = {"members": found["members"], "after": found["after"], "heading": heading, "back": group_path(uri)}
    return await render(web, ask, "members.html", **shown)


@form(ENDPOINTS, "/groups/join")
async def join(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Joins a group, asks to, or leaves it."""
    try:
        await web.call("group.join", group=text(ask.params, "group"), undo=undone(ask), by=me.did)
    except HttpRefusal as why:
        if not (undone(ask) and why.status == 404):
            raise
    return back(ask)


@form(ENDPOINTS, "/groups/answer")
async def answer(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Accepts who asks to join, or takes the wish off the list."""
    method = "group.accept" if ask.params.get("do") == "accept" else "group.refuse"
    await web.call(method, group=text(ask.params, "group"), account=text(ask.params, "account"), by=me.did)
