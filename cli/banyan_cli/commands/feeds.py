"""What a person reads: the feed, a conversation, and how large the graph is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Cursor, root, shown
from banyan_cli.errors import BadInput
from banyan_cli.parameters import Reader, Uri, argument, some_account, some_post
from banyan_cli.show.tables import Row, columns, count, facts, named, people
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_graph = root.group("graph", "The graph as a whole.")
RANKS = ("newest", "catch-up")
"""Orders of a feed."""
KINDS = (
    *("reply", "quote", "mention", "reaction", "repost", "follow"),
    *("group_invite", "group_accept", "group_request", "event_invite"),
    *("follow_request", "follow_accept", "move", "urgent", "episode", "poll_ended"),
    *("label", "label_appeal"),
)
"""Of notifications."""
NOBODY_POSTED = "No posts here yet. Follow somebody with `banyan follow`, or see all with `feed --all`."


@root.command()
def feed(
    s: Session,
    account: Annotated[
        str | None, argument("One account's posts; else yours and whom you follow.", some_account)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many posts.")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="Everybody whose posts are held here.")] = False,
    on_list: Annotated[
        str | None, typer.Option("--list", metavar="LIST", help="Those on one of your lists: its title or id.")
    ] = None,
    replies: Annotated[bool, typer.Option("--replies/--no-replies", help="With replies, or without.")] = True,
    reposts: Annotated[
        bool, typer.Option("--reposts/--no-reposts", help="With what they reposted, or without.")
    ] = True,
    lang: Annotated[
        list[str] | None, typer.Option(help="Only in this language, such as vi; may be given again.")
    ] = None,
    rank: Annotated[
        str, typer.Option(metavar="ORDER", help="newest, or catch-up: what those whom you follow responded to most.")
    ] = "newest",
    explain: Annotated[bool, typer.Option("--explain", help="Say of each post why it is shown there.")] = False,
    before: Cursor = None,
    by: Reader = None,
) -> None:
    """Posts, the newest first."""
    if sum((account is not None, everything, on_list is not None)) > 1:
        raise BadInput("An account, --all and --list exclude one another; choose one.")
    if rank not in RANKS:
        raise BadInput(f"'{rank}' is no order; there are {' and '.join(RANKS)}.")
    whom, reader = (None if who is None else refs.account(s, who) for who in (account, by))
    page = s.call(
        "feed",
        rank=rank.replace("-", "_"),
        explain=explain or None,
        limit=limit,
        before=before,
        account=whom,
        all=everything or None,
        in_list=None if on_list is None else refs.own_list(s, on_list, by),
        replies=None if replies else False,
        reposts=None if reposts else False,
        langs=lang or None,
        by=reader,
    )
    refs.note(s.home, posts=page["posts"])
    none = "No posts here yet." if everything or whom else NOBODY_POSTED
    none = none if rank == "newest" else "Nothing new since you read last."
    rows = [{**row, "explained": why} for row, why in zip(page["posts"], page["explained"], strict=False)]
    s.out.answers(rows or page["posts"], shown("feed.feed"), none)
    if page["before"]:
        same = " --all" if everything else "" if whom is None else f" {whom}"
        same += "" if on_list is None else f" --list '{on_list}'"
        same += ("" if replies else " --no-replies") + ("" if reposts else " --no-reposts")
        same += "".join(f" --lang {one}" for one in lang or ())
        same += "" if reader is None else f" --as {reader}"
        s.out.note(f"More: `banyan feed{same} --limit {limit} --before {page['before']}`")


@root.command()
def thread(
    s: Session,
    post: Annotated[str, argument("A post: its digits, or address.", some_post)],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many answers.")] = 200,
    after: Cursor = None,
    by: Reader = None,
) -> None:
    """A post, what it answers, and what was answered to it."""
    from banyan_cli.show.feed import thread as show

    uri = refs.post(s, post)
    reader = None if by is None else refs.account(s, by)
    page = s.call("thread", uri=uri, by=reader, limit=limit, after=after)
    refs.note(s.home, posts=page["posts"])
    s.out.answer(page, lambda console, shown: show(console, shown, uri))
    if page["after"]:
        same = "" if reader is None else f" --as {reader}"
        s.out.note(f"More answers: `banyan thread {refs.short(uri)}{same} --limit {limit} --after {page['after']}`")


@root.value("why", shown("feed.why"))
def why(uri: Uri) -> None:
    """Who signed a post, when and from whom it came, what proves it, what it said before, and who else has it."""


_REACTIONS = columns(("", "emoji"), ("name", named), ("account", "account"))
_NOBODY = "Nobody that is known here."


@root.rows("reactions", _REACTIONS, _NOBODY, field="reactions", seen="accounts", page=100)
def reactions(
    uri: Uri,
    emoji: Annotated[str | None, typer.Option(help="Only those who reacted with this.")] = None,
    by: Reader = None,
) -> None:
    """Who reacted to a post, and with what."""


@root.rows("reposts", people, _NOBODY, field="accounts", seen="accounts", page=100)
def reposts(uri: Uri, by: Reader = None) -> None:
    """Who reposted a post."""


@root.command()
def search(
    s: Session,
    question: Annotated[list[str], typer.Argument(metavar="WORDS...", help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many posts.")] = 20,
    before: Cursor = None,
    by: Reader = None,
) -> None:
    """Find posts by their words, the newest first.

    Words with marks are found with these marks only, others with and without. Also: '"a phrase"', 'phở*', #tag,
    from:ACCOUNT (or from:me), to:ACCOUNT, since:2026-01-31, until:2026-02-28, lang:vi, has:media, has:link, is:reply;
    and, behind --, -without.
    """
    asked = " ".join(question)
    page = s.call("search", question=asked, limit=limit, before=before, by=by)
    refs.note(s.home, posts=page["posts"])
    s.out.answers(page["posts"], shown("feed.feed"), "Nothing is found.")
    if page["behind"]:
        s.out.note(f"The index lacks {page['behind']:,} changes yet; ask again soon.")
    if page["before"]:
        s.out.note(f"More: the same with --before {page['before']}")


def _show_suggestions(console: Console, rows: list[Row]) -> None:
    for row in rows:
        because = ", ".join(map(named, row["because"]))
        more = row["followed_by"] - len(row["because"])
        because += f" and {count(more, 'other')}" if more > 0 else ""
        console.print(f"{named(row)}  (followed by {because})")


@root.rows(
    "suggestions",
    _show_suggestions,
    "Nobody yet: those whom you follow follow nobody else.",
    field="suggestions",
    seen="accounts",
)
def suggestions(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many accounts.")] = 20,
    by: Reader = None,
) -> None:
    """Whom you might follow, and why."""


def _show_trends(console: Console, rows: list[Row]) -> None:
    for row in rows:
        most = max(row["posts"]) or 1
        bars = "".join(" ▁▂▃▄▅▆▇█"[-(-8 * n // most)] for n in row["posts"][-48:])
        said = f"#{plain(row['tag'])}  {count(row['accounts'], 'account')}, {count(sum(row['posts']), 'post')}"
        console.print(f"{said}  {bars}")


@root.rows("trends", _show_trends, "No tags lately.", field="trends")
def trends(
    hours: Annotated[int, typer.Option(min=1, max=168, help="How far back.")] = 24,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many tags.")] = 20,
) -> None:
    """The tags that most accounts used lately, hour by hour."""


@root.command()
def notifications(
    s: Session,
    kind: Annotated[list[str] | None, typer.Option(help=f"Only {', '.join(KINDS)}; may be given again.")] = None,
    each: Annotated[bool, typer.Option("--each", help="A line for each, although they are alike.")] = False,
    read: Annotated[bool, typer.Option("--read", help="Note that you have read them all; nothing is shown.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many lines.")] = 40,
    before: Cursor = None,
    by: Reader = None,
) -> None:
    """What others did that concerns you, the newest first: replies, mentions, reactions, reposts, followers.

    Those that you have not read have a dot.
    """
    if wrong := [k for k in kind or () if k not in KINDS]:
        raise BadInput(f"'{wrong[0]}' is no kind of notification; there are {', '.join(KINDS)}.")
    reader = None if by is None else refs.account(s, by)
    if read:
        s.out.done(s.call("marker.set", timeline="notifications", by=reader), "All are read.")
        return
    page = s.call("notifications", by=reader, kinds=kind or None, each=each or None, limit=limit, before=before)
    rows = page["notices"]
    posts, groups, events = ([row[kind] for row in rows if row[kind]] for kind in ("post", "group", "event"))
    accounts = [one for row in rows for one in (*row["accounts"], row["to"]) if one]
    refs.note(s.home, posts=posts, accounts=accounts, groups=groups, events=events)
    s.out.answers(rows, shown("feed.notices"), "Nothing yet.")
    if page["before"]:
        same = "".join(f" --kind {k}" for k in kind or ()) + (" --each" if each else "")
        same += "" if reader is None else f" --as {reader}"
        s.out.note(f"More: `banyan notifications{same} --limit {limit} --before {page['before']}`")


@_graph.value("graph.stats", facts, digest=True)
def graph_stats() -> None:
    """How many accounts, follows, posts; and the digest that equals another node's when both hold the same."""
