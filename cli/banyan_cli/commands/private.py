"""What a person keeps to themselves: bookmarks, lists, filters, notes. Only their devices can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.declare import Fields, Ref, root
from banyan_cli.parameters import ACCOUNT, By, Undo, Uri, Who, argument, some_account
from banyan_cli.show.tables import Row, columns, people, styled

if TYPE_CHECKING:
    from rich.console import Console

_list = root.group("list", "Lists of accounts, which only you can see.")
_filter = root.group("filter", "Words whose posts you do not want to see.")
Title = Annotated[str, typer.Argument(metavar="TITLE")]
OwnList = Annotated[
    str, typer.Argument(metavar="LIST", help="The list's title, or the beginning of its id."), Ref(refs.own_list)
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
        Ref(refs.own_filter),
    ],
    by: By = None,
) -> None:
    """Delete a filter."""
