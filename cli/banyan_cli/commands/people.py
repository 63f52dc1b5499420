"""Whom an account follows, blocks and mutes; its followers, and whether they have to ask first."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from banyan_cli.declare import Fields, Read, root
from banyan_cli.parameters import ACCOUNT, By, Undo, Who, Whose, argument, some_account
from banyan_cli.show.tables import people

_followers = root.group("followers", "Who follows you, and who asks to.")
Mutual = Annotated[bool, typer.Option("--mutual", help="Only those where each follows the other.")]
_LISTED: dict[str, Any] = {"field": "accounts", "seen": "accounts", "page": 100}


@root.act("follow")
def follow(answer: Fields, account: Who, by: By = None) -> str:
    """Show an account's posts in your feed, and hold them here."""
    whom = answer["account"]
    asked = f"Asked to follow {whom}: it is locked, and has to accept that."
    gone = f" It was dropped here: `banyan store undrop {whom}` lets it in again." if answer.get("dropped") else ""
    return (asked if answer["waits"] else f"Following {whom}.") + gone


@root.act("unfollow", "No longer following {account}.")
def unfollow(account: Who, by: By = None) -> None:
    """Stop following."""


@root.act("block", "Blocking {account}.", undone="No longer blocking {account}.")
def block(account: Who, undo: Undo = False, by: By = None) -> None:
    """Block an account, and stop following it; everybody can see that you do."""


Hours = Annotated[
    float | None,
    typer.Option("--hours", min=0, max=876_000, help="For so long; for good when left out."),
    Read(lambda hours: int(time.time() * 1000 + hours * 3_600_000)),
]


@root.act("mute", "Muting {account}.", undone="No longer muting {account}.")
def mute(account: Who, undo: Undo = False, until: Hours = None, by: By = None) -> None:
    """Hide all that an account says from you. Only you can see that you do."""


@root.rows("mutes", people, "You mute nobody.", field="mutes")
def mutes(by: By = None) -> None:
    """The accounts that you mute. Only you can see that."""


@root.rows("blocks", people, "You block nobody.", field="blocks")
def blocks(by: By = None) -> None:
    """The accounts that you block. Everybody can see that."""


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
    account: Annotated[str | None, argument("Who follows; you when left out.", some_account), ACCOUNT] = None,
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
