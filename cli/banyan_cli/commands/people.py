"""Whom an account follows, blocks and mutes; its followers, and whether they have to ask first; what it keeps to
itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Fields, Parser, Resolver, root
from banyan_cli.parameters import ACCOUNT, By, Undo, Uri, Who, Whose, argument, some_account
from banyan_cli.show.tables import Row, columns, people, styled

if TYPE_CHECKING:
    from rich.console import Console


_followers = root.group("followers", "Who follows you, and who asks to.")
Mutual = Annotated[bool, typer.Option("--mutual", help="Only those where each follows the other.")]
_LISTED: dict[str, Any] = {"field": "accounts", "seen": "accounts", "page": 100}


@root.act("follow")
def follow(answer: Fields, account: Who, by: By = None) -> str:
    """Show an account's posts in your feed, and hold them here."""
    whom = answer["account"]
    asked = f"Asked to follow {whom}: it is locked, and has to accept that."
    gone = f" It was dropped here: `banyan store undrop {whom}` lets it in again." if answer.get("dropped") else ""
    return (asked if answer["waits"] else f"Following {whom}.") + gone


@root.act("unfollow", "No longer following {account}.")
def unfollow(account: Who, by: By = None) -> None:
    """Stop following."""


@root.act("block", "Blocking {account}.", undone="No longer blocking {account}.")
def block(account: Who, undo: Undo = False, by: By = None) -> None:
    """Block an account, and stop following it; everybody can see that you do."""


Hours = Annotated[
    float | None,
    typer.Option("--hours", min=0, max=876_000, help="For so long; for good when left out."),
    Parser(lambda hours: int(time.time() * 1000 + hours * 3_600_000)),
]


@root.act("mute", "Muting {account}.", undone="No longer muting {account}.")
def mute(account: Who, undo: Undo = False, until: Hours = None, by: By = None) -> None:
    """Hide all that an account says from you. Only you can see that you do."""


@root.rows("mutes", people, "You mute nobody.", field="mutes")
def mutes(by: By = None) -> None:
    """The accounts that you mute. Only you can see that."""


@root.rows("blocks", people, "You block nobody.", field="blocks")
def blocks(by: By = None) -> None:
    """The accounts that you block. Everybody can see that."""


@root.act("lock", undone="Unlocked: whoever follows you does.")
def lock(answer: Fields, undo: Undo = False, by: By = None) -> str:
    """Lock your account: who follows you from now on has to be accepted first. What you say stays public."""
    stay = f" {answer['accepted']:,} present followers stay." if answer["accepted"] else ""
    return f"Locked: `banyan followers requests` shows who asks.{stay}"


@_followers.rows("followers", people, "No followers yet.", **_LISTED)
def followers_ls(account: Whose = None, mutual: Mutual = False, by: By = None) -> None:
    """Who follows an account; of a locked one, whom it accepted."""


@root.rows("following", people, "It follows nobody here.", **_LISTED)
def following(
    account: Annotated[str | None, argument("Who follows; you when left out.", some_account), ACCOUNT] = None,
    mutual: Mutual = False,
    by: By = None,
) -> None:
    """Whom an account follows."""


@_followers.rows("follow.requests", people, "Nobody waits.", **_LISTED)
def followers_requests(by: By = None) -> None:
    """Who asks to follow you and waits for an answer."""


@_followers.act("follow.accept", "Accepted.")
def followers_accept(account: Who, undo: Undo = False, by: By = None) -> None:
    """Let somebody follow you."""


@_followers.act("follow.refuse", "Refused.")
def followers_refuse(account: Who, undo: Undo = False, by: By = None) -> None:
    """Take somebody who asks off the list. They are not told."""


# What a person keeps to themselves: bookmarks, lists, filters, notes. Only their devices can read it.

_list = root.group("list", "Lists of accounts, which only you can see.")
_filter = root.group("filter", "Words whose posts you do not want to see.")
Title = Annotated[str, typer.Argument(metavar="TITLE")]
OwnList = Annotated[
    str, typer.Argument(metavar="LIST", help="The list's title, or the beginning of its id."), Resolver(refs.own_list)
]
People = Annotated[list[str], argument("Accounts, by id or name.", some_account, "ACCOUNT..."), ACCOUNT]


