"""What one does with a post or an account by one click: each form takes back what it did if it says `undo`."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.statuses import FAVOURITE
from banyan_web.page.forms import back, form, undone
from banyan_web.params import text, texts
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import Visitor

ENDPOINTS = Endpoints()
HEARTS = (FAVOURITE, f"{FAVOURITE}\ufe0f")
"""As apps and as keyboards write it."""


async def _do(web: DoorContext, method: str, undo: bool, **params: Any) -> None:
    """What is not there need not be taken back."""
    try:
        await web.call(method, undo=undo, **params)
    except HttpRefusal as why:
        if not (undo and why.status == 404):
            raise


@form(ENDPOINTS, "/favourite")
async def favourite(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Reacts with a heart."""
    uri, undo = text(ask.params, "uri"), undone(ask)
    for emoji in HEARTS if undo else HEARTS[:1]:
        await _do(web, "react", undo, uri=uri, emoji=emoji, by=me.did)


@form(ENDPOINTS, "/boost")
async def boost(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Shares a post."""
    await _do(web, "repost", undone(ask), uri=text(ask.params, "uri"), by=me.did)


@form(ENDPOINTS, "/bookmark")
async def bookmark(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Keeps a post to find it again; nobody else sees that."""
    await _do(web, "bookmark", undone(ask), uri=text(ask.params, "uri"), by=me.did)


@form(ENDPOINTS, "/pin")
async def pin(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Pins a post of one's own to the profile."""
    await _do(web, "pin", undone(ask), uri=text(ask.params, "uri"), by=me.did)


@form(ENDPOINTS, "/hide")
async def hide(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Hides an answer to somebody, or a quote of them, for everybody."""
    await _do(web, "thread.hide", undone(ask), uri=text(ask.params, "uri"), by=me.did)


@form(ENDPOINTS, "/vote")
async def vote(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Votes in a poll."""
    chosen = [int(one) for one in texts(ask.params, "options") if one.isascii() and one.isdigit() and len(one) < 4]
    await web.call("vote", uri=text(ask.params, "uri"), options=chosen, by=me.did)


@form(ENDPOINTS, "/follow")
async def follow(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Follows an account, or asks to."""
    await web.call("follow", account=text(ask.params, "account"), by=me.did)


@form(ENDPOINTS, "/unfollow")
async def unfollow(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Follows it no more."""
    await web.call("unfollow", account=text(ask.params, "account"), by=me.did)


@form(ENDPOINTS, "/mute")
async def mute(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Nothing of the account is shown; only the one who mutes knows."""
    await _do(web, "mute", undone(ask), account=text(ask.params, "account"), by=me.did)
    return back(ask) if undone(ask) else back(ask, "muted")


@form(ENDPOINTS, "/block")
async def block(web: DoorContext, ask: DoorRequest, me: Visitor) -> str | None:
    """Blocks the account, which everybody can see."""
    await _do(web, "block", undone(ask), account=text(ask.params, "account"), by=me.did)
    return back(ask) if undone(ask) else back(ask, "blocked")


@form(ENDPOINTS, "/requests")
async def answer(web: DoorContext, ask: DoorRequest, me: Visitor) -> None:
    """Accepts who asks to follow a locked account, or takes the wish off the list."""
    method = "follow.accept" if ask.params.get("do") == "accept" else "follow.refuse"
    await web.call(method, account=text(ask.params, "account"), by=me.did)
