"""Which account a name stands for: what people type, paste and follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from banyan_crdt.ids import account_from_text
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities import accounts
from banyan_web.refusals import HttpRefusal

DID = "did:banyan:"


def as_did(text: str) -> str | None:
    """The DID that a text is, with or without `did:banyan:`."""
    whole = text if text.startswith(DID) else DID + text
    try:
        account_from_text(whole)
    except ValueError:
        return None
    return whole


async def account_named(web: DoorContext, name: str, reader: str | None) -> str | None:
    """The DID of `name`, `name@domain`, with or without an @ before it, or of a DID; None if nobody is called so
    here."""
    text = name.strip().removeprefix("acct:").removeprefix("@")
    user, at, domain = text.partition("@")
    here = not at or domain.lower() == web.server.domain.lower()
    if here and (did := as_did(user)) is not None:
        return did
    claimed = f"{user}@{domain or web.server.domain}".lower()
    try:
        rows = (await web.call("handle.find", handle=claimed, by=reader))["accounts"]
    except HttpRefusal:
        rows = []  # no handle is written so
    if (found := await _first(web, rows, text if not here else user)) is not None:
        return found
    if not here or not user:
        return None
    for spelling in dict.fromkeys((user, user.lower())):
        rows = (await web.call("find", text=spelling))["accounts"]
        if (found := await _first(web, rows, spelling)) is not None:
            return found
    return None


async def _first(web: DoorContext, rows: Iterable[dict[str, Any]], acct: str) -> str | None:
    """The first of them that is shown under this name."""
    found = await accounts.profiles(web, [row["account"] for row in rows])
    return next((did for did, row in found.items() if accounts.named(web, row)[1].lower() == acct.lower()), None)
