"""Moderation: reports and what was decided, who moderates; the audit log; long work of the node."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.parameters import Hosted, some_account
from banyan_cli.show.tables import Row, ago, columns, count, facts, now_ms
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_reports = root.group("reports", "What people reported, for the moderators of this node.")
_decisions = root.group("decisions", "What moderators decided.")
_moderator = root.group("moderator", "Who moderates at this node (page /moderation).")
_audit = root.group("audit", "What operators, admins and moderators did.")
_tasks = root.group("tasks", "Long work of the running node.")
Number = Annotated[int, typer.Argument(metavar="REPORT", min=1)]
Verdict = Literal["nothing", "label", "hide", "withhold", "limit", "suspend", "pass_on"]
FOLLOW_S, A_PAGE = 1.0, 500
DAY_MS = 86_400_000


# -- how it looks


def _who(named: Row | None) -> str:
    return "the operator" if named is None else named["name"] or refs.short(named["account"])


def _by(row: Row) -> str:
    more = len(row["also"]) + row["others"]
    return _who(row["by"]) + (f" +{more}" if more else "")


_REPORTS = columns(
    ("report#", lambda row: str(row["id"])),
    ("when", lambda row: ago(row["at_ms"])),
    ("category", "category"),
    ("against", lambda row: _who(row["account"])),
    ("by", _by),
    ("posts#", lambda row: len(row["posts"])),
    ("comment", lambda row: " ".join(row["by"]["comment"].split())[:80]),
)
_DECISIONS = columns(
    ("decision#", lambda row: str(row["id"])),
    ("when", lambda row: ago(row["at_ms"])),
    ("verdict", "verdict"),
    ("about", lambda row: _who(row["account"])),
    ("by", lambda row: _who(row["by"])),
    ("", lambda row: "taken back" if row["undone"] else ""),
    ("why", lambda row: row["order"] or row["why"] or row["text"]),
)
_MODERATORS = columns(("name", _who), ("since", lambda row: ago(row["since_ms"])), ("account", "account"))
_WORKS = columns(
    ("task#", lambda row: str(row["id"] or "")),
    ("what", "do"),
    ("about", "about"),
    ("state", "state"),
    ("how far", lambda row: f"{row['done']:,}" + (f" of {row['of']:,}" if row["of"] else "")),
    ("began", lambda row: "" if row["began_ms"] is None else ago(row["began_ms"])),
    ("", "why"),
)


def _show_works(console: Console, rows: list[Row]) -> None:
    _WORKS(console, rows)
    running = sum(row["state"] == "running" for row in rows)
    console.print(f"{count(running, 'task')} running", style="dim")


def _show_report(console: Console, row: Row) -> None:
    standing = [word for word in ("hosted", "limited", "suspended", "moderator") if row["standing"][word]]
    facts(
        console,
        {
            "report": row["id"],
            "state": row["state"],
            "category": row["category"],
            "against": f"{_who(row['account'])} ({row['account']['account']})",
            "here": ", ".join(standing) or "nothing",
            "decisions before": row["before"],
            "rules": ", ".join(row["rules"]) or "none",
            "to be passed on": row["forward"],
        },
    )
    for one in [row["by"], *row["also"]]:
        console.print(f"by {_who(one)}: {one['comment'] or 'no comment'}")
    for post in row["posts"]:
        console.print(f"\n{post['uri']}  ({post['now']})\n{post['text']}")
    if row["decisions"]:
        _DECISIONS(console, row["decisions"])


def _show_acts(console: Console, rows: list[Row]) -> None:
    for row in rows:
        when = dates.second(row["at_ms"])
        said = f"refused, as line {row['of']}: {row['refused']}" if row["of"] else _given(row["given"])
        why = f"  why: {row['why']}" if row["why"] else ""
        console.print(f"{row['n']}  {when}  {row['who']} ({row['via']})  {row['do']}  {said}{why}",
                      soft_wrap=True)  # fmt: skip


def _given(given: Row) -> str:
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in given.items())


# -- commands


@_reports.alone
def reports(
    s: Session,
    closed: Annotated[bool, typer.Option("--closed", help="Those that were decided, newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[int | None, typer.Option(help="The last number of the page before.")] = None,
) -> None:
    """Reports that wait, the oldest first."""
    found = s.call("report.list", state="closed" if closed else "open", limit=limit, after=after)
    s.out.answers(found["reports"], _REPORTS, "No report waits." if not closed else "None was decided yet.")
    if found["after"] is not None:
        s.out.note(f"More: --after {found['after']}. {found['open']} wait, {found['closed']} are decided.")


@_reports.value("report.show", _show_report)
def reports_show(id: Number) -> None:
    """One report: who reported what, the posts as they were, what became of them."""


@_reports.act("decision.add", "Decision {id}: {typed[verdict]}. `banyan decisions undo {id}` takes it back.")
def reports_decide(
    report: Number,
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


@_decisions.alone
def decisions(
    s: Session,
    account: Annotated[str | None, typer.Option(help="Only about this account.", autocompletion=some_account)] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[int | None, typer.Option(help="The last number of the page before.")] = None,
) -> None:
    """What moderators decided, newest first."""
    about = None if account is None else refs.account(s, account)
    found = s.call("decision.list", account=about, limit=limit, after=after)
    s.out.answers(found["decisions"], _DECISIONS, "Nothing was decided yet.")
    for number in found["damaged"]:
        s.out.note(f"Decision {number} cannot be read; `banyan store repair`, with the node stopped, looks after it.")
    if found["after"] is not None:
        s.out.note(f"More: --after {found['after']}.")


@_decisions.act("decision.undo", "Decision {typed[id]} ({verdict}) was taken back.")
def decisions_undo(
    id: Annotated[int, typer.Argument(metavar="DECISION", min=1)],
    why: Annotated[str, typer.Option(help="For other moderators.")] = "",
) -> None:
    """Take a decision back: what held because of it holds no more."""


@_moderator.act(
    "moderator.add",
    "{typed[account]} moderates at this node. It logs in with `banyan login set` or `banyan login link`.",
)
def moderator_add(account: Hosted) -> None:
    """Let a hosted account moderate: it reads reports and decides them on the page /moderation."""


@_moderator.act("moderator.drop", "{typed[account]} moderates no more.")
def moderator_drop(account: Hosted) -> None:
    """End that, at once. What it decided stands."""


@_moderator.rows(
    "moderator.list", _MODERATORS, "Nobody moderates here: `banyan moderator add NAME`.", field="moderators"
)
def moderator_list() -> None:
    """The moderators of this node."""


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
    since = None if days is None else now_ms() - days * DAY_MS
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


def _follow(s: Session, last: int, asked: Row) -> None:
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


@_tasks.act("works.begin", "Task {id} has begun; `banyan tasks` says how far it is.")
def tasks_begin(
    do: Annotated[Literal["verify", "rebuild", "export", "import", "compact"], typer.Argument()],
    name: Annotated[str | None, typer.Argument(help="A file of the folder `archives` of the home.")] = None,
    view: Annotated[str | None, typer.Option(help="To rebuild; default: all.")] = None,
) -> None:
    """Begin long work in the background of the running node."""


@_tasks.act("works.cancel", "Task {typed[id]} stops at its next step.")
def tasks_cancel(id: Annotated[int, typer.Argument(metavar="TASK", min=1)]) -> None:
    """Ask that work stops. What an import took in stays."""
