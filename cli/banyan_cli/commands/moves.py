"""Moves: an account goes on as another one. The new one says so first, then the old one."""

from __future__ import annotations

from banyan_cli import refs
from banyan_cli.command_session import Session
from banyan_cli.commands.posts import By, Undo, Who
from banyan_cli.declare import root

_move = root.group("move", "Go on as another account. The new one says `move from` first.")


@_move.command("from")
def move_from(s: Session, account: Who, undo: Undo = False, by: By = None) -> None:
    """At the new account: say that you also were ACCOUNT."""
    whom = refs.account(s, account)
    answer = s.call("move.from", account=whom, undo=undo, by=by)
    seen = "Others see the move." if answer["agreed"] else "Now say `banyan move to` as the old account."
    s.out.done(answer, "Taken back." if undo else f"You say that you were {answer['account']}. {seen}")


@_move.command("to")
def move_to(s: Session, account: Who, undo: Undo = False, by: By = None) -> None:
    """At the old account: say that you go on as ACCOUNT. Your followers are told."""
    whom = refs.account(s, account)
    answer = s.call("move.to", account=whom, undo=undo, by=by)
    s.out.done(answer, "Taken back." if undo else f"Moved to {answer['account']}: your followers are told.")
