"""Erasing a hosted account from this node's files, and how far that is."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from banyan_cli import completing, refs, session
from banyan_cli.commands.accounts import account_commands
from banyan_cli.commands.logins import door_of
from banyan_cli.errors import BadInput

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="An account hosted here: name or id.", autocompletion=completing.accounts)
]


def add_to(app: typer.Typer) -> None:
    commands = account_commands()
    commands.command("erase")(erase)
    commands.command("erasure")(erasure)


def erase(
    ctx: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, such as the request of its owner.")],
    days: Annotated[int, typer.Option(min=0, max=90, help="Within how many days all is gone; 0: at once.")] = 0,
    confirm: Annotated[str | None, typer.Option(help="The name typed again; else it is asked for.")] = None,
) -> None:
    """Close a hosted account and erase all that this node holds of it, from every file; its control log stays."""
    s = session.of(ctx)
    account = refs.account(s, name)
    if confirm is None:
        if s.out.json or not sys.stdin.isatty():
            raise BadInput("Type the name of the account again with --confirm NAME.")
        confirm = typer.prompt(f"All of {name} goes from this node's files. Type its name again", err=True)
    answer = s.call("account.erase", account=account, confirm=confirm, reason=reason, days=days)
    from banyan_web.door_logins import forget

    with door_of(s) as door:
        forget(door, answer["account"])
    by = time.strftime("%Y-%m-%d", time.localtime(answer["until_ms"] / 1000))
    s.out.done(answer, f"The account is closed; a running node erases it by {by}.")
    s.out.note(
        f"`banyan account erasure {answer['account']}` says how far that is. Backups and archives keep what they have."
    )


def erasure(ctx: typer.Context, name: Name) -> None:
    """How far the erasing of an account is."""
    s = session.of(ctx)
    answer = s.call("account.erasure", account=refs.account(s, name))
    if answer["erased_ms"] is None:
        by = time.strftime("%Y-%m-%d", time.localtime(answer["until_ms"] / 1000))
        says = f"It is still here; a running node erases it by {by}."
    else:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer["erased_ms"] / 1000))
        says = f"It is gone from every file of this node since {at}."
    s.out.done(answer, says)