@root.act("bookmark", "Kept: `banyan bookmarks` lists it.")
def bookmark(uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Keep a post, to find it again."""


def _show_bookmarks(console: Console, rows: list[Row]) -> None:
    from banyan_cli.show.feed import post

    for row in rows:
        gone = styled((f"a post that is not held ({refs.short(row['uri'])})", "dim italic"))
        console.print(post(row["post"]) if row["post"] else gone)
        console.print()


@root.rows(
    "bookmarks",
    _show_bookmarks,
    "You keep no posts yet: `banyan bookmark POST`.",
    field="bookmarks",
    seen=lambda page: {"posts": [row["post"] for row in page["bookmarks"] if row["post"]]},
)
def bookmarks(by: By = None) -> None:
    """The posts that you keep."""


@root.command()
def note(
    s: Session,
    account: Who,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What you want to remember; '' takes it back.")
    ] = None,
    by: By = None,
) -> None:
    """Show what you noted on an account, or note something, for yourself."""
    whom = refs.account(s, account)
    if text is None:
        answer = s.call("note", account=whom, by=by)
        s.out.done(answer, answer["text"] or "You noted nothing.")
        return
    answer = s.call("note.set", account=whom, text=text, by=by)
    s.out.done(answer, "Noted." if answer["text"] else "Taken back.")


@_list.act("list.set", "Made: {typed[title]}, {id:.8}. `banyan list add` puts accounts on it.")
def list_create(title: Title, by: By = None) -> None:
    """Make a list."""


@_list.act("list.set", "It is {typed[title]} now.")
def list_rename(id: OwnList, title: Title, by: By = None) -> None:
    """Give a list another title."""


_LISTS = columns(("list", lambda row: row["id"][: refs.SHORT]), ("accounts#", "members"), ("title", "title"))


@_list.rows("lists", _LISTS, "You have no lists: `banyan list create TITLE`.", field="lists")
def list_ls(by: By = None) -> None:
    """Your lists."""


@_list.rows("list.show", people, "Nobody is on {title} yet.", field="members")
def list_show(id: OwnList, by: By = None) -> None:
    """Who is on a list."""


def _members(answer: Fields) -> str:
    on = "1 account is" if answer["members"] == 1 else f"{answer['members']:,} accounts are"
    return f"{on} on {answer['title']} now."


@_list.act("list.add", undo=False)
def list_add(answer: Fields, id: OwnList, accounts: People, by: By = None) -> str:
    """Put accounts on a list."""
    return _members(answer)


@_list.act("list.add", undo=True)
def list_remove(answer: Fields, id: OwnList, accounts: People, by: By = None) -> str:
    """Take accounts off a list."""
    return _members(answer)


@_list.act("list.delete", "Deleted.")
def list_delete(id: OwnList, by: By = None) -> None:
    """Delete a list."""


@_filter.command()
def filter_add(
    s: Session,
    words: Annotated[str, typer.Argument(metavar="WORDS", help="A word, or several one after another.")],
    warn: Annotated[bool, typer.Option("--warn", help="Show the posts behind a warning.")] = False,
    by: By = None,
) -> None:
    """Hide posts with these words."""
    answer = s.call("filter.set", words=words, action="warn" if warn else None, by=by)
    does = "shown behind a warning" if warn else "hidden"
    s.out.done(
        answer, f"Posts with '{words}' are {does}; `banyan filter remove {answer['id'][: refs.SHORT]}` ends that."
    )


_FILTERS = columns(("filter", lambda row: row["id"][: refs.SHORT]), ("does", "action"), ("words", "words"))


@_filter.rows("filters", _FILTERS, "You have no filters.", field="filters")
def filter_ls(by: By = None) -> None:
    """Your filters."""


@_filter.act("filter.delete", "Deleted.")
def filter_remove(
    id: Annotated[
        str,
        typer.Argument(metavar="FILTER", help="The filter's words, or the beginning of its id."),
        Resolver(refs.own_filter),
    ],
    by: By = None,
) -> None:
    """Delete a filter."""
