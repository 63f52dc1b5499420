"""Moves: an account goes on as another one. The new one says so first, then the old one."""

from __future__ import annotations

import typer

from banyan_cli import command_session, refs
from banyan_cli.commands.posts import By, Undo, Who

_move = typer.Typer(help="Go on as another account. The new one says `move from` first.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_move, name="move")


@_move.command("from")
def move_from(ctx: typer.Context, account: Who, undo: Undo = False, by: By = None) -> None:
    """At the new account: say that you also were ACCOUNT."""
    s = command_session.of(ctx)
    whom = refs.account(s, account)
    answer = s.call("move.from", account=whom, undo=undo or None, by=refs.acting(s, by))
    seen = "Others see the move." if answer["agreed"] else "Now say `banyan move to` as the old account."
    s.out.done(answer, "Taken back." if undo else f"You say that you were {answer['account']}. {seen}")


@_move.command("to")
def move_to(ctx: typer.Context, account: Who, undo: Undo = False, by: By = None) -> None:
    """At the old account: say that you go on as ACCOUNT. Your followers are told."""
    s = command_session.of(ctx)
    whom = refs.account(s, account)
    answer = s.call("move.to", account=whom, undo=undo or None, by=refs.acting(s, by))
    s.out.done(answer, "Taken back." if undo else f"Moved to {answer['account']}: your followers are told.")
