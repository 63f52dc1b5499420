"""Events: what takes place when and where, and who comes."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Who
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_event = root.group("event", "Events: what takes place when and where, and who comes.")
Which = Annotated[
    str, typer.Argument(metavar="EVENT", help="Its title or digits as shown, or its address.", show_default=False)
]
Reader = Annotated[
    str | None,
    typer.Option("--as", help="Who reads; your own account when left out.", autocompletion=completion.accounts),
]
WHEN = "Such as '2026-12-24 19:00', in the clock of the zone."
Ends = Annotated[str | None, typer.Option("--ends", help=WHEN)]
Place = Annotated[str | None, typer.Option("--place", help="Where, in words.")]
At = Annotated[
    str | None, typer.Option("--at", metavar="LAT,LON", help="Where, in degrees: 21.0285,105.8542; north and east.")
]
ANSWERS = ("yes", "no", "maybe")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@_event.command("create")
def event_create(
    s: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE")],
    begins: Annotated[str, typer.Option("--begins", help=WHEN)],
    zone: Annotated[str, typer.Option("--zone", help="Its time zone, such as Asia/Ho_Chi_Minh.")],
    ends: Ends = None,
    place: Place = None,
    at: At = None,
    text: Annotated[str | None, typer.Option("--text", help="What it is about.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="GROUP", help="It takes place in a group that you are in.")
    ] = None,
    by: By = None,
) -> None:
    """Announce an event."""
    latitude, longitude = _degrees(at)
    answer = s.call(
        "event.create",
        title=title,
        begins=_ms("--begins", begins, zone),
        ends=None if ends is None else _ms("--ends", ends, zone),
        zone=zone,
        place=place,
        latitude=latitude,
        longitude=longitude,
        text=text,
        group=None if group is None else refs.group(s, group, by),
        by=by,
    )
    refs.note(s.home, events=[answer])
    s.out.done(answer, f"Announced: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_event.command("set")
def event_set(
    s: Session,
    which: Which,
    title: Annotated[str | None, typer.Option("--title", help="Another title.")] = None,
    begins: Annotated[str | None, typer.Option("--begins", help=WHEN)] = None,
    ends: Ends = None,
    zone: Annotated[str | None, typer.Option("--zone", help="Another time zone; times are moments and stay.")] = None,
    place: Place = None,
    at: At = None,
    text: Annotated[str | None, typer.Option("--text", help="What it is about.")] = None,
    by: By = None,
) -> None:
    """Change an event of yours."""
    if all(one is None for one in (title, begins, ends, zone, place, at, text)):
        raise BadInput("Nothing is to be changed; `banyan event set --help` says what can be.")
    event, (latitude, longitude) = refs.event(s, which, by), _degrees(at)
    clock = zone or s.call("event.show", event=event, by=by)["zone"]
    answer = s.call(
        "event.set",
        event=event,
        title=title,
        begins=None if begins is None else _ms("--begins", begins, clock),
        ends=None if ends is None else _ms("--ends", ends, clock),
        zone=zone,
        place=place,
        latitude=latitude,
        longitude=longitude,
        text=text,
        by=by,
    )
    s.out.done(answer, f"Changed: {answer['title']}.")


@_event.command("delete")
def event_delete(
    s: Session,
    which: Which,
    yes: Annotated[bool, typer.Option("--yes", help="It cannot be taken back; say that you mean it.")] = False,
    by: By = None,
) -> None:
    """Call an event of yours off, for good."""
    if not yes:
        raise BadInput("An event that is called off cannot be brought back; say so with --yes.")
    answer = s.call("event.delete", event=refs.event(s, which, by), by=by)
    s.out.done(answer, f"Called off: {answer['title']}.")


@_event.command("ls")
def event_ls(
    s: Session,
    account: Annotated[
        str | None,
        typer.Argument(
            help="One account's events; else yours and whom you follow.", autocompletion=completion.accounts
        ),
    ] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="Those of a group.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Those that you said yes or maybe to.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="From that day on (UTC), past ones too: 2026-01-31.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")] = 20,
    after: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
    by: Reader = None,
) -> None:
    """Events to come, the first to begin first."""
    if sum((account is not None, group is not None, mine)) > 1:
        raise BadInput("An account, --group and --mine exclude one another; choose one.")
    page = s.call(
        "event.list",
        account=None if account is None else refs.account(s, account),
        group=None if group is None else refs.group(s, group, by),
        answered=mine or None,
        since=None if since is None else _ms("--since", since, "UTC"),
        limit=limit,
        after=after,
        by=by,
    )
    refs.note(s.home, events=page["events"])
    s.out.answers(page["events"], _show_events, "No events to come: `banyan event create`.")
    if page["after"]:
        s.out.note(f"More: the same with --after {page['after']}")


@_event.command("show")
def event_show(s: Session, which: Which, by: Reader = None) -> None:
    """An event, and how many come."""
    value = s.call("event.show", event=refs.event(s, which, by), by=by)
    refs.note(s.home, events=[value])
    s.out.answer(value, _show_event)


@_event.command("answer")
def event_answer(
    s: Session,
    which: Which,
    answer: Annotated[str, typer.Argument(help="yes, no or maybe.")] = "yes",
    undo: Undo = False,
    by: By = None,
) -> None:
    """Say whether you come."""
    if answer not in ANSWERS:
        raise BadInput(f"'{answer}' is no answer; say {', '.join(ANSWERS)}.")
    said = s.call("event.reply", event=refs.event(s, which, by), answer=answer, undo=undo, by=by)
    s.out.done(said, "Taken back." if undo else f"You said {answer} to {said['title']}.")


@_event.command("replies")
def event_replies(
    s: Session,
    which: Which,
    answer: Annotated[str, typer.Argument(help="yes, no or maybe.")] = "yes",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 100,
    after: Annotated[str | None, typer.Option(help="Continue where a page ended.")] = None,
    by: Reader = None,
) -> None:
    """Who comes, or gave another answer."""
    if answer not in ANSWERS:
        raise BadInput(f"'{answer}' is no answer; there are {', '.join(ANSWERS)}.")
    given = {
        "event": refs.event(s, which, by),
        "answer": answer,
        "limit": limit,
        "after": after,
        "by": by,
    }
    page = s.call("event.replies", **given)
    refs.note(s.home, accounts=page["accounts"])
    s.out.answers(page["accounts"], _show_accounts, f"Nobody said {answer}.")
    if page["after"]:
        s.out.note(f"More: the same with --after {page['after']}")


@_event.command("invite")
def event_invite(s: Session, which: Which, account: Who, undo: Undo = False, by: By = None) -> None:
    """Invite somebody to an event of yours."""
    whom, event = refs.account(s, account), refs.event(s, which, by)
    answer = s.call("event.invite", event=event, account=whom, undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else f"Invited to {answer['title']}.")


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


def _degrees(at: str | None) -> tuple[int | None, int | None]:
    if at is None:
        return None, None
    try:
        latitude, longitude = (float(part) for part in at.split(","))
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError(at)
    except ValueError:
        raise BadInput(f"--at is '{at}'; write, for example, 21.0285,105.8542: degrees north, then east.") from None
    return round(latitude * 1e7), round(longitude * 1e7)


def when(row: dict[str, Any]) -> str:
    """`Thu 24 Dec 2026 19:00 +07`, in the clock of the event."""
    try:
        local = dates.moment(row["begins"], ZoneInfo(row["zone"]))
    except (KeyError, ValueError, OSError):  # a zone that is younger than this system's list
        local = dates.moment(row["begins"])
    return f"{local:%a} {local.day} {local:%b} {local.year} {local:%H:%M %Z}"


def _show_events(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    made = table("event", "begins", "yes#", "you", "of", "title")
    for row in rows:
        of = name_of(row["account"]["account"], row["account"]["name"])
        yes = f"{row['answers']['yes']:,}"
        made.add_row(refs.short(row["uri"]), when(row), yes, row["mine"] or "", of, plain(row["title"]))
    console.print(made)


def _show_event(console: Console, value: dict[str, Any]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of, span
    from banyan_node.terminal_escape import plain

    console.print(Text.assemble((plain(value["title"]), "bold"), f"  {refs.short(value['uri'])}"))
    console.print(Text(value["uri"], "dim"), soft_wrap=True)
    lasts = "" if value["ends"] is None else f", {span(value['ends'] - value['begins'])}"
    console.print(Text(f"{when(value)}{lasts}  {plain(value['zone'])}"))
    of = name_of(value["account"]["account"], value["account"]["name"])
    inside = f" · in {plain(value['group']['name'])}" if value["group"] else ""
    console.print(Text(f"of {of}{inside}", "dim"))
    if value["place"]:
        console.print(Text.assemble(("place: ", "dim"), plain(value["place"])))
    if value["latitude"] is not None:
        console.print(Text(f"at {value['latitude'] / 1e7:.5f},{value['longitude'] / 1e7:.5f}", "dim"))
    if value["text"]:
        console.print(Text(plain(value["text"], lines=True)))
    said = [f"{value['answers'][answer]:,} {answer}" for answer in ANSWERS]
    you = f" · you: {value['mine']}" if value["mine"] else ""
    console.print(Text(" · ".join(said) + you, "dim"))


def _show_accounts(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table

    made = table("name", "account")
    for row in rows:
        made.add_row(name_of(row["account"], row["name"]), Text(row["account"]))
    console.print(made)
