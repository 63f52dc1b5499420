"""What a person keeps to themselves: mutes, bookmarks, lists, filters, notes. Only their devices can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import command_session, completion, refs
from banyan_cli.commands.posts import By, Undo, Uri, Who
from banyan_cli.errors import BadInput
from banyan_node.terminal_escape import plain

if TYPE_CHECKING:
    from rich.console import Console

_list = typer.Typer(help="Lists of accounts, which only you can see.", no_args_is_help=True)
_filter = typer.Typer(help="Words whose posts you do not want to see.", no_args_is_help=True)
Title = Annotated[str, typer.Argument(metavar="LIST", help="The list's title, or the beginning of its id.")]
People = Annotated[
    list[str],
    typer.Argument(metavar="ACCOUNT...", help="Accounts, by id or name.", autocompletion=completion.accounts),
]


def add_to(app: typer.Typer) -> None:
    for command in (mutes, blocks, bookmark, bookmarks, note):
        app.command()(command)
    app.add_typer(_list, name="list")
    app.add_typer(_filter, name="filter")


def mutes(ctx: typer.Context, by: By = None) -> None:
    """The accounts that you mute. Only you can see that."""
    s = command_session.of(ctx)
    s.out.answers(s.call("mutes", by=refs.acting(s, by))["mutes"], _show_accounts, "You mute nobody.")


def blocks(ctx: typer.Context, by: By = None) -> None:
    """The accounts that you block. Everybody can see that."""
    s = command_session.of(ctx)
    s.out.answers(s.call("blocks", by=refs.acting(s, by))["blocks"], _show_accounts, "You block nobody.")


def bookmark(ctx: typer.Context, uri: Uri, undo: Undo = False, by: By = None) -> None:
    """Keep a post, to find it again."""
    s = command_session.of(ctx)
    answer = s.call("bookmark", uri=refs.post(s, uri), undo=undo or None, by=refs.acting(s, by))
    s.out.done(answer, "Taken back." if undo else "Kept: `banyan bookmarks` lists it.")


def bookmarks(ctx: typer.Context, by: By = None) -> None:
    """The posts that you keep."""
    s = command_session.of(ctx)
    rows = s.call("bookmarks", by=refs.acting(s, by))["bookmarks"]
    refs.remember_rows(s.home, [row["post"] for row in rows if row["post"]])
    s.out.answers(rows, _show_bookmarks, "You keep no posts yet: `banyan bookmark POST`.")


def note(
    ctx: typer.Context,
    account: Who,
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What you want to remember; '' takes it back.")
    ] = None,
    by: By = None,
) -> None:
    """Show what you noted on an account, or note something, for yourself."""
    s = command_session.of(ctx)
    whom, reader = refs.account(s, account), refs.acting(s, by)
    if text is None:
        answer = s.call("note", account=whom, by=reader)
        s.out.done(answer, answer["text"] or "You noted nothing.")
        return
    answer = s.call("note.set", account=whom, text=text, by=reader)
    s.out.done(answer, "Noted." if answer["text"] else "Taken back.")


@_list.command("create")
def list_create(ctx: typer.Context, title: Annotated[str, typer.Argument(metavar="TITLE")], by: By = None) -> None:
    """Make a list."""
    s = command_session.of(ctx)
    answer = s.call("list.set", title=title, by=refs.acting(s, by))
    s.out.done(answer, f"Made: {title}, {answer['id'][: refs.SHORT]}. `banyan list add` puts accounts on it.")


@_list.command("rename")
def list_rename(
    ctx: typer.Context, which: Title, title: Annotated[str, typer.Argument(metavar="TITLE")], by: By = None
) -> None:
    """Give a list another title."""
    s = command_session.of(ctx)
    s.out.done(s.call("list.set", id=_list_of(s, which, by), title=title, by=refs.acting(s, by)), f"It is {title} now.")


@_list.command("ls")
def list_ls(ctx: typer.Context, by: By = None) -> None:
    """Your lists."""
    s = command_session.of(ctx)
    s.out.answers(
        s.call("lists", by=refs.acting(s, by))["lists"], _show_lists, "You have no lists: `banyan list create TITLE`."
    )


@_list.command("show")
def list_show(ctx: typer.Context, which: Title, by: By = None) -> None:
    """Who is on a list."""
    s = command_session.of(ctx)
    answer = s.call("list.show", id=_list_of(s, which, by), by=refs.acting(s, by))
    s.out.answers(answer["members"], _show_accounts, f"Nobody is on {answer['title']} yet.")


@_list.command("add")
def list_add(ctx: typer.Context, which: Title, accounts: People, by: By = None) -> None:
    """Put accounts on a list."""
    _members(ctx, which, accounts, by, False)


@_list.command("remove")
def list_remove(ctx: typer.Context, which: Title, accounts: People, by: By = None) -> None:
    """Take accounts off a list."""
    _members(ctx, which, accounts, by, True)


@_list.command("delete")
def list_delete(ctx: typer.Context, which: Title, by: By = None) -> None:
    """Delete a list."""
    s = command_session.of(ctx)
    s.out.done(s.call("list.delete", id=_list_of(s, which, by), by=refs.acting(s, by)), "Deleted.")


@_filter.command("add")
def filter_add(
    ctx: typer.Context,
    words: Annotated[str, typer.Argument(metavar="WORDS", help="A word, or several one after another.")],
    warn: Annotated[bool, typer.Option("--warn", help="Show the posts behind a warning.")] = False,
    by: By = None,
) -> None:
    """Hide posts with these words."""
    s = command_session.of(ctx)
    answer = s.call("filter.set", words=words, action="warn" if warn else None, by=refs.acting(s, by))
    does = "shown behind a warning" if warn else "hidden"
    s.out.done(
        answer, f"Posts with '{words}' are {does}; `banyan filter remove {answer['id'][: refs.SHORT]}` ends that."
    )


@_filter.command("ls")
def filter_ls(ctx: typer.Context, by: By = None) -> None:
    """Your filters."""
    s = command_session.of(ctx)
    s.out.answers(s.call("filters", by=refs.acting(s, by))["filters"], _show_filters, "You have no filters.")


@_filter.command("remove")
def filter_remove(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="FILTER", help="The filter's words, or the beginning of its id.")],
    by: By = None,
) -> None:
    """Delete a filter."""
    s = command_session.of(ctx)
    rows = s.call("filters", by=refs.acting(s, by))["filters"]
    said = [row["id"] for row in rows if row["words"] == which]
    which = said[0] if len(said) == 1 else refs.one_of("filter", which, [r["id"] for r in rows], "`banyan filter ls`")
    s.out.done(s.call("filter.delete", id=which, by=refs.acting(s, by)), "Deleted.")


def list_of(s: command_session.Session, which: str, by: str | None) -> str:
    """The id of a list that a person means, by title or id. by: an account's id. Raises BadInput."""
    rows = s.call("lists", by=by)["lists"]
    titled = [row["id"] for row in rows if row["title"] == which]
    if len(titled) > 1:
        ids = refs.listed([one[: refs.SHORT] for one in titled])
        raise BadInput(f"'{which}' is the title of {len(titled)} lists: give one of {ids}.")
    return titled[0] if titled else refs.one_of("list", which, [r["id"] for r in rows], "`banyan list ls`")


def _list_of(s: command_session.Session, which: str, by: str | None) -> str:
    return list_of(s, which, refs.acting(s, by))


def _members(ctx: typer.Context, which: str, accounts: list[str], by: str | None, undo: bool) -> None:
    s = command_session.of(ctx)
    whom = [refs.account(s, who) for who in accounts]
    answer = s.call("list.add", id=_list_of(s, which, by), accounts=whom, undo=undo or None, by=refs.acting(s, by))
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
