"""Accounts as apps see them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Any

from banyan_web.endpoint import Web
from banyan_web.mastodon.ids import account_id
from banyan_web.refusals import Refused


def iso(ms: int) -> str:
    """A time as Mastodon writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def media_url(web: Web, blob: str) -> str:
    return f"{web.url}/media/{blob}"


def username(did: str, handle: str | None) -> str:
    """The name before the @: that of a confirmed handle, else the end of the DID, by which it is found too."""
    return handle.partition(".")[0] if handle else did.removeprefix("did:banyan:")


async def account(web: Web, did: str) -> dict[str, Any]:
    """The Account entity. An account that is not held here has no name. Raises Refused."""
    found = await web.call("profile.get", account=did)
    fields, pictures = dict(found["fields"]), found["pictures"]
    handle = found["handle"]
    confirmed = handle["handle"] if handle and handle["platforms"] else None
    name, bio = fields.pop("name", ""), fields.pop("bio", "")
    user = username(did, confirmed)
    domain = confirmed.partition(".")[2] if confirmed else web.domain
    acct = user if domain == web.domain else f"{user}@{domain}"
    avatar, banner = (
        media_url(web, pictures[part]["blob"]) if part in pictures else f"{web.url}/static/{part}.png"
        for part in ("avatar", "banner")
    )
    url = f"{web.url}/@{acct}"
    return {
        "id": account_id(did),
        "username": user,
        "acct": acct,
        "url": url,
        "uri": did,
        "display_name": name,
        "note": "".join(f"<p>{escape(part)}</p>" for part in bio.split("\n\n") if part).replace("\n", "<br />"),
        "avatar": avatar,
        "avatar_static": avatar,
        "header": banner,
        "header_static": banner,
        "locked": found.get("locked", False),
        "fields": [
            {"name": key, "value": escape(value), "verified_at": None}
            for key, value in fields.items()
            if key not in ("language", "domain", "handle")
        ],
        "emojis": [],
        "bot": False,
        "group": False,
        "discoverable": True,
        "indexable": True,
        "created_at": iso(0),
        "last_status_at": None,
        "statuses_count": found["posts"],
        "followers_count": found["followers"],
        "following_count": found["follows"],
        "moved": None,
    }


async def accounts(web: Web, dids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Account entities by DID, each made once; those that cannot be shown are left out."""
    found: dict[str, dict[str, Any]] = {}
    for did in dict.fromkeys(dids):
        try:
            found[did] = await account(web, did)
        except Refused:
            continue
    return found
