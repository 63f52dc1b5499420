"""Moving in: a person brings the archive of another service into an account that is hosted here.

It can be run again, after an interruption, with a newer archive or with a longer file of accounts: only what is new
comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import By
from banyan_cli.show.tables import count
from banyan_cli.show.tables import table as rows_table
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

    from banyan_cli.importing.archives import Archive
    from banyan_cli.importing.model import ArchiveContents
    from banyan_cli.importing.transfer import Move, MoveTotals

Source = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="A zip, a tar.gz, a folder, or one file of it.")]
Accounts = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A CSV file of who is who: their name there, their account here.")
]
ReportTo = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Names what was left out. Default: SERVICE-left-out.csv.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show what would come, and write nothing.")]
NoMedia = Annotated[bool, typer.Option("--no-media", help="Leave pictures and films out; a later run can bring them.")]


class MoveOptions(NamedTuple):
    """What every import of a life is asked. by: the account that all goes into; None: the node's own. media: whether
    pictures and films come."""

    path: Path
    by: str | None
    report: Path | None
    dry: bool
    accounts: Path | None = None
    media: bool = False


import_commands = root.group(
    "import", "Move in from another service, or bring a graph, posts or an archive; what was interrupted goes on."
)
FOLDERS = 8
"""Folders of unread files that are named."""
SERVICES = {
    "mastodon": "Your posts with pictures, profile, follows, lists and bookmarks of Mastodon.",
    "twitter": "Your tweets with pictures, profile, follows, blocks and mutes of Twitter (X).",
    "youtube": "Your comments, videos and subscriptions of YouTube, from Google Takeout.",
    "activitystreams": "An outbox or a collection of notes in JSON, of any server that speaks ActivityPub.",
}
"""Those that need no more than an archive: each has a reader of its name in banyan_cli.importing."""


def _command(name: str) -> Callable[..., None]:
    def command(
        s: Session,
        archive: Source,
        by: By = None,
        accounts: Accounts = None,
        report: ReportTo = None,
        no_media: NoMedia = False,
        dry: Dry = False,
    ) -> None:
        reader = import_module(f"banyan_cli.importing.{name}")
        _move(s, name, MoveOptions(archive, by, report, dry, accounts, not no_media), reader.wants, reader.reading)

    command.__doc__ = SERVICES[name]
    return command


for service in SERVICES:
    import_commands.command(service)(_command(service))


@import_commands.command()
def facebook(
    s: Session,
    archive: Source,
    audience: Annotated[
        str | None,
        typer.Option(metavar="public|unlisted", help="Who may see your posts here: the archive does not say."),
    ] = None,
    comments: Annotated[bool, typer.Option("--comments", help="Bring comments too, as posts of their own.")] = False,
    no_albums: Annotated[
        bool, typer.Option("--no-albums", help="Leave out photos that are in an album and in no post.")
    ] = False,
    unknown_titles: Annotated[
        bool,
        typer.Option(
            "--unknown-titles",
            help="Bring posts too whose title is not understood: some may be of groups or on timelines of others.",
        ),
    ] = False,
    by: By = None,
    accounts: Accounts = None,
    report: ReportTo = None,
    no_media: NoMedia = False,
    dry: Dry = False,
) -> None:
    """Your posts with pictures, profile and friends of Facebook, from "Download your information" as JSON."""
    from banyan_cli.importing import facebook as reader

    if audience not in ("public", "unlisted", None):
        raise BadInput(f"--audience is public or unlisted; it got '{audience}'.")
    if audience is None and not dry:
        raise BadInput(
            "Facebook's archive does not say who could see each post, and here everybody can read what you bring. Look "
            "first with --dry-run; then say --audience unlisted (no public timeline, no search) or --audience public."
        )
    told: Literal["public", "unlisted"] = "public" if audience == "public" else "unlisted"
    wanted = MoveOptions(archive, by, report, dry, accounts, not no_media)

    def reading_of(found: Archive) -> ArchiveContents:
        return reader.reading(found, told, comments, not no_albums, unknown_titles)

    _move(s, "facebook", wanted, reader.wants, reading_of)


@import_commands.command("csv")
def table(
    s: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file (.tsv: with tabs).")],
    text: Annotated[str, typer.Option(metavar="COLUMN", help="The column with the text.")],
    item: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="The column with the id of a post.")
    ] = None,
    parent: Annotated[str | None, typer.Option(metavar="COLUMN", help="The id of the post that is answered.")] = None,
    at: Annotated[
        str | None, typer.Option("--time", metavar="COLUMN", help="The time: seconds since 1970, or ISO 8601.")
    ] = None,
    lang: Annotated[str | None, typer.Option(metavar="COLUMN", help="The language.")] = None,
    warning: Annotated[str | None, typer.Option(metavar="COLUMN", help="The content warning.")] = None,
    tags: Annotated[str | None, typer.Option(metavar="COLUMN", help="Tags, with spaces or commas between.")] = None,
    service: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose ids these are. Default: the name of the file.")
    ] = None,
    uris: Annotated[Path | None, typer.Option(metavar="FILE", help="Gets the address here of each id, as CSV.")] = None,
    by: By = None,
    report: ReportTo = None,
    dry: Dry = False,
) -> None:
    """Posts of one account from a CSV file; with --id and --parent threads of any depth."""
    from banyan_cli.importing.csv_posts import PostColumns, reading, uri_file

    if parent is not None and item is None:
        raise BadInput("--parent names ids, so --id must say which column has them.")
    columns = PostColumns(text, item, parent, at, lang, warning, tags)
    with uri_file(None if dry else uris) as note:
        wanted = MoveOptions(file, by, report, dry)
        _move(s, "csv", wanted, lambda name: True, lambda found: reading(found, columns, service), note)


def _move(
    s: Session,
    name: str,
    wanted: MoveOptions,
    wants: Callable[[str], bool],
    reading_of: Callable[[Archive], ArchiveContents],
    uris: Callable[[str, str], None] = lambda item, uri: None,
) -> None:
    """Reads an archive twice: to know it, and to send it. uris: told id and address of what is here."""
    from banyan_cli.importing.archives import no_such_files, open_archive, service_of
    from banyan_cli.importing.identities import IdentityMap, Report, read_people
    from banyan_cli.importing.pictures import AttachmentFiles, copies
    from banyan_cli.importing.transfer import Move, survey
    from banyan_cli.progress import bar, waiting

    began = time.monotonic()
    path, dry = wanted.path, wanted.dry
    people = IdentityMap() if wanted.accounts is None else read_people(wanted.accounts)
    report = Report(wanted.report or (None if dry else Path(f"{name}-left-out.csv")))
    with ExitStack() as stack:
        stack.callback(report.close)
        with waiting(s.out.notes, f"reading {path.name}"):
            archive = stack.enter_context(open_archive(path, wants))
            reading = reading_of(archive)
            found = survey(reading)
        if not found.items + found.ties and (not found.left or service_of(archive.names) not in (None, name)):
            raise no_such_files(archive, name, "posts or people")
        for file, why in archive.left_out.items():
            report.add(f"files that are not read: {why}", file, path.name)
        attached = AttachmentFiles(archive, found.paths)
        others = sorted(archive.names - archive.files.keys() - {attached.find(one) for one in found.paths})
        account = None if wanted.by is None else refs.account(s, wanted.by)
        media = (attached, stack.enter_context(copies())) if wanted.media else (None, None)
        move = Move(s.backend(), reading, found, people, report, account, dry, uris, *media)
        try:
            with bar(
                s.out.notes, path.name, found.items + found.ties + (found.media if wanted.media else 0)
            ) as advance:
                move.run(advance)
        except BaseException:
            if came := _stopped(move.totals):
                s.out.note(f"Stopped after {came}; the same command goes on from there.")
            raise
    value = {
        **_answer(move.totals, dry),
        "notes": [*reading.notes, *_notes(move, len(archive.left_out)), *_unread(others)],
        "report": str(report.path) if report.path and report.lines else None,
        "seconds": round(time.monotonic() - began, 2),
    }
    s.out.answer(value, _show_moved)


def _answer(totals: MoveTotals, dry: bool) -> dict[str, Any]:
    from collections import Counter

    from banyan_cli.importing.transfer import WORDS

    posts = totals.posts
    # what is left out in the reader is no part of the posts that were sent
    left = sum(totals.left.values())
    rows = {"posts": {"came": posts["came"], "here": posts["here"], "gone": posts["deleted"], "left_out": left}}
    for kind, word in WORDS.items():
        states = totals.ties.get(kind, Counter())
        out = sum(states.get(state, 0) for state in ("nobody", "missing", "self", "blocked"))
        came, here, gone = (states.get(state, 0) for state in ("came", "here", "undone"))
        rows[word] = {"came": came, "here": here, "gone": gone, "left_out": out}
    pictures = totals.pictures
    rows["pictures"] = {state: pictures[state] for state in ("came", "here", "gone", "left_out")}
    rows["pictures added"] = {"came": pictures["added"], "here": 0, "gone": 0, "left_out": 0}
    portraits = totals.portraits
    rows["profile pictures"] = {state: portraits[state] for state in ("came", "here", "gone", "left_out")}
    rows["profile fields"] = {"came": totals.fields, "here": 0, "gone": 0, "left_out": 0}
    return {"dry": dry, "table": rows, "left_out": {**totals.left, **totals.left_pictures}, "entries": totals.entries}


def _stopped(totals: MoveTotals) -> str:
    """What had come when it stopped; empty if that is nothing."""
    posts, added = totals.posts["came"], totals.pictures["added"]
    some = [f"{posts:,} new posts"] if posts else []
    return " and ".join([*some, f"{added:,} pictures added to posts"] if added else some)


def _notes(move: Move, unread: int) -> list[str]:
    totals, told = move.totals, list[str]()
    if unread:
        told.append(f"{unread:,} files of the archive were not read: links, or names that lead out of it.")
    if totals.parts:
        told.append(f"Long texts were split: {totals.parts:,} more posts, each an answer to the one before.")
    if totals.undated:
        told.append(f"{totals.undated:,} posts have no date, or one before 1970 or after today: they have today's.")
    if totals.circles:
        told.append(f"{totals.circles:,} answers were in a circle or to themselves: they came as posts of their own.")
    if move.pictures is None and totals.pictures["left_out"] + totals.portraits["left_out"]:
        told.append("Pictures and films were left out (--no-media); the same command without it adds them.")
    if move.pictures is not None and move.pictures.as_it_is:
        many = move.pictures.as_it_is
        told.append(f"Films and sounds ({many:,}) came as they are, with all that was written into them.")
    return told


def _unread(names: list[str]) -> list[str]:
    """Which folders, and files beside them, nothing is made of; those with most files first."""
    from collections import Counter

    if not names:
        return []
    places = Counter("/".join(name.split("/")[:-1][:2]) or name for name in names)
    shown = [f"{place} ({many:,})" for place, many in places.most_common(FOLDERS)]
    more = f" and {len(places) - FOLDERS:,} more places" if len(places) > FOLDERS else ""
    return [f"Nothing was made of {len(names):,} files: {', '.join(shown)}{more}."]


_STATES = ("came", "here", "gone", "left_out")


def _show_moved(console: Console, value: dict[str, Any]) -> None:
    """What came of an archive: brought, here already, left out and why."""
    from rich.text import Text

    made = rows_table("", "will come#" if value["dry"] else "came#", "here already#", "undone here#", "left out#")
    for name, row in value["table"].items():
        if any(row.values()):
            made.add_row(name, *(f"{row[c]:,}" if row[c] else "" for c in _STATES))
    console.print(made)
    for why, many in sorted(value["left_out"].items(), key=lambda one: (-one[1], one[0])):
        console.print(Text(f"Left out: {many:,} {plain(why)}."), soft_wrap=True)
    for sentence in value["notes"]:
        console.print(Text(plain(sentence)), soft_wrap=True)
    if value["report"]:
        console.print(Text(f"{value['report']} names what was left out, one line each."), soft_wrap=True)
    done = "Nothing was written." if value["dry"] else f"{count(value['entries'], 'entry', 'entries')} written."
    console.print(Text(f"{done} {value['seconds']:,} s", "dim"))
