"""Channels: series of films or sound, their episodes, and subscriptions; and playlists, posts of anybody in
the order in which they are played."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session, put
from banyan_cli.declare import Cursor, Fields, Parser, Resolver, root, unchanged
from banyan_cli.errors import BadInput
from banyan_cli.parameters import (
    ACCOUNT,
    POST,
    By,
    Channel,
    Episode,
    Playlist,
    Reader,
    Undo,
    Uri,
    argument,
    some_account,
)
from banyan_cli.show.tables import Row, aside, clock, columns, count, headline, named
from banyan_node.terminal_escape import plain
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_channel = root.group("channel", "Channels: series of films or sound, and their episodes.")
_playlist = root.group("playlist", "Playlists: posts in the order in which they are played.")


def _published(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(f"--published is '{text}'; write, for example, '2026-01-31 19:00'.") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _chapter(text: str) -> dict[str, Any]:
    said = re.fullmatch(r"(?:(\d{1,3}):)?(\d{1,3}):(\d\d)\s+(\S.*)", text.strip())
    if said is None:
        raise BadInput(f"--chapter is '{text}'; write, for example, '1:02:03 The title'.")
    hours, minutes, seconds, title = said.groups()
    return {"at_ms": (int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)) * 1000, "title": title}


Of = Annotated[str | None, argument("Whose; yours when left out.", some_account), ACCOUNT]
Name = Annotated[str, typer.Argument(metavar="TITLE")]
Title = Annotated[str | None, typer.Option(help="Another title.")]
Text = Annotated[str | None, typer.Option("--text", help="What it is about.")]
Language = Annotated[str | None, typer.Option("--lang", help="Such as vi or en-GB; '' takes it away.")]
Site = Annotated[str | None, typer.Option(help="Its page in the web; '' takes it away.")]
Picture = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A picture; '' takes it away."),
    Resolver(lambda s, file, by: file and str(put(s, file)["blob"])),
]
Season = Annotated[int | None, typer.Option(min=-1, help="Of which season; -1: of none.")]
Number = Annotated[int | None, typer.Option(min=-1, help="Which one it is; -1: without a number.")]
Published = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Else when it was posted: '2026-01-31 19:00', UTC."),
    Parser(_published),
]
Chapter = Annotated[
    list[str] | None,
    typer.Option("--chapter", metavar="'TIME TITLE'", help="'1:02:03 The title'; again for each, in order."),
    Parser(_chapter),
]


def _length(post: Row | None) -> str:
    """How long the film or the sound of a post lasts; empty if it is not known."""
    found = [item["duration_ms"] for item in (post or {"media": ()})["media"] if item["duration_ms"]]
    return clock(found[0]) if found else ""


# -- how it looks


def _number(row: Row) -> str:
    number = "" if row["number"] is None else str(row["number"])
    return number if row["season"] is None else f"{row['season']}x{number or '-'}"


def _with_chapters(row: Row) -> str:
    gone = f"  ({row['gone']})" if row["gone"] else ""
    chapters = "".join(f"\n  {clock(one['at_ms'])} {plain(one['title'])}" for one in row["chapters"])
    return plain(row["title"]) + gone + chapters


_CHANNELS = columns(
    ("channel", lambda row: refs.short(row["uri"])),
    ("kind", "kind"),
    ("episodes#", "episodes"),
    ("subscribers#", "subscribers"),
    ("you", lambda row: "subscribed" if row["subscribed"] else ""),
    ("of", lambda row: named(row["account"])),
    ("title", "title"),
)
_show_episodes = columns(
    ("episode", lambda row: refs.short(row["uri"])),
    ("no.", _number),
    ("published", lambda row: dates.day(row["published"])),
    ("length", lambda row: _length(row["post"])),
    ("channel", lambda row: plain(row["channel"]["title"])),
    ("title", _with_chapters),
)


def _show_channel(console: Console, found: Row) -> None:
    value = found["channel"]
    headline(console, value["title"], value["uri"])
    counts = [count(value[f"{what}s"], what) for what in ("episode", "subscriber")]
    you = "you subscribed" if value["subscribed"] else ""
    where = [plain(one) for one in (value["language"], value["site"]) if one]
    aside(console, value["kind"], f"of {named(value['account'])}", *counts, you, *where)
    if value["description"]:
        console.print(plain(value["description"], lines=True))
    if found["episodes"]:
        _show_episodes(console, found["episodes"])


# -- channels


@_channel.act("channel.set", "Opened: {title}  {short}\n{uri}", seen="channels")
def channel_create(
    title: Name,
    description: Text = None,
    kind: Annotated[
        bool,
        typer.Option("--audio", help="Sound, such as a podcast; else films."),
        Parser(lambda audio: "audio" if audio else "video"),
    ] = False,
    language: Language = None,
    site: Site = None,
    picture: Picture = None,
    by: By = None,
) -> None:
    """Open a channel."""


def _nothing(command: str) -> str:
    return f"Nothing is to be changed; `banyan channel {command} --help` says what can be."


@_channel.act(
    "channel.set",
    "Changed: {title}.",
    wrong=unchanged(_nothing("set"), "title", "description", "language", "site", "picture"),
)
def channel_set(
    channel: Channel,
    title: Title = None,
    description: Text = None,
    language: Language = None,
    site: Site = None,
    picture: Picture = None,
    by: By = None,
) -> None:
    """Change a channel of yours."""


@_channel.act(
    "channel.drop",
    "Dropped: {title}. The posts of its episodes stay.",
    sure="A channel that is dropped cannot be brought back; say so with --yes.",
)
def channel_drop(channel: Channel, by: By = None) -> None:
    """End a channel of yours, for good; the posts of its episodes stay."""


def _no_channels(page: Fields) -> str:
    subscribed = page["typed"]["subscribed"]
    return "No subscriptions: `banyan channel subscribe`." if subscribed else "No channels: `banyan channel create`."


@_channel.rows("channel.list", _CHANNELS, _no_channels, field="channels", seen="channels", page=50, most=200)
def channel_ls(
    account: Of = None,
    subscribed: Annotated[bool, typer.Option("--subscribed", help="Those that it subscribed to.")] = False,
    by: Reader = None,
) -> None:
    """The channels of an account, or those that it subscribed to."""


@_channel.command()
def channel_show(
    s: Session,
    channel: Channel,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first; else by season and number.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")] = 20,
    after: Cursor = None,
    by: Reader = None,
) -> None:
    """A channel and its episodes."""
    channel = refs.channel(s, channel, by)
    value = s.call("channel.show", channel=channel, by=by)
    order = "newest" if newest else None
    page = s.call("episode.list", channel=channel, order=order, limit=limit, after=after, by=by)
    refs.note(s.home, channels=[value], episodes=page["episodes"])
    s.out.answer({"channel": value, **page}, _show_channel)
    if page["after"]:
        s.out.note(f"More: the same with --after {page['after']}")


@_channel.act("episode.set", "Added: {title}  {short}\n{uri}", seen="episodes")
def channel_add(
    channel: Channel,
    post: Uri,
    title: Annotated[str | None, typer.Option(help="Else the first line of the post.")] = None,
    season: Season = None,
    number: Number = None,
    published: Published = None,
    chapters: Chapter = None,
    by: By = None,
) -> None:
    """Make a post with a film or sound an episode of a channel of yours."""


@_channel.act(
    "episode.set",
    "Changed: {title}.",
    wrong=unchanged(_nothing("edit"), "title", "season", "number", "published", "chapters"),
)
def channel_edit(
    episode: Episode,
    title: Title = None,
    season: Season = None,
    number: Number = None,
    published: Published = None,
    chapters: Chapter = None,
    by: By = None,
) -> None:
    """Change an episode of yours."""


@_channel.act("episode.drop", "Removed: {title}. Its post stays.")
def channel_remove(episode: Episode, by: By = None) -> None:
    """Take an episode out of your channel; its post stays, and can be added again."""


@_channel.act("channel.subscribe", "Subscribed to {title}.")
def channel_subscribe(channel: Channel, undo: Undo = False, by: By = None) -> None:
    """Subscribe to a channel; everybody can see it."""


def _of_channels(page: Fields) -> dict[str, Any]:
    return {"episodes": page["episodes"], "channels": [row["channel"] for row in page["episodes"]]}


@_channel.rows(
    "subscriptions",
    _show_episodes,
    "No episodes: `banyan channel subscribe`.",
    field="episodes",
    seen=_of_channels,
    page=20,
    most=200,
)
def channel_new(by: Reader = None) -> None:
    """New episodes of the channels that you subscribed to, newest first."""


# -- playlists

Posts = Annotated[list[str], typer.Argument(metavar="POST...", help="Posts: digits as shown, or addresses."), POST]
_PLAYLISTS = columns(("playlist", lambda row: refs.short(row["uri"])), ("posts#", "posts"), ("title", "title"))


@_playlist.act("playlist.set", "Made: {title}  {short}\n{uri}", seen="playlists")
def playlist_create(
    title: Name,
    posts: Annotated[
        list[str] | None, typer.Argument(metavar="POST...", help="Its posts, in their order."), POST
    ] = None,
    description: Text = None,
    by: By = None,
) -> None:
    """Make a playlist."""


_TITLE_OR_TEXT = "Nothing is to be changed; give --title or --text."


@_playlist.act("playlist.set", "Changed: {title}.", wrong=unchanged(_TITLE_OR_TEXT, "title", "description"))
def playlist_set(playlist: Playlist, title: Title = None, description: Text = None, by: By = None) -> None:
    """Give a playlist of yours another title or description."""


def _has(answer: Fields) -> str:
    return f"{answer['title']} has {count(answer['posts'], 'post')}."


@_playlist.act("playlist.set")
def playlist_add(answer: Fields, playlist: Playlist, add: Posts, by: By = None) -> str:
    """Put posts at the end of a playlist of yours."""
    return _has(answer)


@_playlist.act("playlist.set")
def playlist_remove(answer: Fields, playlist: Playlist, take: Posts, by: By = None) -> str:
    """Take posts out of a playlist of yours."""
    return _has(answer)


@_playlist.act("playlist.set")
def playlist_order(answer: Fields, playlist: Playlist, posts: Posts, by: By = None) -> str:
    """Say in which order a playlist of yours has which posts; others are taken out."""
    return _has(answer)


@_playlist.act(
    "playlist.drop",
    "Dropped: {title}. Its posts stay.",
    sure="A playlist that is dropped cannot be brought back; say so with --yes.",
)
def playlist_drop(playlist: Playlist, by: By = None) -> None:
    """End a playlist of yours, for good; its posts stay."""


@_playlist.rows(
    "playlist.list",
    _PLAYLISTS,
    "No playlists: `banyan playlist create`.",
    field="playlists",
    seen="playlists",
    page=50,
    most=200,
)
def playlist_ls(account: Of = None, by: Reader = None) -> None:
    """The playlists of an account."""


def _played(one: Row) -> tuple[str, str]:
    """Of whom, and what it says."""
    post = one["post"]
    return ("", f"({one['gone']})") if post is None else (named(post), plain(post["text"].partition("\n")[0]))


_show_posts = columns(
    ("no.#", "no"),
    ("post", lambda one: refs.short(one["uri"])),
    ("length", lambda one: _length(one["post"])),
    ("of", lambda one: _played(one)[0]),
    ("text", lambda one: _played(one)[1]),
)


def _show_playlist(console: Console, value: Row) -> None:
    headline(console, value["title"], value["uri"])
    aside(console, f"of {named(value['account'])}")
    if value["description"]:
        console.print(plain(value["description"], lines=True))
    if value["posts"]:
        _show_posts(console, [{**one, "no": n} for n, one in enumerate(value["posts"], 1)])


@_playlist.value("playlist.show", _show_playlist, seen=lambda value: {"posts": value["posts"], "playlists": [value]})
def playlist_show(playlist: Playlist, by: Reader = None) -> None:
    """A playlist and its posts."""
