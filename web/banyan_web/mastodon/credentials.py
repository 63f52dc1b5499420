"""The account that a token acts for, with what only its owner is told."""

from __future__ import annotations

from typing import Any

from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.mastodon.entities.accounts import account
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
REQUESTS_COUNTED = 1_000
"""Wishes to follow that are counted; more are not told apart."""


@ENDPOINTS.get("/api/v1/accounts/verify_credentials")
async def verify(web: Web, ask: Ask) -> Any:
    """Who is logged in. `profile` is enough of a scope, as with Mastodon."""
    if ask.token is None:
        raise Refused(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    if not ask.token.allows("read:accounts") and not ask.token.allows("profile"):
        raise Refused(403, "This action is outside the authorized scopes")
    return await credential_account(web, ask.account)


async def credential_account(web: Web, did: str) -> dict[str, Any]:
    """The CredentialAccount entity: the account, with its texts as they were written. Raises Refused."""
    shown = await account(web, did)
    said = (await web.call("profile.get", account=did))["fields"]
    waiting: list[Any] = []
    if shown["locked"]:
        waiting = (await web.call("follow.requests", by=did, limit=REQUESTS_COUNTED))["accounts"]
    source = {
        "privacy": "public",
        "sensitive": False,
        "language": said.get("language", ""),
        "note": said.get("bio", ""),
        "fields": [{**field, "value": said.get(field["name"], "")} for field in shown["fields"]],
        "follow_requests_count": len(waiting),
        "discoverable": shown["discoverable"],
        "indexable": shown["indexable"],
        "hide_collections": False,
        "attribution_domains": [],
    }
    role = {"id": "-99", "name": "", "permissions": "0", "color": "", "highlighted": False}
    return {**shown, "source": source, "role": role}
