"""Bringing data in and taking it out: graphs, posts, archives.

If an import was interrupted, the same command continues it: the node knows which batches are durable, and they are not
sent twice.
"""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.commands.move_in import import_commands
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import some_account
from banyan_cli.show.tables import facts

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_cli.importing.plan import Plan


class Format(Enum):
    """How an account is written."""

    archive = "archive"
    activitystreams = "activitystreams"
    html = "html"


File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file to read.")]


@import_commands.command("graph")
def graph(
    s: Session,
    file: File,
    undirected: Annotated[bool, typer.Option("--undirected", help="Each edge is a follow both ways.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many edges, the first ones.")] = None,
    prefix: Annotated[str, typer.Option(help="Put before each number to name its account.")] = "",
) -> None:
    """A SNAP edge list: each number becomes an account hosted here, each edge a follow."""
    from banyan_cli.importing.edges import graph_plan, read_edges
    from banyan_cli.progress import bar, waiting

    with bar(s.out.notes, f"reading {file.name}", file.stat().st_size) as advance:
        found = read_edges(file, undirected, limit, advance)
    with waiting(s.out.notes, "planning"):
        plan = graph_plan(file, found, undirected, limit, prefix)
    if not found.edges:
        raise BadInput(f"{file} has no edges; expected two whole numbers a line.")
    extra = {"edges": found.edges, "repeated": found.repeated, "loops": found.loops}
    if found.repeated or found.loops:
        s.out.note(f"Left out: {found.repeated:,} follows that repeat, {found.loops:,} of oneself.")
    _run(s, plan, extra)


@import_commands.command("posts")
def posts(
    s: Session,
    file: File,
    text: Annotated[str, typer.Option(help="The column with the text.")],
    author: Annotated[str | None, typer.Option(help="The column that names the author.")] = None,
    thread: Annotated[str | None, typer.Option(help="The column that names the article or topic answered.")] = None,
    time: Annotated[str | None, typer.Option(help="The column with the time.")] = None,
    authors: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Accounts to spread rows over where no column names the author.")
    ] = 100,
    press: Annotated[str, typer.Option(help="The account that posts the articles.")] = "press",
) -> None:
    """A CSV file of posts; with --thread each row answers an article, which the press account posts."""
    from banyan_cli.importing.csv_posts import CommentColumns, posts_plan, survey
    from banyan_cli.progress import waiting

    columns = CommentColumns(text, author, thread, time, authors, press)
    with waiting(s.out.notes, f"reading {file.name}"):
        found = survey(file, columns)
        plan = posts_plan(file, columns, found)
    if not found.comments:
        raise BadInput(f"{file} has no row with text in its column '{text}'.")
    if found.empty:
        s.out.note(f"Left out: {found.empty:,} rows without text.")
    _run(s, plan, {"rows": found.comments, "empty": found.empty})


def _run(s: Session, plan: Plan, extra: dict[str, Any]) -> None:
    """Send every batch that the node does not have yet."""
    from banyan_cli.importing.plan import weight
    from banyan_cli.progress import bar

    began = time.monotonic()
    backend = s.backend()
    begun = backend.call("import.begin", kind=plan.kind, source=plan.source, label=plan.label, batches=plan.batches)
    if 0 < begun["next"] < plan.batches:
        s.out.note(f"Going on at batch {begun['next'] + 1} of {plan.batches}.")
    if begun["done"]:
        s.out.note(f"{plan.label} was imported before, with these options; nothing to do.")
    with bar(s.out.notes, plan.label, plan.rows) as advance:
        for number, batch in enumerate(plan.make()):
            if number >= begun["next"] and not begun["done"]:
                backend.call("import.batch", id=begun["id"], number=number, rows=batch)
            advance(weight(batch))
    ended = backend.call("import.end", id=begun["id"])
    value = {**ended, **extra, "id": begun["id"], "seconds": round(time.monotonic() - began, 2)}
    s.out.answer(value, _show_import)


def _show_import(console: Console, value: dict[str, Any]) -> None:

    facts(console, {key: fact for key, fact in value.items() if fact not in (0, None) and key != "id"})


@import_commands.command("archive")
def archive(s: Session, file: File) -> None:
    """An archive that `banyan export` wrote; every entry is judged like one from a peer."""
    from banyan_cli.progress import waiting

    with waiting(s.out.notes, f"reading {file.name}"):
        answer = s.call("archive.import", path=str(file.absolute()))
    s.out.answer(answer, lambda console, value: facts(console, _taken_in(value)))


def _taken_in(value: dict[str, Any]) -> dict[str, Any]:
    """For people. Two digests that differ say nothing where the store held other things before."""
    left_out = value["rejected"] + value["not_yet"]
    if value["account"] is not None:
        holds = "the account as the archive has it" if value["same"] else "the account, and not as the archive has it"
    elif value["same"]:
        holds = "what the archive has, and nothing else"
    elif left_out:
        holds = "what the archive has but for what was left out"
    else:
        holds = "what the archive has, and more"
    counts = {name: value[name] for name in ("accounts", "entries", "parts", "rejected", "not_yet")}
    digest = {} if value["account"] is None else {"account": value["account"], "digest": value["digest"]}
    return {**counts, **digest, "store holds": holds}


@root.command()
def export(
    s: Session,
    file: Annotated[Path, typer.Argument(help="The archive to write; with --format a folder, or a name with .zip.")],
    account: Annotated[
        str | None, typer.Option(help="Only this account: name or id.", autocompletion=some_account)
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="archive, activitystreams (as Mastodon's) or html (a site); of one account."),
    ] = Format.archive,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an archive whose export was interrupted.")] = False,
) -> None:
    """Write everything that is held, or one account, into an archive that another node imports; or one account for
    people and other programs.

    It has its name once it is whole. One that was interrupted starts again, or, of everything, goes on with --resume.
    """
    from banyan_cli.progress import growing
    from banyan_node.exporting.sinks import draft_of

    if account is not None:
        if resume:
            raise BadInput("--resume is for an archive of everything: an export of one account starts again.")
        _export_account(s, account, file, form)
        return
    if form is not Format.archive:
        raise BadInput(f"--format {form.value} is of one account; name it with --account.")
    if file.exists() and not resume:
        raise BadInput(f"{file} exists; name another file, or go on with it by --resume.")
    draft = draft_of(file.absolute())
    if resume and not file.exists() and not draft.exists():
        raise BadInput(f"{file} is not there to go on with; leave --resume out.")
    with growing(s.out.notes, f"writing {file.name}", draft):
        answer = s.call("archive.export", path=str(file.absolute()), resume=resume or None)
    s.out.answer(answer, facts)


def _export_account(s: Session, account: str, file: Path, form: Format) -> None:
    from banyan_cli.progress import growing
    from banyan_node.exporting.sinks import draft_of

    if file.exists():
        raise BadInput(f"{file} exists; name another.")
    who, path = refs.account(s, account), file.absolute()
    with growing(s.out.notes, f"writing {file.name}", draft_of(path)):
        answer = s.call("account.export", account=who, path=str(path), format=form.value)
    s.out.answer(answer, lambda console, value: facts(console, {k: v for k, v in value.items() if v is not None}))
    if answer["lacking"]:
        s.out.note(f"{answer['lacking']:,} pieces of content are not here yet; what lacks of the account is left out.")
    if form is Format.archive:
        s.out.note(f"`banyan digest {answer['account']}` shows the same digest where the archive was imported.")
    elif form is Format.html:
        s.out.note(f"Open {path / 'index.html'} in a browser.")
