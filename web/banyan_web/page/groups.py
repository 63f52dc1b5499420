"""Groups: which there are, what is said in one, and joining it. Events: what takes place when, and who comes."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from banyan_schema.dates import icalendar
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth.sessions import Visitor, visitor_of
from banyan_web.page.formats import did_of, from_input, post_path, readable, thing_in
from banyan_web.page.forms import form, saying, sure, undone
from banyan_web.page.posts import blank
from banyan_web.page.rendering import language, page, render
from banyan_web.page.translations import WORDS
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
A_PAGE = 20
MEMBERS, EVENTS = 60, 5
RULING, INSIDE = ("owner", "moderator"), ("owner", "moderator", "member")


def group_path(uri: str) -> str:
    return "/groups/" + post_path(uri).removeprefix("/@")


@page(ENDPOINTS, "/groups")
async def mine(web: DoorContext, ask: DoorRequest) -> Response:
    """The groups of the visitor; for others those of the node's own account."""
    me = visitor_of(web, ask)
    account = me.did if me is not None else (await web.call("id"))["account"]
    return await _list(web, ask, me, account, WORDS[language(ask)]["groups"])


@page(ENDPOINTS, "/@{name}/groups")
async def theirs(web: DoorContext, ask: DoorRequest) -> Response:
    """The groups of an account."""
    did, words = await did_of(web, ask.path["name"]), WORDS[language(ask)]
    name = (await web.call("profile.get", account=did))["name"] or words["nameless"]
    return await _list(web, ask, visitor_of(web, ask), did, words["groups_of"].format(name=readable(name)))


async def _list(web: DoorContext, ask: DoorRequest, me: Visitor | None, account: str | None, heading: str) -> Response:
    found: list[Any] = []
    if account:
        found = (await web.call("groups", account=account, by=me and me.did))["groups"]
    makes = me is not None and me.did == account
    return await render(web, ask, "community/groups.html", groups=found, heading=heading, may_make=makes)


@form(ENDPOINTS, "/groups")
async def make(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Opens a group."""
    said = {name: text(ask.params, name, "").strip() for name in ("name", "description", "rules")}
    made = await web.call("group.create", **said, kind=text(ask.params, "kind", "open"), by=me.did)
    return group_path(made["uri"])


@page(ENDPOINTS, "/groups/{name}/{key}")
async def group(web: DoorContext, ask: DoorRequest) -> Response:
    """A group and its posts."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
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
        "community/group.html",
        group=found,
        posts=posts["posts"],
        before=posts["before"],
        link="?",
        later=before is not None,
        requests=requests,
        events=events["events"],
        form=form,
    )


@page(ENDPOINTS, "/groups/{name}/{key}/members")
async def members(web: DoorContext, ask: DoorRequest) -> Response:
    """Who is in a group."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
    after = text(ask.params, "after", "") or None
    name = (await web.call("group.show", group=uri, by=me and me.did))["name"]
    found = await web.call("group.members", group=uri, after=after, limit=MEMBERS, by=me and me.did)
    heading = WORDS[language(ask)]["members_of"].format(name=readable(name))
    shown = {"members": found["members"], "after": found["after"], "heading": heading, "back": group_path(uri)}
    return await render(web, ask, "community/members.html", **shown)


@form(ENDPOINTS, "/groups/join")
async def join(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Joins a group, asks to, or leaves it."""
    await web.mark("group.join", undone(ask), group=text(ask.params, "group"), by=me.did)


