"""Moderation: reports and what was decided, who moderates; the audit log; long work of the node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.show.phrases import count
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_reports = root.group("reports", "What people reported, for the moderators of this node.")
_decisions = root.group("decisions", "What moderators decided.")
_moderator = root.group("moderator", "Who moderates at this node (page /moderation).")
_audit = root.group("audit", "What operators, admins and moderators did.")
_tasks = root.group("tasks", "Long work of the running node.")
Name = Annotated[
    str, typer.Argument(help="An account hosted here: its name or id.", autocompletion=completion.accounts)
]
Verdict = Literal["nothing", "label", "hide", "withhold", "limit", "suspend", "pass_on"]
FOLLOW_S, A_PAGE = 1.0, 500
DAY_MS = 86_400_000


@_reports.alone
def reports(
    s: Session,
    closed: Annotated[bool, typer.Option("--closed", help="Those that were decided, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[int | None, typer.Option(help="The last number of the page before.")] = None,
) -> None:
    """Reports that wait, the oldest first."""
    found = s.call("report.list", state="closed" if closed else "open", limit=limit, after=after)
    s.out.answers(found["reports"], _show_reports, "No report waits." if not closed else "None was decided yet.")
    if found["after"] is not None:
        s.out.note(f"More: --after {found['after']}. {found['open']} wait, {found['closed']} are decided.")


@_reports.command("show")
def show(s: Session, number: Annotated[int, typer.Argument(metavar="REPORT", min=1)]) -> None:
    """One report: who reported what, the posts as they were, what became of them."""
    s.out.answer(s.call("report.show", id=number), _show_report)


@_reports.command("decide")
def decide(
    s: Session,
    number: Annotated[int, typer.Argument(metavar="REPORT", min=1)],
    verdict: Annotated[
        Verdict,
        typer.Argument(
            help="nothing; label: --text before the posts; hide: not shown here; withhold: by an --order; limit: "
            "followers alone see the account; suspend: this node writes nothing for it; pass_on: you told --to."
        ),
    ],
    why: Annotated[str, typer.Option(help="For other moderators.")] = "",
    text: Annotated[str, typer.Option(help="For the author; of a label, for all.")] = "",
    order: Annotated[str, typer.Option(help="Of a withholding: what was ordered or decided.")] = "",
    basis: Annotated[str, typer.Option(help="The law or rule behind it.")] = "",
    scope: Annotated[str, typer.Option(help="Where it holds.")] = "",
    days: Annotated[int, typer.Option(min=0, help="For how long; 0: until taken back.")] = 0,
    to: Annotated[str, typer.Option(help="The platform that you told.")] = "",
) -> None:
    """Decide a report, as the operator of this node. `banyan decisions undo` takes it back."""
    said = {"why": why, "text": text, "order": order, "basis": basis, "scope": scope, "days": days, "to": to}
    made = s.call("decision.add", report=number, verdict=verdict, **said)
    s.out.done(made, f"Decision {made['id']}: {verdict}. `banyan decisions undo {made['id']}` takes it back.")


@_decisions.alone
def decisions(
    s: Session,
    account: Annotated[
        str | None, typer.Option(help="Only about this account.", autocompletion=completion.accounts)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[int | None, typer.Option(help="The last number of the page before.")] = None,
) -> None:
    """What moderators decided, newest first."""
    about = None if account is None else refs.account(s, account)
    found = s.call("decision.list", account=about, limit=limit, after=after)
    s.out.answers(found["decisions"], _show_decisions, "Nothing was decided yet.")
    for number in found["damaged"]:
        s.out.note(f"Decision {number} cannot be read; `banyan store repair`, with the node stopped, looks after it.")
    if found["after"] is not None:
        s.out.note(f"More: --after {found['after']}.")


@_decisions.command("undo")
def undo(
    s: Session,
    number: Annotated[int, typer.Argument(metavar="DECISION", min=1)],
    why: Annotated[str, typer.Option(help="For other moderators.")] = "",
) -> None:
    """Take a decision back: what held because of it holds no more."""
    made = s.call("decision.undo", id=number, why=why)
    s.out.done(made, f"Decision {number} ({made['verdict']}) was taken back.")


@_moderator.command("add")
def add_moderator(s: Session, name: Name) -> None:
    """Let a hosted account moderate: it reads reports and decides them on the page /moderation."""
    made = s.call("moderator.add", account=refs.account(s, name))
    s.out.done(made, f"{name} moderates at this node. It logs in with `banyan login set` or `banyan login link`.")


@_moderator.command("drop")
def drop_moderator(s: Session, name: Name) -> None:
    """End that, at once. What it decided stands."""
    s.out.done(s.call("moderator.drop", account=refs.account(s, name)), f"{name} moderates no more.")


@_moderator.command("list")
def moderators(s: Session) -> None:
    """The moderators of this node."""
    rows = s.call("moderator.list")["moderators"]
    s.out.answers(rows, _show_moderators, "Nobody moderates here: `banyan moderator add NAME`.")


@_audit.alone
def audit(
    s: Session,
    who: Annotated[str, typer.Option(help="Only of those whose name begins so: operator, token, did:banyan:...")] = "",
    do: Annotated[str, typer.Option(help="Only acts that begin so: peers., store.drop, decision. ...")] = "",
    days: Annotated[int | None, typer.Option(min=1, help="Only of the last days.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
    before: Annotated[int | None, typer.Option(help="Lines before this number.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is done from now on.")] = False,
) -> None:
    """Who did what, when and why, newest first; with --follow the newest last."""
    since = None if days is None else time.time_ns() // 1_000_000 - days * DAY_MS
    asked = {"who": who, "do": do, "since_ms": since}
    newest = s.call("audit.list", limit=1)["acts"] if follow else []  # first: what is done meanwhile must not be missed
    found = s.call("audit.list", limit=limit, before=before, **asked)
    rows = found["acts"][::-1] if follow else found["acts"]
    if rows or not follow:
        s.out.answers(rows, _show_acts, "Nothing was done yet.")
    if follow:
        _follow(s, max((row["n"] for row in [*newest, *rows]), default=0), asked)
    elif found["next"] is not None:
        s.out.note(f"More: --before {found['next']}.")


def _follow(s: Session, last: int, asked: dict[str, Any]) -> None:
    while True:
        found = s.call("audit.list", after=last, limit=A_PAGE, **asked)
        if found["acts"]:
            s.out.answers(found["acts"], _show_acts, "")
        last = found["next"] or max([last, *(row["n"] for row in found["acts"])])
        if found["next"] is None:
            time.sleep(FOLLOW_S)


@_audit.command("verify")
def verify(s: Session) -> None:
    """Whether each line is followed by one that names it. Keep the last hash elsewhere: it proves all before it."""
    from banyan_cli import errors
    from banyan_cli.show.text_tables import facts

    found = s.call("audit.verify")
    s.out.answer(found, facts)
    if found["broken"] is not None:
        s.out.note(f"Line {found['broken']} is not what was written: it was changed, or one before it was taken out.")
        raise typer.Exit(errors.STORAGE)
    if found["unfinished"]:
        s.out.note(
            f"Behind line {found['last']} stand {found['unfinished']} bytes that are no line: a crash left them of an "
            "act that was not done, or somebody else wrote them. The next act takes their place, and notes it."
        )


@_tasks.alone
def tasks(s: Session) -> None:
    """Long work: what runs, how far it is, and what ended lately."""
    found = s.call("works")
    s.out.answers(found["works"], _show_works, "Nothing runs.")
    for name, why in found["failing"].items():
        s.out.note(f"{name} failed and is tried again: {why}")


@_tasks.command("begin")
def begin(
    s: Session,
    do: Annotated[Literal["verify", "rebuild", "export", "import", "compact"], typer.Argument()],
    name: Annotated[str | None, typer.Argument(help="A file of the folder `archives` of the home.")] = None,
    view: Annotated[str | None, typer.Option(help="To rebuild; default: all.")] = None,
) -> None:
    """Begin long work in the background of the running node."""
    made = s.call("works.begin", do=do, name=name, view=view)
    s.out.done(made, f"Task {made['id']} has begun; `banyan tasks` says how far it is.")


@_tasks.command("cancel")
def cancel(s: Session, number: Annotated[int, typer.Argument(metavar="TASK", min=1)]) -> None:
    """Ask that work stops. What an import took in stays."""
    s.out.done(s.call("works.cancel", id=number), f"Task {number} stops at its next step.")


# -- how it looks


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _table(*columns: str) -> tuple[Any, Callable[[int], str], Callable[[str], Any]]:
    from rich.text import Text

    from banyan_cli.show.phrases import ago
    from banyan_cli.show.text_tables import table

    now = _now_ms()
    return table(*columns), lambda ms: ago(ms, now), Text


def _named(named: dict[str, Any] | None) -> str:
    return "the operator" if named is None else named["name"] or refs.short(named["account"])


def _show_reports(console: Console, rows: list[dict[str, Any]]) -> None:
    made, ago, text = _table("report#", "when", "category", "against", "by", "posts#", "comment")
    for row in rows:
        more = len(row["also"]) + row["others"]
        by = _named(row["by"]) + (f" +{more}" if more else "")
        said = " ".join(row["by"]["comment"].split())[:80]
        made.add_row(str(row["id"]), ago(row["at_ms"]), row["category"], text(_named(row["account"])), text(by),
                     str(len(row["posts"])), text(said))  # fmt: skip
    console.print(made)


def _show_report(console: Console, row: dict[str, Any]) -> None:
    from banyan_cli.show.text_tables import facts

    standing = [word for word in ("hosted", "limited", "suspended", "moderator") if row["standing"][word]]
    facts(
        console,
        {
            "report": row["id"],
            "state": row["state"],
            "category": row["category"],
            "against": f"{_named(row['account'])} ({row['account']['account']})",
            "here": ", ".join(standing) or "nothing",
            "decisions before": row["before"],
            "rules": ", ".join(row["rules"]) or "none",
            "to be passed on": row["forward"],
        },
    )
    for one in [row["by"], *row["also"]]:
        console.print(f"by {_named(one)}: {one['comment'] or 'no comment'}", markup=False)
    for post in row["posts"]:
        console.print(f"\n{post['uri']}  ({post['now']})\n{post['text']}", markup=False)
    if row["decisions"]:
        _show_decisions(console, row["decisions"])


def _show_decisions(console: Console, rows: list[dict[str, Any]]) -> None:
    made, ago, text = _table("decision#", "when", "verdict", "about", "by", "", "why")
    for row in rows:
        back = "taken back" if row["undone"] else ""
        why = row["order"] or row["why"] or row["text"]
        made.add_row(str(row["id"]), ago(row["at_ms"]), row["verdict"], text(_named(row["account"])),
                     text(_named(row["by"])), back, text(why))  # fmt: skip
    console.print(made)


def _show_moderators(console: Console, rows: list[dict[str, Any]]) -> None:
    made, ago, text = _table("name", "since", "account")
    for row in rows:
        made.add_row(text(_named(row)), ago(row["since_ms"]), row["account"])
    console.print(made)


def _show_acts(console: Console, rows: list[dict[str, Any]]) -> None:
    import json

    for row in rows:
        when = dates.second(row["at_ms"])
        said = f"refused, as line {row['of']}: {row['refused']}" if row["of"] else _given(row["given"], json.dumps)
        why = f"  why: {row['why']}" if row["why"] else ""
        console.print(f"{row['n']}  {when}  {row['who']} ({row['via']})  {row['do']}  {said}{why}", markup=False,
                      soft_wrap=True)  # fmt: skip


def _given(given: dict[str, Any], dumps: Callable[..., str]) -> str:
    return " ".join(f"{name}={dumps(value, ensure_ascii=False)}" for name, value in given.items())


def _show_works(console: Console, rows: list[dict[str, Any]]) -> None:
    made, ago, text = _table("task#", "what", "about", "state", "how far", "began", "")
    for row in rows:
        far = f"{row['done']:,}" + (f" of {row['of']:,}" if row["of"] else "")
        began = "" if row["began_ms"] is None else ago(row["began_ms"])
        made.add_row(
            str(row["id"] or ""), row["do"], text(row["about"]), row["state"], far, began, text(row["why"] or "")
        )
    console.print(made)
    running = sum(row["state"] == "running" for row in rows)
    console.print(f"{count(running, 'task')} running", style="dim")
