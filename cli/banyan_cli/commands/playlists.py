"""Playlists: posts of anybody, in the order in which they are to be played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.commands.channels import After, Limit, Of, Reader, Text, Title, Yes, length, more
from banyan_cli.commands.posts import By
from banyan_cli.declare import root
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

_playlist = root.group("playlist", "Playlists: posts in the order in which they are played.")
Which = Annotated[
    str, typer.Argument(metavar="PLAYLIST", help="Its title or digits as shown, or its address.", show_default=False)
]
Posts = Annotated[list[str], typer.Argument(metavar="POST...", help="Posts: digits as shown, or addresses.")]


@_playlist.command("create")
def playlist_create(
    s: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE")],
    posts: Annotated[list[str] | None, typer.Argument(metavar="POST...", help="Its posts, in their order.")] = None,
    text: Text = None,
    by: By = None,
) -> None:
    """Make a playlist."""
    found = [refs.post(s, post) for post in posts or ()]
    answer = s.call("playlist.set", title=title, description=text, posts=found, by=by)
    refs.note(s.home, playlists=[answer])
    s.out.done(answer, f"Made: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_playlist.command("set")
def playlist_set(s: Session, which: Which, title: Title = None, text: Text = None, by: By = None) -> None:
    """Give a playlist of yours another title or description."""
    if title is None and text is None:
        raise BadInput("Nothing is to be changed; give --title or --text.")
    playlist = refs.playlist(s, which, by)
    answer = s.call("playlist.set", playlist=playlist, title=title, description=text, by=by)
    s.out.done(answer, f"Changed: {answer['title']}.")


@_playlist.command("add")
def playlist_add(s: Session, which: Which, posts: Posts, by: By = None) -> None:
    """Put posts at the end of a playlist of yours."""
    _change(s, which, posts, "add", by)


@_playlist.command("remove")
def playlist_remove(s: Session, which: Which, posts: Posts, by: By = None) -> None:
    """Take posts out of a playlist of yours."""
    _change(s, which, posts, "take", by)


@_playlist.command("order")
def playlist_order(s: Session, which: Which, posts: Posts, by: By = None) -> None:
    """Say in which order a playlist of yours has which posts; others are taken out."""
    _change(s, which, posts, "posts", by)


def _change(s: Session, which: str, posts: list[str], how: str, by: str | None) -> None:
    playlist, found = refs.playlist(s, which, by), [refs.post(s, post) for post in posts]
    answer = s.call("playlist.set", playlist=playlist, **{how: found}, by=by)
    s.out.done(answer, f"{answer['title']} has {answer['posts']} post{'' if answer['posts'] == 1 else 's'}.")


@_playlist.command("drop")
def playlist_drop(s: Session, which: Which, yes: Yes = False, by: By = None) -> None:
    """End a playlist of yours, for good; its posts stay."""
    if not yes:
        raise BadInput("A playlist that is dropped cannot be brought back; say so with --yes.")
    answer = s.call("playlist.drop", playlist=refs.playlist(s, which, by), by=by)
    s.out.done(answer, f"Dropped: {answer['title']}. Its posts stay.")


@_playlist.command("ls")
def playlist_ls(s: Session, account: Of = None, limit: Limit = 50, after: After = None, by: Reader = None) -> None:
    """The playlists of an account."""
    whose = None if account is None else refs.account(s, account)
    page = s.call("playlist.list", account=whose, limit=limit, after=after, by=by)
    refs.note(s.home, playlists=page["playlists"])
    s.out.answers(page["playlists"], _show_playlists, "No playlists: `banyan playlist create`.")
    more(s, page)


@_playlist.command("show")
def playlist_show(s: Session, which: Which, by: Reader = None) -> None:
    """A playlist and its posts."""
    value = s.call("playlist.show", playlist=refs.playlist(s, which, by), by=by)
    refs.note(s.home, posts=value["posts"], playlists=[value])
    s.out.answer(value, _show_playlist)


def _show_playlists(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    made = table("playlist", "posts#", "title")
    for row in rows:
        made.add_row(refs.short(row["uri"]), f"{row['posts']:,}", plain(row["title"]))
    console.print(made)


def _show_playlist(console: Console, value: dict[str, Any]) -> None:
    from rich.text import Text as Line

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    console.print(Line.assemble((plain(value["title"]), "bold"), f"  {refs.short(value['uri'])}"))
    console.print(Line(value["uri"], "dim"), soft_wrap=True)
    console.print(Line(f"of {name_of(value['account']['account'], value['account']['name'])}", "dim"))
    if value["description"]:
        console.print(Line(plain(value["description"], lines=True)))
    made = table("no.#", "post", "length", "of", "text")
    for n, one in enumerate(value["posts"], 1):
        post = one["post"]
        of, text = ("", f"({one['gone']})")
        if post is not None:
            of, text = name_of(post["account"], post["name"]), plain(post["text"].partition("\n")[0])
        made.add_row(f"{n:,}", refs.short(one["uri"]), length(post), of, text)
    if value["posts"]:
        console.print(made)
