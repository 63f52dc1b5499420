"""Followers, and whether they have to ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Who
from banyan_cli.declare import root

if TYPE_CHECKING:
    from rich.console import Console

_followers = root.group("followers", "Who follows you, and who asks to.")
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")]
Mutual = Annotated[bool, typer.Option("--mutual", help="Only those where each follows the other.")]
After = Annotated[str | None, typer.Option(help="Continue where a page ended.")]


@root.command()
def lock(s: Session, undo: Undo = False, by: By = None) -> None:
    """Lock your account: who follows you from now on has to be accepted first. What you say stays public."""
    answer = s.call("lock", undo=undo, by=by)
    stay = f" {answer['accepted']:,} present followers stay." if answer["accepted"] else ""
    done = "Locked: `banyan followers requests` shows who asks." + stay
    s.out.done(answer, "Unlocked: whoever follows you does." if undo else done)


@_followers.command("ls")
def followers_ls(
    s: Session,
    account: Annotated[
        str | None, typer.Argument(help="Whose; yours when left out.", autocompletion=completion.accounts)
    ] = None,
    mutual: Mutual = False,
    limit: Limit = 100,
    after: After = None,
    by: By = None,
) -> None:
    """Who follows an account; of a locked one, whom it accepted."""
    _list(s, "followers", account, limit, after, by, "No followers yet.", mutual or None)


@root.command()
def following(
    s: Session,
    account: Annotated[
        str | None, typer.Argument(help="Who follows; you when left out.", autocompletion=completion.accounts)
    ] = None,
    mutual: Mutual = False,
    limit: Limit = 100,
    after: After = None,
    by: By = None,
) -> None:
    """Whom an account follows."""
    _list(s, "following", account, limit, after, by, "It follows nobody here.", mutual or None)


@_followers.command("requests")
def followers_requests(s: Session, limit: Limit = 100, after: After = None, by: By = None) -> None:
    """Who asks to follow you and waits for an answer."""
    _list(s, "follow.requests", None, limit, after, by, "Nobody waits.")


@_followers.command("accept")
def followers_accept(s: Session, account: Who, undo: Undo = False, by: By = None) -> None:
    """Let somebody follow you."""
    answer = s.call("follow.accept", account=refs.account(s, account), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else "Accepted.")


@_followers.command("refuse")
def followers_refuse(s: Session, account: Who, undo: Undo = False, by: By = None) -> None:
    """Take somebody who asks off the list. They are not told."""
    answer = s.call("follow.refuse", account=refs.account(s, account), undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else "Refused.")


def _list(
    s: Session,
    method: str,
    account: str | None,
    limit: int,
    after: str | None,
    by: str | None,
    none: str,
    mutual: bool | None = None,
) -> None:
    whom = None if account is None else refs.account(s, account)
    page = s.call(method, account=whom, limit=limit, after=after, mutual=mutual, by=by)
    refs.note(s.home, accounts=page["accounts"])
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
