"""Followers, and whether they have to ask first."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from banyan_cli import completion
from banyan_cli.declare import Fields, root
from banyan_cli.parameters import ACCOUNT, By, Undo, Who, Whose
from banyan_cli.show.tables import people

_followers = root.group("followers", "Who follows you, and who asks to.")
Mutual = Annotated[bool, typer.Option("--mutual", help="Only those where each follows the other.")]
_LISTED: dict[str, Any] = {"field": "accounts", "seen": "accounts", "page": 100}


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
    account: Annotated[
        str | None, typer.Argument(help="Who follows; you when left out.", autocompletion=completion.accounts), ACCOUNT
    ] = None,
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
