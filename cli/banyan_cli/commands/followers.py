"""Followers, and whether they have to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import command_session, completion, refs
from banyan_cli.commands.posts import By, Undo, Who

if TYPE_CHECKING:
    from rich.console import Console

_followers = typer.Typer(help="Who follows you, and who asks to.", no_args_is_help=True)
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")]
Mutual = Annotated[bool, typer.Option("--mutual", help="Only those where each follows the other.")]
After = Annotated[str | None, typer.Option(help="Continue where a page ended.")]


def add_to(app: typer.Typer) -> None:
    app.command()(lock)
    app.add_typer(_followers, name="followers")
    app.command()(following)


def lock(ctx: typer.Context, undo: Undo = False, by: By = None) -> None:
    """Lock your account: who follows you from now on has to be accepted first. What you say stays public."""
    s = command_session.of(ctx)
    answer = s.call("lock", undo=undo or None, by=refs.acting(s, by))
    stay = f" {answer['accepted']:,} present followers stay." if answer["accepted"] else ""
    done = "Locked: `banyan followers requests` shows who asks." + stay
    s.out.done(answer, "Unlocked: whoever follows you does." if undo else done)


@_followers.command("ls")
def followers_ls(
    ctx: typer.Context,
    account: Annotated[
        str | None, typer.Argument(help="Whose; yours when left out.", autocompletion=completion.accounts)
    ] = None,
    mutual: Mutual = False,
    limit: Limit = 100,
    after: After = None,
    by: By = None,
) -> None:
    """Who follows an account; of a locked one, whom it accepted."""
    _list(ctx, "followers", account, limit, after, by, "No followers yet.", mutual or None)


def following(
    ctx: typer.Context,
    account: Annotated[
        str | None, typer.Argument(help="Who follows; you when left out.", autocompletion=completion.accounts)
    ] = None,
    mutual: Mutual = False,
    limit: Limit = 100,
    after: After = None,
    by: By = None,
) -> None:
    """Whom an account follows."""
    _list(ctx, "following", account, limit, after, by, "It follows nobody here.", mutual or None)


@_followers.command("requests")
def followers_requests(ctx: typer.Context, limit: Limit = 100, after: After = None, by: By = None) -> None:
    """Who asks to follow you and waits for an answer."""
    _list(ctx, "follow.requests", None, limit, after, by, "Nobody waits.")


@_followers.command("accept")
def followers_accept(ctx: typer.Context, account: Who, undo: Undo = False, by: By = None) -> None:
    """Let somebody follow you."""
    s = command_session.of(ctx)
    answer = s.call("follow.accept", account=refs.account(s, account), undo=undo or None, by=refs.acting(s, by))
    s.out.done(answer, "Taken back." if undo else "Accepted.")


@_followers.command("refuse")
def followers_refuse(ctx: typer.Context, account: Who, undo: Undo = False, by: By = None) -> None:
    """Take somebody who asks off the list. They are not told."""
    s = command_session.of(ctx)
    answer = s.call("follow.refuse", account=refs.account(s, account), undo=undo or None, by=refs.acting(s, by))
    s.out.done(answer, "Taken back." if undo else "Refused.")


def _list(
    ctx: typer.Context,
    method: str,
    account: str | None,
    limit: int,
    after: str | None,
    by: str | None,
    none: str,
    mutual: bool | None = None,
) -> None:
    s = command_session.of(ctx)
    whom = None if account is None else refs.account(s, account)
    page = s.call(method, account=whom, limit=limit, after=after, mutual=mutual, by=refs.acting(s, by))
    refs.remember(s.home, accounts=[(row["account"], row["name"]) for row in page["accounts"]])
    s.out.answers(page["accounts"], _show, none)
    if page["after"]:
        s.out.note(f"More: the same with --after {page['after']}")


def _show(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from banyan_cli.show.phrases import name_of
    from banyan_cli.show.text_tables import table

    made = table("name", "account")
    for row in rows:
        made.add_row(name_of(row["account"], row["name"]), Text(row["account"]))
    console.print(made)
