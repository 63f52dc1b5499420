"""Posts that are not published yet, and those that are published later."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session, put_all
from banyan_cli.commands.posts import Alt, File, Lang, Unlisted, Warn, Words, text_given
from banyan_cli.declare import Ref, root
from banyan_cli.errors import BadInput
from banyan_cli.parameters import By
from banyan_node.terminal_escape import plain
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_draft = root.group("draft", "Posts that you have not published yet; only you can see them.")
At = Annotated[
    str | None, typer.Option("--at", metavar="WHEN", help="Publish it then, such as 2026-12-24T18:00 (local time).")
]


def _one(s: Session, which: str, by: str | None) -> dict[str, Any]:
    known: list[dict[str, Any]] = s.call("drafts", by=by)["drafts"]
    found = [row for row in known if row["id"].startswith(which.lower())]
    if len(found) != 1:
        many = f"{len(found)} drafts begin with '{which}'" if found else f"No draft begins with '{which}'"
        raise BadInput(f"{many}; `banyan draft ls` shows them.")
    return found[0]


def _when(text: str) -> int:
    try:
        at_ms = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"'{text}' is no time; write it as 2026-12-24T18:00.") from error
    if at_ms <= time.time() * 1000:
        raise BadInput(f"{text} is over; give a time to come.")
    return at_ms


Which = Annotated[
    str,
    typer.Argument(metavar="DRAFT", help="The beginning of its id."),
    Ref(lambda s, which, by: _one(s, which, by)["id"]),
]


def _show(console: Console, rows: list[Any]) -> None:
    from rich.text import Text

    from banyan_cli.show import feed
    from banyan_cli.show.feed import text_of

    for row in rows:
        due = "" if row["due"] is None else f"  {dates.moment(row['due'], None):%Y-%m-%d %H:%M}"
        console.print(Text.assemble((f"{row['id'][: refs.SHORT]}{due}  ", "dim"), text_of(row["text"])))
        for item in row["media"]:
            console.print(Text.assemble("  ", feed.media_line(item)))
        if row["refused"]:
            console.print(Text(f"  It is not published as it is: {plain(row['refused'])}", "yellow"))
        if row["lacking"]:
            console.print(Text("  Not all of it is on this device: publish it on the one that wrote it.", "yellow"))


@_draft.command()
def draft_add(
    s: Session,
    text: Words,
    at: At = None,
    reply: Annotated[str | None, typer.Option("--reply", metavar="POST", help="The post that it answers.")] = None,
    quote: Annotated[str | None, typer.Option("--quote", metavar="POST", help="The post that it quotes.")] = None,
    replace: Annotated[
        str | None,
        typer.Option(
            "--replace",
            metavar="DRAFT",
            help="The draft that this replaces; without --media its pictures stay.",
        ),
    ] = None,
    media: File = None,
    alt: Alt = None,
    lang: Lang = None,
    warning: Warn = None,
    unlisted: Unlisted = False,
    by: By = None,
) -> None:
    """Keep a post, to publish it later."""
    before = None if replace is None else _one(s, replace, by)
    items = put_all(s, media, alt)
    if before is not None and not items:
        items = [{"blob": one["blob"], "description": one["description"]} for one in before["media"]]
    answer = s.call(
        "draft.set",
        text=text_given(text, empty=bool(items)),
        media=items or None,
        id=None if before is None else before["id"],
        reply=None if reply is None else refs.post(s, reply),
        quote=None if quote is None else refs.post(s, quote),
        lang=lang,
        warning=warning,
        audience="unlisted" if unlisted else None,
        due=None if at is None else _when(at),
        by=by,
    )
    later = "it is published then" if at else "`banyan draft publish` publishes it"
    s.out.done(answer, f"Kept: {answer['id'][: refs.SHORT]}; {later}.")


@_draft.rows("drafts", _show, "You have no drafts: `banyan draft add TEXT`.", field="drafts")
def draft_ls(by: By = None) -> None:
    """Your drafts, those with a time first."""


@_draft.act("draft.publish", "Posted: {short}", seen="posts")
def draft_publish(id: Which, by: By = None) -> None:
    """Publish a draft now."""


@_draft.act("draft.drop", "Dropped.")
def draft_drop(id: Which, by: By = None) -> None:
    """Throw a draft away."""
