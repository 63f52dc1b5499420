"""Events: what takes place when and where, and who comes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Fields, Parser, Resolver, Wrong, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import ACCOUNT, By, Event, Reader, Undo, Who, argument, some_account
from banyan_cli.show.tables import Row, aside, columns, headline, labelled, named, people, span
from banyan_node.terminal_escape import plain
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_event = root.group("event", "Events: what takes place when and where, and who comes.")
WHEN = "Such as '2026-12-24 19:00', in the clock of the zone."
Ends = Annotated[str | None, typer.Option(help=WHEN)]
Place = Annotated[str | None, typer.Option(help="Where, in words.")]
At = Annotated[str | None, typer.Option(metavar="LAT,LON", help="Where, in degrees: 21.0285,105.8542; north and east.")]
ANSWERS = ("yes", "no", "maybe")
YesOrNo = Annotated[str, typer.Argument(help="yes, no or maybe.")]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _ms(option: str, text: str, zone: str) -> int:
    """Milliseconds since 1970 of a time in a zone's clock. Raises BadInput."""
    try:
        clock = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise BadInput(f"'{zone}' is no time zone; give a name of IANA's list, such as Asia/Ho_Chi_Minh.") from None
    try:
        local = datetime.fromisoformat(text.strip())
        if not re.match(r"\d{4}-\d\d-\d\d", text.strip()) or local.tzinfo is not None:
            raise ValueError(text)
        moment = local.replace(tzinfo=clock).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInput(f"{option} is '{text}'; write, for example, '2026-12-24 19:00'.") from None
    if moment.astimezone(clock).replace(tzinfo=None) != local:
        raise BadInput(
            f"{option}: in {zone} there is no '{text}', because the clocks go forward then; give another time."
        )
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000 + passed.microseconds // 1_000


def _times(begins: str | None, ends: str | None, zone: str) -> dict[str, int]:
    given = {"begins": begins, "ends": ends}
    return {name: _ms(f"--{name}", text, zone) for name, text in given.items() if text is not None}


def _degrees(at: str | None) -> dict[str, int]:
    if at is None:
        return {}
    try:
        latitude, longitude = (float(part) for part in at.split(","))
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError(at)
    except ValueError:
        raise BadInput(f"--at is '{at}'; write, for example, 21.0285,105.8542: degrees north, then east.") from None
    return {"latitude": round(latitude * 1e7), "longitude": round(longitude * 1e7)}


def _when(row: Row) -> str:
    """`Thu 24 Dec 2026 19:00 +07`, in the clock of the event."""
    try:
        local = dates.moment(row["begins"], ZoneInfo(row["zone"]))
    except (KeyError, ValueError, OSError):  # a zone that is younger than this system's list
        local = dates.moment(row["begins"])
    return f"{local:%a} {local.day} {local:%b} {local.year} {local:%H:%M %Z}"


_EVENTS = columns(
    ("event", lambda row: refs.short(row["uri"])),
    ("begins", _when),
    ("yes#", lambda row: row["answers"]["yes"]),
    ("you", "mine"),
    ("of", lambda row: named(row["account"])),
    ("title", "title"),
)


def _show_event(console: Console, value: Row) -> None:
    headline(console, value["title"], value["uri"])
    lasts = "" if value["ends"] is None else f", {span(value['ends'] - value['begins'])}"
    console.print(f"{_when(value)}{lasts}  {plain(value['zone'])}")
    aside(console, f"of {named(value['account'])}", value["group"] and f"in {plain(value['group']['name'])}")
    labelled(console, "place", value["place"])
    if value["latitude"] is not None:
        aside(console, f"at {value['latitude'] / 1e7:.5f},{value['longitude'] / 1e7:.5f}")
    if value["text"]:
        console.print(plain(value["text"], lines=True))
    said = (f"{value['answers'][answer]:,} {answer}" for answer in ANSWERS)
    aside(console, *said, value["mine"] and f"you: {value['mine']}")


