"""Events: what takes place when, and who comes."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from banyan_schema.dates import icalendar
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.page.formats import from_input, post_path, readable, thing_in
from banyan_web.page.forms import form, saying, sure
from banyan_web.page.rendering import as_page, reader, render
from banyan_web.params import text
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import Visitor

ENDPOINTS = Endpoints()
A_PAGE = 20
COMING = 60
ANSWERS = ("yes", "maybe", "no")


def event_path(uri: str) -> str:
    return "/events/" + post_path(uri).removeprefix("/@")


@ENDPOINTS.get("/events")
@as_page
async def to_come(web: DoorContext, ask: DoorRequest) -> Response:
    """Events to come of the visitor and those it follows; for others those of the node's own account."""
    me, only = reader(web, ask), text(ask.params, "only", "all")
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
    return await render(web, ask, "events.html", events=found["events"], after=found["after"], only=only)


@ENDPOINTS.get("/events/{name}/{key}")
@as_page
async def event(web: DoorContext, ask: DoorRequest) -> Response:
    """An event, and who comes."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
    found = await web.call("event.show", event=uri, by=me and me.did)
    coming = await web.call("event.replies", event=uri, answer="yes", limit=COMING, by=me and me.did)
    return await render(web, ask, "event.html", event=found, coming=coming["accounts"])


@ENDPOINTS.get("/events/{name}/{key}/event.ics")
@as_page
async def calendar(web: DoorContext, ask: DoorRequest) -> Response:
    """The event as calendars read it (RFC 5545)."""
    me, uri = reader(web, ask), thing_in(ask.path["name"], ask.path["key"])
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