@form(ENDPOINTS, "/groups/answer")
async def answer(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Accepts who asks to join, or takes the wish off the list."""
    method = "group.accept" if ask.params.get("do") == "accept" else "group.refuse"
    await web.call(method, group=text(ask.params, "group"), account=text(ask.params, "account"), by=me.did)


# -- events

COMING = 60
ANSWERS = ("yes", "maybe", "no")


def event_path(uri: str) -> str:
    return "/events/" + post_path(uri).removeprefix("/@")


@page(ENDPOINTS, "/events")
async def to_come(web: DoorContext, ask: DoorRequest) -> Response:
    """Events to come of the visitor and those it follows; for others those of the node's own account."""
    me, only = visitor_of(web, ask), text(ask.params, "only", "all")
    only = only if me is not None and only in ("answered", "own") else "all"
    which: dict[str, Any] = {"answered": True} if only == "answered" else {}
    if only == "own" and me is not None:
        which = {"account": me.did}
    if me is None:
        which = {"account": (await web.call("id"))["account"]}
    found: dict[str, Any] = {"events": [], "after": None}
    if me is not None or which["account"]:
        after = text(ask.params, "after", "") or None
        found = await web.call("event.list", **which, after=after, limit=A_PAGE, by=me and me.did)
    return await render(web, ask, "community/events.html", events=found["events"], after=found["after"], only=only)


@page(ENDPOINTS, "/events/{name}/{key}")
async def event(web: DoorContext, ask: DoorRequest) -> Response:
    """An event, and who comes."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
    found = await web.call("event.show", event=uri, by=me and me.did)
    coming = await web.call("event.replies", event=uri, answer="yes", limit=COMING, by=me and me.did)
    return await render(web, ask, "community/event.html", event=found, coming=coming["accounts"])


@page(ENDPOINTS, "/events/{name}/{key}/event.ics")
async def calendar(web: DoorContext, ask: DoorRequest) -> Response:
    """The event as calendars read it (RFC 5545)."""
    me, uri = visitor_of(web, ask), thing_in(ask.path["name"], ask.path["key"])
    found = await web.call("event.show", event=uri, by=me and me.did)
    rows = [
        ("UID", uri.replace("/", "-")),
        ("DTSTAMP", icalendar(found["begins"])),
        ("DTSTART", icalendar(found["begins"])),
        *([("DTEND", icalendar(found["ends"]))] if found["ends"] else []),
        ("SUMMARY", _escaped(found["title"])),
        *([("LOCATION", _escaped(found["place"]))] if found["place"] else []),
        *([("DESCRIPTION", _escaped(found["text"]))] if found["text"] else []),
        ("URL", web.url + event_path(uri)),
    ]
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Banyan//EN", "BEGIN:VEVENT"]
    lines += [_folded(f"{name}:{said}") for name, said in rows]
    body = "\r\n".join([*lines, "END:VEVENT", "END:VCALENDAR", ""]).encode("utf-8", "replace")
    headers = {
        "content-type": "text/calendar; charset=utf-8",
        "content-disposition": 'attachment; filename="event.ics"',
    }
    return Response(body, headers=headers)


def _escaped(said: str) -> str:
    for letter, instead in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        said = readable(said).replace(letter, instead)
    return said


def _folded(line: str) -> str:
    """At most 75 bytes a line; a line that goes on begins with a space."""
    parts, size = [""], 0
    for letter in line:
        more = len(letter.encode("utf-8", "replace"))
        if size + more > 73:
            parts.append("")
            size = 0
        parts[-1] += letter
        size += more
    return "\r\n ".join(parts)


@form(ENDPOINTS, "/events")
async def announce(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Announces an event, or changes one."""
    zone, uri = text(ask.params, "tz", "UTC").strip(), text(ask.params, "event", "")
    ends = text(ask.params, "ends", "")
    said: dict[str, Any] = {
        "title": text(ask.params, "title").strip(),
        "begins": from_input(text(ask.params, "begins"), zone),
        "ends": from_input(ends, zone) if ends else None,
        "zone": zone,
        "text": text(ask.params, "text", "").replace("\r\n", "\n"),
        "place": text(ask.params, "place", "").strip(),
    }
    if uri:
        await web.call("event.set", event=uri, **said, by=me.did)
        return saying(event_path(uri), "saved")
    made = await web.call("event.create", **said | {"place": said["place"] or None}, by=me.did)
    return event_path(made["uri"])


@form(ENDPOINTS, "/events/reply")
async def reply(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Says whether one comes, or takes that back."""
    answer, uri = text(ask.params, "answer"), text(ask.params, "event")
    if answer == "undo":
        mine = (await web.call("event.show", event=uri, by=me.did))["mine"]
        if mine:
            await web.call("event.reply", event=uri, answer=mine, undo=True, by=me.did)
        return
    if answer not in ANSWERS:
        raise HttpRefusal(422, f"answer is one of {', '.join(ANSWERS)}.")
    await web.call("event.reply", event=uri, answer=answer, by=me.did)


@form(ENDPOINTS, "/events/delete")
async def call_off(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Calls an event off, for good."""
    sure(ask)
    await web.call("event.delete", event=text(ask.params, "event"), by=me.did)
