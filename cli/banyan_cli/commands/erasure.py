"""Erasing a hosted account from this node's files, and how far that is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from banyan_cli import completion, refs
from banyan_cli.command_session import Session
from banyan_cli.commands.accounts import Sure, account_commands
from banyan_cli.commands.logins import log_out
from banyan_cli.commands.stores import store_commands
from banyan_cli.errors import BadInput
from banyan_schema import dates

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="An account hosted here: name or id.", autocompletion=completion.accounts)
]


@account_commands.command()
def erase(
    s: Session,
    name: Name,
    reason: Annotated[str, typer.Option(help="Why, such as the request of its owner.")],
    days: Annotated[int, typer.Option(min=0, max=90, help="Within how many days all is gone; 0: at once.")] = 0,
    confirm: Annotated[str | None, typer.Option(help="The name typed again; else it is asked for.")] = None,
    yes: Sure = False,
) -> None:
    """Close a hosted account and erase all that this node holds of it, from every file; its control log stays."""
    s.sure = yes
    account = refs.account(s, name)
    if confirm is None:
        if s.out.json or not sys.stdin.isatty():
            raise BadInput("Type the name of the account again with --confirm NAME.")
        confirm = typer.prompt(f"All of {name} goes from this node's files. Type its name again", err=True)
    answer = s.call("account.erase", account=account, confirm=confirm, reason=reason, days=days)
    log_out(s, answer["account"])
    s.out.done(answer, f"The account is closed. {_said(s, answer)}")
    s.out.note(
        f"`banyan account erasure {answer['account']}` says how far that is, here and at peers. "
        "Backups and archives keep what they have."
    )


@account_commands.command()
def erasure(
    s: Session,
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Take it back, here and at peers, if it has not begun.")] = False,
) -> None:
    """How far the erasing of an account is, here and at peers."""
    answer = s.call("account.unerase" if undo else "account.erasure", account=refs.account(s, name))
    s.out.done(answer, "It is not to be erased any more; it stays closed." if undo else _said(s, answer))
    for peer in () if undo else answer["peers"]:
        s.out.note(f"{peer['peer']}: {_PEERS[peer['state']]}{until(peer['until_ms'])}, on {day(peer['at_ms'])}")


_PEERS = {
    "erased": "says that it is erased",
    "waits": "erases it when its 30 days are over",
    "shown": "shows it to its operator",
    "unknown": "says nothing of it",
}


def _said(s: Session, answer: dict[str, Any]) -> str:
    if answer["erased_ms"] is not None:
        return f"It is gone from every file of this node since {day(answer['erased_ms'])}."
    if answer["state"] == "shown":
        return f"It asks to be erased: `banyan store erase {answer['account']}` obeys{until(answer['until_ms'])}."
    if answer["until_ms"] > time.time() * 1000:
        return f"It is still here; a running node erases it by {day(answer['until_ms'])}."
    due, doubted = f"It is still here, and due since {day(answer['until_ms'])}", s.call("status")["clock"]["doubted"]
    if doubted is None:
        return f"{due}: a running node erases it now."
    return (
        f"{due}: it waits because {doubted}. If the clock is right, `banyan store trust-clock` lets it go on at once."
    )


def until(at_ms: int | None) -> str:
    return "" if at_ms is None else f", from {day(at_ms)} on"


def day(at_ms: int) -> str:
    return f"{dates.moment(at_ms, None):%Y-%m-%d}"


@store_commands.command("erase")
def obey(
    s: Session,
    account: Annotated[str, typer.Argument(help="An account that asks to be erased: its id or the beginning of it.")],
) -> None:
    """Obey an account that asks to be erased: it goes from this node's files when its 30 days are over."""
    answer = s.call("store.erase", account=refs.account(s, account))
    s.out.done(answer, _said(s, answer))


@store_commands.command()
def erasures(s: Session) -> None:
    """The accounts that ask to be erased, and what this node does about each."""
    rows = s.call("store.erasures")["erasures"]

    def show(console: Console, shown: list[dict[str, Any]]) -> None:
        for row in shown:
            console.print(f"{row['account']}  {_said(s, row)}", soft_wrap=True)

    s.out.answers(rows, show, "No account asks to be erased.")