@_event.command()
def event_create(
    s: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE")],
    begins: Annotated[str, typer.Option(help=WHEN)],
    zone: Annotated[str, typer.Option(help="Its time zone, such as Asia/Ho_Chi_Minh.")],
    ends: Ends = None,
    place: Place = None,
    at: At = None,
    text: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="GROUP", help="It takes place in a group that you are in.")
    ] = None,
    by: By = None,
) -> None:
    """Announce an event."""
    said = {"title": title, "zone": zone, "place": place, "text": text, **_degrees(at), **_times(begins, ends, zone)}
    answer = s.call("event.create", **said, group=None if group is None else refs.group(s, group, by), by=by)
    refs.note(s.home, events=[answer])
    s.out.done(answer, f"Announced: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_event.command()
def event_set(
    s: Session,
    which: Event,
    title: Annotated[str | None, typer.Option(help="Another title.")] = None,
    begins: Annotated[str | None, typer.Option(help=WHEN)] = None,
    ends: Ends = None,
    zone: Annotated[str | None, typer.Option(help="Another time zone; times are moments and stay.")] = None,
    place: Place = None,
    at: At = None,
    text: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    by: By = None,
) -> None:
    """Change an event of yours."""
    if all(one is None for one in (title, begins, ends, zone, place, at, text)):
        raise BadInput("Nothing is to be changed; `banyan event set --help` says what can be.")
    event, where = refs.event(s, which, by), _degrees(at)
    clock = zone or s.call("event.show", event=event, by=by)["zone"]
    said = {"title": title, "zone": zone, "place": place, "text": text, **where, **_times(begins, ends, clock)}
    answer = s.call("event.set", event=event, **said, by=by)
    s.out.done(answer, f"Changed: {answer['title']}.")


@_event.act(
    "event.delete",
    "Called off: {title}.",
    sure="An event that is called off cannot be brought back; say so with --yes.",
)
def event_delete(event: Event, by: By = None) -> None:
    """Call an event of yours off, for good."""


def _several(typed: Fields) -> str:
    several = sum((typed["account"] is not None, typed["group"] is not None, typed["answered"])) > 1
    return "An account, --group and --mine exclude one another; choose one." if several else ""


@_event.rows(
    "event.list",
    _EVENTS,
    "No events to come: `banyan event create`.",
    field="events",
    seen="events",
    wrong=_several,
    page=20,
    most=200,
)
def event_ls(
    account: Annotated[
        str | None, argument("One account's events; else yours and whom you follow.", some_account), ACCOUNT
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="GROUP", help="Those of a group."), Resolver(refs.group)] = None,
    answered: Annotated[bool, typer.Option("--mine", help="Those that you said yes or maybe to.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="From that day on (UTC), past ones too: 2026-01-31."),
        Parser(lambda since: _ms("--since", since, "UTC")),
    ] = None,
    by: Reader = None,
) -> None:
    """Events to come, the first to begin first."""


@_event.value("event.show", _show_event, seen="events")
def event_show(event: Event, by: Reader = None) -> None:
    """An event, and how many come."""


def _no_answer(what: str) -> Wrong:
    return lambda typed: "" if typed["answer"] in ANSWERS else f"'{typed['answer']}' is no answer; {what}."


@_event.act("event.reply", "You said {typed[answer]} to {title}.", wrong=_no_answer(f"say {', '.join(ANSWERS)}"))
def event_answer(event: Event, answer: YesOrNo = "yes", undo: Undo = False, by: By = None) -> None:
    """Say whether you come."""


@_event.rows(
    "event.replies",
    people,
    "Nobody said {typed[answer]}.",
    field="accounts",
    seen="accounts",
    wrong=_no_answer(f"there are {', '.join(ANSWERS)}"),
    page=100,
)
def event_replies(event: Event, answer: YesOrNo = "yes", by: Reader = None) -> None:
    """Who comes, or gave another answer."""


@_event.act("event.invite", "Invited to {title}.")
def event_invite(event: Event, account: Who, undo: Undo = False, by: By = None) -> None:
    """Invite somebody to an event of yours."""
