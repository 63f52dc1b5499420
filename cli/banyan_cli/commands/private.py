"""What a person keeps to themselves: mutes, bookmarks, lists, filters, notes. Only their devices can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Uri, Who
from banyan_cli.declare import root
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_list = root.group("list", "Lists of accounts, which only you can see.")
_filter = root.group("filter", "Words whose posts you do not want to see.")
Title = Annotated[str, typer.Argument(metavar="LIST", help="The list's title, or the beginning of its id.")]
People = Annotated[
    list[str],
    typer.Argument(metavar="ACCOUNT...", help="Accounts, by id or name.", autocompletion=completion.accounts),
]


@root.command()
def mutes(s: Session, by: By = None) -> None:
    """The accounts that you mute. Only you can see that."""
    s.out.answers(s.call("mutes", by=by)["mutes"], _show_accounts, "You mute nobody.")


@root.command()
def blocks(s: Session, by: By = None) -> None:
    """The accounts that you block. Everybody can see that."""
    s.out.answers(s.call("blocks", by=by)["blocks"], _show_accounts, "You block nobody.")


@root.command()
def bookmark(s: Session, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Keep a post, to find it again."""
    answer = s.call("bookmark", uri=refs.post(s, uri), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else "Kept: `banyan bookmarks` lists it.")


@root.command()
def bookmarks(s: Session, by: By = None) -> None:
    """The posts that you keep."""
    rows = s.call("bookmarks", by=by)["bookmarks"]
    refs.note(s.home, posts=[row["post"] for row in rows if row["post"]])
    s.out.answers(rows, _show_bookmarks, "You keep no posts yet: `banyan bookmark POST`.")


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


@_list.command("create")
def list_create(s: Session, title: Annotated[str, typer.Argument(metavar="TITLE")], by: By = None) -> None:
    """Make a list."""
    answer = s.call("list.set", title=title, by=by)
    s.out.done(answer, f"Made: {title}, {answer['id'][: refs.SHORT]}. `banyan list add` puts accounts on it.")


@_list.command("rename")
def list_rename(
    s: Session, which: Title, title: Annotated[str, typer.Argument(metavar="TITLE")], by: By = None
) -> None:
    """Give a list another title."""
    s.out.done(s.call("list.set", id=refs.own_list(s, which, by), title=title, by=by), f"It is {title} now.")


@_list.command("ls")
def list_ls(s: Session, by: By = None) -> None:
    """Your lists."""
    s.out.answers(s.call("lists", by=by)["lists"], _show_lists, "You have no lists: `banyan list create TITLE`.")


@_list.command("show")
def list_show(s: Session, which: Title, by: By = None) -> None:
    """Who is on a list."""
    answer = s.call("list.show", id=refs.own_list(s, which, by), by=by)
    s.out.answers(answer["members"], _show_accounts, f"Nobody is on {answer['title']} yet.")


@_list.command("add")
def list_add(s: Session, which: Title, accounts: People, by: By = None) -> None:
    """Put accounts on a list."""
    _members(s, which, accounts, by, False)


@_list.command("remove")
def list_remove(s: Session, which: Title, accounts: People, by: By = None) -> None:
    """Take accounts off a list."""
    _members(s, which, accounts, by, True)


@_list.command("delete")
def list_delete(s: Session, which: Title, by: By = None) -> None:
    """Delete a list."""
    s.out.done(s.call("list.delete", id=refs.own_list(s, which, by), by=by), "Deleted.")


@_filter.command("add")
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


@_filter.command("ls")
def filter_ls(s: Session, by: By = None) -> None:
    """Your filters."""
    s.out.answers(s.call("filters", by=by)["filters"], _show_filters, "You have no filters.")


@_filter.command("remove")
def filter_remove(
    s: Session,
    which: Annotated[str, typer.Argument(metavar="FILTER", help="The filter's words, or the beginning of its id.")],
    by: By = None,
) -> None:
    """Delete a filter."""
    s.out.done(s.call("filter.delete", id=refs.own_filter(s, which, by), by=by), "Deleted.")


def _members(s: Session, which: str, accounts: list[str], by: str | None, undo: bool) -> None:
    whom = [refs.account(s, who) for who in accounts]
    answer = s.call("list.add", id=refs.own_list(s, which, by), accounts=whom, undo=undo, by=by)
    on = "1 account is" if answer["members"] == 1 else f"{answer['members']:,} accounts are"
    s.out.done(answer, f"{on} on {answer['title']} now.")


def _show_accounts(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table

    made = table("name", "account")
    for row in rows:
        made.add_row(name_of(row["account"], row["name"]), Text(row["account"]))
    console.print(made)


def _show_bookmarks(console: Console, rows: list[dict[str, Any]]) -> None:
    import time

    from rich.text import Text

    from banyan_cli.show.feed import post

    for row in rows:
        if row["post"]:
            console.print(post(row["post"], time.time_ns() // 1_000_000))
        else:
            console.print(Text(f"a post that is not held ({refs.short(row['uri'])})", "dim italic"))
        console.print()


def _show_lists(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.text_tables import table

    made = table("list", "accounts#", "title")
    for row in rows:
        made.add_row(row["id"][: refs.SHORT], f"{row['members']:,}", plain(row["title"]))
    console.print(made)


def _show_filters(console: Console, rows: list[dict[str, Any]]) -> None:
    from banyan_cli.show.text_tables import table

    made = table("filter", "does", "words")
    for row in rows:
        made.add_row(row["id"][: refs.SHORT], row["action"], plain(row["words"]))
    console.print(made)
