"""Playlists: posts of anybody, in the order in which they are to be played."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import command_session, refs
from banyan_cli.commands.channels import After, Limit, Of, Reader, Text, Title, Yes, length, more
from banyan_cli.commands.posts import By
from banyan_cli.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

_playlist = typer.Typer(help="Playlists: posts in the order in which they are played.", no_args_is_help=True)
Which = Annotated[
    str, typer.Argument(metavar="PLAYLIST", help="Its title or digits as shown, or its address.", show_default=False)
]
Posts = Annotated[list[str], typer.Argument(metavar="POST...", help="Posts: digits as shown, or addresses.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(_playlist, name="playlist")


@_playlist.command("create")
def playlist_create(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(metavar="TITLE")],
    posts: Annotated[list[str] | None, typer.Argument(metavar="POST...", help="Its posts, in their order.")] = None,
    text: Text = None,
    by: By = None,
) -> None:
    """Make a playlist."""
    s = command_session.of(ctx)
    found = [refs.post(s, post) for post in posts or ()]
    answer = s.call("playlist.set", title=title, description=text, posts=found, by=refs.acting(s, by))
    refs.remember(s.home, playlists=[(answer["uri"], answer["title"])])
    s.out.done(answer, f"Made: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_playlist.command("set")
def playlist_set(ctx: typer.Context, which: Which, title: Title = None, text: Text = None, by: By = None) -> None:
    """Give a playlist of yours another title or description."""
    s = command_session.of(ctx)
    if title is None and text is None:
        raise BadInput("Nothing is to be changed; give --title or --text.")
    playlist = _playlist_of(s, which, by)
    answer = s.call("playlist.set", playlist=playlist, title=title, description=text, by=refs.acting(s, by))
    s.out.done(answer, f"Changed: {answer['title']}.")


@_playlist.command("add")
def playlist_add(ctx: typer.Context, which: Which, posts: Posts, by: By = None) -> None:
    """Put posts at the end of a playlist of yours."""
    _change(ctx, which, posts, "add", by)


@_playlist.command("remove")
def playlist_remove(ctx: typer.Context, which: Which, posts: Posts, by: By = None) -> None:
    """Take posts out of a playlist of yours."""
    _change(ctx, which, posts, "take", by)


@_playlist.command("order")
def playlist_order(ctx: typer.Context, which: Which, posts: Posts, by: By = None) -> None:
    """Say in which order a playlist of yours has which posts; others are taken out."""
    _change(ctx, which, posts, "posts", by)


def _change(ctx: typer.Context, which: str, posts: list[str], how: str, by: str | None) -> None:
    s = command_session.of(ctx)
    playlist, found = _playlist_of(s, which, by), [refs.post(s, post) for post in posts]
    answer = s.call("playlist.set", playlist=playlist, **{how: found}, by=refs.acting(s, by))
    s.out.done(answer, f"{answer['title']} has {answer['posts']} post{'' if answer['posts'] == 1 else 's'}.")


@_playlist.command("drop")
def playlist_drop(ctx: typer.Context, which: Which, yes: Yes = False, by: By = None) -> None:
    """End a playlist of yours, for good; its posts stay."""
    s = command_session.of(ctx)
    if not yes:
        raise BadInput("A playlist that is dropped cannot be brought back; say so with --yes.")
    answer = s.call("playlist.drop", playlist=_playlist_of(s, which, by), by=refs.acting(s, by))
    s.out.done(answer, f"Dropped: {answer['title']}. Its posts stay.")


@_playlist.command("ls")
def playlist_ls(
    ctx: typer.Context, account: Of = None, limit: Limit = 50, after: After = None, by: Reader = None
) -> None:
    """The playlists of an account."""
    s = command_session.of(ctx)
    whose = None if account is None else refs.account(s, account)
    page = s.call("playlist.list", account=whose, limit=limit, after=after, by=refs.acting(s, by))
    refs.remember(s.home, playlists=[(row["uri"], row["title"]) for row in page["playlists"]])
    s.out.answers(page["playlists"], _show_playlists, "No playlists: `banyan playlist create`.")
    more(s, page)


@_playlist.command("show")
def playlist_show(ctx: typer.Context, which: Which, by: Reader = None) -> None:
    """A playlist and its posts."""
    s = command_session.of(ctx)
    value = s.call("playlist.show", playlist=_playlist_of(s, which, by), by=refs.acting(s, by))
    refs.remember(s.home, [one["uri"] for one in value["posts"]], playlists=[(value["uri"], value["title"])])
    s.out.answer(value, _show_playlist)


def _playlist_of(s: command_session.Session, which: str, by: str | None) -> str:
    """The address of the playlist that a person means. Raises BadInput."""

    def known() -> dict[str, str]:
        page = s.call("playlist.list", by=refs.acting(s, by), limit=200)
        return {row["uri"]: row["title"] for row in page["playlists"]}

    return refs.titled(s, "playlist", which, known, "`banyan playlist ls`")


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
