"""Channels: series of films or sound, their episodes, and subscriptions."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session, put
from banyan_cli.commands.posts import By, Undo, Uri
from banyan_cli.declare import root
from banyan_cli.errors import BadInput
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

_channel = root.group("channel", "Channels: series of films or sound, and their episodes.")
Which = Annotated[
    str, typer.Argument(metavar="CHANNEL", help="Its title or digits as shown, or its address.", show_default=False)
]
WhichEpisode = Annotated[
    str, typer.Argument(metavar="EPISODE", help="Its title or digits as shown, or its address.", show_default=False)
]
Reader = Annotated[
    str | None,
    typer.Option("--as", help="Who reads; your own account when left out.", autocompletion=completion.accounts),
]
Of = Annotated[str | None, typer.Argument(help="Whose; yours when left out.", autocompletion=completion.accounts)]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many.")]
After = Annotated[str | None, typer.Option(help="Continue where a page ended.")]
Yes = Annotated[bool, typer.Option("--yes", help="It cannot be taken back; say that you mean it.")]
Title = Annotated[str | None, typer.Option("--title", help="Another title.")]
Text = Annotated[str | None, typer.Option("--text", help="What it is about.")]
Language = Annotated[str | None, typer.Option("--lang", help="Such as vi or en-GB; '' takes it away.")]
Site = Annotated[str | None, typer.Option("--site", help="Its page in the web; '' takes it away.")]
Picture = Annotated[str | None, typer.Option("--picture", metavar="FILE", help="A picture; '' takes it away.")]
Season = Annotated[int | None, typer.Option("--season", min=-1, help="Of which season; -1: of none.")]
Number = Annotated[int | None, typer.Option("--number", min=-1, help="Which one it is; -1: without a number.")]
Published = Annotated[
    str | None, typer.Option("--published", metavar="TIME", help="Else when it was posted: '2026-01-31 19:00', UTC.")
]
Chapter = Annotated[
    list[str] | None,
    typer.Option("--chapter", metavar="'TIME TITLE'", help="'1:02:03 The title'; again for each, in order."),
]


@_channel.command("create")
def channel_create(
    s: Session,
    title: Annotated[str, typer.Argument(metavar="TITLE")],
    text: Text = None,
    audio: Annotated[bool, typer.Option("--audio", help="Sound, such as a podcast; else films.")] = False,
    lang: Language = None,
    site: Site = None,
    picture: Picture = None,
    by: By = None,
) -> None:
    """Open a channel."""
    kind = "audio" if audio else "video"
    said = {"title": title, "description": text, "kind": kind, "language": lang, "site": site}
    answer = s.call("channel.set", **said, picture=_picture(s, picture), by=by)
    refs.note(s.home, channels=[answer])
    s.out.done(answer, f"Opened: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_channel.command("set")
def channel_set(
    s: Session,
    which: Which,
    title: Title = None,
    text: Text = None,
    lang: Language = None,
    site: Site = None,
    picture: Picture = None,
    by: By = None,
) -> None:
    """Change a channel of yours."""
    if all(one is None for one in (title, text, lang, site, picture)):
        raise BadInput("Nothing is to be changed; `banyan channel set --help` says what can be.")
    said = {"title": title, "description": text, "language": lang, "site": site, "picture": _picture(s, picture)}
    answer = s.call("channel.set", channel=refs.channel(s, which, by), **said, by=by)
    s.out.done(answer, f"Changed: {answer['title']}.")


@_channel.command("drop")
def channel_drop(s: Session, which: Which, yes: Yes = False, by: By = None) -> None:
    """End a channel of yours, for good; the posts of its episodes stay."""
    if not yes:
        raise BadInput("A channel that is dropped cannot be brought back; say so with --yes.")
    answer = s.call("channel.drop", channel=refs.channel(s, which, by), by=by)
    s.out.done(answer, f"Dropped: {answer['title']}. The posts of its episodes stay.")


@_channel.command("ls")
def channel_ls(
    s: Session,
    account: Of = None,
    subscribed: Annotated[bool, typer.Option("--subscribed", help="Those that it subscribed to.")] = False,
    limit: Limit = 50,
    after: After = None,
    by: Reader = None,
) -> None:
    """The channels of an account, or those that it subscribed to."""
    whose = None if account is None else refs.account(s, account)
    page = s.call("channel.list", account=whose, subscribed=subscribed or None, limit=limit, after=after, by=by)
    refs.note(s.home, channels=page["channels"])
    nothing = "No subscriptions: `banyan channel subscribe`." if subscribed else "No channels: `banyan channel create`."
    s.out.answers(page["channels"], _show_channels, nothing)
    more(s, page)


@_channel.command("show")
def channel_show(
    s: Session,
    which: Which,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first; else by season and number.")] = False,
    limit: Limit = 20,
    after: After = None,
    by: Reader = None,
) -> None:
    """A channel and its episodes."""
    channel = refs.channel(s, which, by)
    value = s.call("channel.show", channel=channel, by=by)
    order = "newest" if newest else None
    page = s.call("episode.list", channel=channel, order=order, limit=limit, after=after, by=by)
    refs.note(s.home, channels=[value], episodes=page["episodes"])
    s.out.answer({"channel": value, **page}, _show_channel)
    more(s, page)


@_channel.command("add")
def channel_add(
    s: Session,
    which: Which,
    post: Uri,
    title: Annotated[str | None, typer.Option("--title", help="Else the first line of the post.")] = None,
    season: Season = None,
    number: Number = None,
    published: Published = None,
    chapter: Chapter = None,
    by: By = None,
) -> None:
    """Make a post with a film or sound an episode of a channel of yours."""
    said = {"title": title, "season": season, "number": number, **_told(published, chapter)}
    channel = refs.channel(s, which, by)
    answer = s.call("episode.set", channel=channel, post=refs.post(s, post), **said, by=by)
    refs.note(s.home, episodes=[answer])
    s.out.done(answer, f"Added: {answer['title']}  {refs.short(answer['uri'])}\n{answer['uri']}")


@_channel.command("edit")
def channel_edit(
    s: Session,
    episode: WhichEpisode,
    title: Title = None,
    season: Season = None,
    number: Number = None,
    published: Published = None,
    chapter: Chapter = None,
    by: By = None,
) -> None:
    """Change an episode of yours."""
    said = {"title": title, "season": season, "number": number, **_told(published, chapter)}
    if all(one is None for one in said.values()):
        raise BadInput("Nothing is to be changed; `banyan channel edit --help` says what can be.")
    answer = s.call("episode.set", episode=refs.episode(s, episode, by), **said, by=by)
    s.out.done(answer, f"Changed: {answer['title']}.")


@_channel.command("remove")
def channel_remove(s: Session, episode: WhichEpisode, by: By = None) -> None:
    """Take an episode out of your channel; its post stays, and can be added again."""
    answer = s.call("episode.drop", episode=refs.episode(s, episode, by), by=by)
    s.out.done(answer, f"Removed: {answer['title']}. Its post stays.")


@_channel.command("subscribe")
def channel_subscribe(s: Session, which: Which, undo: Undo = False, by: By = None) -> None:
    """Subscribe to a channel; everybody can see it."""
    answer = s.call("channel.subscribe", channel=refs.channel(s, which, by), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else f"Subscribed to {answer['title']}.")


@_channel.command("new")
def channel_new(s: Session, limit: Limit = 20, after: After = None, by: Reader = None) -> None:
    """New episodes of the channels that you subscribed to, newest first."""
    page = s.call("subscriptions", limit=limit, after=after, by=by)
    refs.note(s.home, episodes=page["episodes"], channels=[row["channel"] for row in page["episodes"]])
    s.out.answers(page["episodes"], show_episodes, "No episodes: `banyan channel subscribe`.")
    more(s, page)


def more(s: Session, page: dict[str, Any]) -> None:
    """Says how to go on, if a page has one behind it."""
    if page["after"]:
        s.out.note(f"More: the same with --after {page['after']}")


def _picture(s: Session, given: str | None) -> str | None:
    if not given:
        return given
    return str(put(s, given)["blob"])


def _told(published: str | None, chapters: list[str] | None) -> dict[str, Any]:
    """What of an episode is typed in a form of its own. Raises BadInput."""
    found: dict[str, Any] = {"published": None, "chapters": None}
    if published is not None:
        try:
            moment = datetime.fromisoformat(published.strip())
        except ValueError:
            raise BadInput(f"--published is '{published}'; write, for example, '2026-01-31 19:00'.") from None
        found["published"] = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if chapters is not None:
        found["chapters"] = [_chapter(one) for one in chapters]
    return found


def _chapter(text: str) -> dict[str, Any]:
    said = re.fullmatch(r"(?:(\d{1,3}):)?(\d{1,3}):(\d\d)\s+(\S.*)", text.strip())
    if said is None:
        raise BadInput(f"--chapter is '{text}'; write, for example, '1:02:03 The title'.")
    hours, minutes, seconds, title = said.groups()
    return {"at_ms": (int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)) * 1000, "title": title}


def clock(ms: int) -> str:
    """`1:02:03`, or `2:03`."""
    hours, rest = divmod(ms // 1000, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def length(post: dict[str, Any] | None) -> str:
    """How long the film or the sound of a post lasts; empty if it is not known."""
    found = [item["duration_ms"] for item in (post or {"media": ()})["media"] if item["duration_ms"]]
    return clock(found[0]) if found else ""


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _show_channels(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    made = table("channel", "kind", "episodes#", "subscribers#", "you", "of", "title")
    for row in rows:
        of = name_of(row["account"]["account"], row["account"]["name"])
        counts = f"{row['episodes']:,}", f"{row['subscribers']:,}"
        you = "subscribed" if row["subscribed"] else ""
        made.add_row(refs.short(row["uri"]), row["kind"], *counts, you, of, plain(row["title"]))
    console.print(made)


def _show_channel(console: Console, found: dict[str, Any]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_node.terminal_escape import plain

    value = found["channel"]
    console.print(Text.assemble((plain(value["title"]), "bold"), f"  {refs.short(value['uri'])}"))
    console.print(Text(value["uri"], "dim"), soft_wrap=True)
    of = name_of(value["account"]["account"], value["account"]["name"])
    said = [value["kind"], f"of {of}", *(_counted(value[f"{what}s"], what) for what in ("episode", "subscriber"))]
    said += ["you subscribed"] if value["subscribed"] else []
    said += [plain(one) for one in (value["language"], value["site"]) if one]
    console.print(Text(" · ".join(said), "dim"))
    if value["description"]:
        console.print(Text(plain(value["description"], lines=True)))
    if found["episodes"]:
        show_episodes(console, found["episodes"])


def show_episodes(console: Console, rows: list[dict[str, Any]]) -> None:
    """A line for each episode, and its chapters below."""
    from banyan_cli.show.text_tables import table
    from banyan_node.terminal_escape import plain

    made = table("episode", "no.", "published", "length", "channel", "title")
    for row in rows:
        number = "" if row["number"] is None else str(row["number"])
        number = number if row["season"] is None else f"{row['season']}x{number or '-'}"
        day = dates.day(row["published"])
        title = plain(row["title"]) + (f"  ({row['gone']})" if row["gone"] else "")
        chapters = "".join(f"\n  {clock(one['at_ms'])} {plain(one['title'])}" for one in row["chapters"])
        channel = plain(row["channel"]["title"])
        made.add_row(refs.short(row["uri"]), number, day, length(row["post"]), channel, title + chapters)
    console.print(made)
