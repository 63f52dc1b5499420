"""Moving in: a person brings the archive of another service into an account that is hosted here.

It can be run again, after an interruption, with a newer archive or with a longer file of accounts: only what is new
comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs, session
from banyan_cli.commands.social import By

if TYPE_CHECKING:
    from banyan_cli.importing.archives import Archive
    from banyan_cli.importing.moved import Reading
    from banyan_cli.importing.moving import Brought

Source = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A zip, a tar.gz, a folder, or one file of it.")]
Accounts = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A CSV file of who is who: their name there, their account here."),
]
ReportTo = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Names what was left out. Default: SERVICE-left-out.csv."),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show what would come, and write nothing.")]


def add_to(app: typer.Typer) -> None:
    for command in (mastodon,):
        app.command()(command)


def mastodon(
    ctx: typer.Context,
    archive: Source,
    by: By = None,
    accounts: Accounts = None,
    report: ReportTo = None,
    dry: Dry = False,
) -> None:
    """Your posts, profile, follows, lists and bookmarks of Mastodon."""
    from banyan_cli.importing import mastodon as reader

    run(ctx, "mastodon", archive, reader.wants, reader.reading, by, accounts, report, dry)


def run(
    ctx: typer.Context,
    name: str,
    path: Path,
    wants: Callable[[str], bool],
    reading_of: Callable[[Archive], Reading],
    by: str | None,
    accounts: Path | None,
    report_to: Path | None,
    dry: bool,
    uris: Callable[[str, str], None] = lambda item, uri: None,
) -> None:
    """Reads an archive twice: to know it, and to send it."""
    from banyan_cli.importing.archives import open_archive
    from banyan_cli.importing.moving import Move, survey
    from banyan_cli.importing.people import People, Report, read_people
    from banyan_cli.progress import bar, waiting
    from banyan_cli.show.moving import moved

    s = session.of(ctx)
    began = time.monotonic()
    people = People() if accounts is None else read_people(accounts)
    report = Report(report_to or (None if dry else Path(f"{name}-left-out.csv")))
    with ExitStack() as stack:
        stack.callback(report.close)
        with waiting(s.out.notes, f"reading {path.name}"):
            reading = reading_of(stack.enter_context(open_archive(path, wants)))
            found = survey(reading)
        account = None if by is None else refs.account(s, by)
        move = Move(s.backend(), reading, found, people, report, account, dry, uris)
        try:
            with bar(s.out.notes, path.name, found.items + found.ties) as advance:
                move.run(advance)
        except BaseException:
            if move.totals.posts["came"]:
                s.out.note(
                    f"Stopped after {move.totals.posts['came']:,} new posts; the same command goes on from there."
                )
            raise
    value = {
        **_answer(move.totals, dry),
        "notes": [*reading.notes, *_notes(move.totals, found.items)],
        "report": str(report.path) if report.path and report.lines else None,
        "seconds": round(time.monotonic() - began, 2),
    }
    s.out.answer(value, moved)


def _answer(totals: Brought, dry: bool) -> dict[str, Any]:
    from collections import Counter

    from banyan_cli.importing.moving import WORDS

    posts = totals.posts
    # what is left out in the reader is no part of the posts that were sent
    left = sum(totals.left.values())
    rows = {"posts": {"came": posts["came"], "here": posts["here"], "gone": posts["deleted"], "left_out": left}}
    for kind, word in WORDS.items():
        states = totals.ties.get(kind, Counter())
        out = sum(states.get(state, 0) for state in ("nobody", "missing", "self"))
        came, here, gone = (states.get(state, 0) for state in ("came", "here", "undone"))
        rows[word] = {"came": came, "here": here, "gone": gone, "left_out": out}
    rows["pictures"] = {"came": 0, "here": 0, "gone": 0, "left_out": totals.pictures}
    rows["profile fields"] = {"came": totals.fields, "here": 0, "gone": 0, "left_out": 0}
    return {"dry": dry, "table": rows, "left_out": dict(totals.left), "entries": totals.entries}


def _notes(totals: Brought, items: int) -> list[str]:
    told = []
    if totals.parts:
        told.append(f"Long texts were split: {totals.parts:,} more posts, each an answer to the one before.")
    if totals.undated:
        told.append(f"{totals.undated:,} posts have no date, or one before 1970 or after today: they have today's.")
    if totals.circles:
        told.append(f"{totals.circles:,} answers were in a circle or to themselves: they came as posts of their own.")
    if totals.pictures:
        told.append("Pictures and films are not brought yet: their posts come with their words.")
    return told
