"""Apps register themselves, and see what is known of them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread

from banyan_web import door_apps
from banyan_web.door_apps import SHOWN, App
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.params import text, texts
from banyan_web.rate_limits import APPS_ADDRESS, APPS_S
from banyan_web.refusals import HttpRefusal
from banyan_web.scopes import scopes_in

ENDPOINTS = Endpoints()
MOST_REDIRECTS, LONGEST, LONGEST_NAME = 16, 2_000, 60
"""Redirect URIs of an app, characters of an address and of the app's name."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_NEVER = ("javascript", "data", "vbscript", "file", "blob", "about", "view-source", "urn")
"""Schemes that a browser would run or open here."""


@ENDPOINTS.post("/api/v1/apps")
async def create(web: DoorContext, ask: DoorRequest) -> Any:
    """Registers an app. Its secret is told this once."""
    name = " ".join(text(ask.params, "client_name").split())
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise _invalid(f"Client name has 1 to {LONGEST_NAME} characters")
    redirects = redirects_in(ask.params)
    scopes = scopes_in(text(ask.params, "scopes", "read")) or ("read",)
    website = text(ask.params, "website", "").strip() or None
    if website is not None and not _is_website(website):
        raise _invalid("Website must be an http or https URL")
    count = web.bounds.take("apps", ask.address, APPS_ADDRESS, APPS_S)
    if count.over:
        raise HttpRefusal(
            429, f"One address registers {APPS_ADDRESS} apps in {APPS_S // 60} minutes; try again later.", gate="tries"
        )
    app, secret = await anyio.to_thread.run_sync(door_apps.register, web.door, name, redirects, scopes, website)
    more = {"client_id": app.client, "client_secret": secret, "client_secret_expires_at": 0}
    return {**application(web, app), **more}


@ENDPOINTS.get("/api/v1/apps/verify_credentials")
async def verify(web: DoorContext, ask: DoorRequest) -> Any:
    """The app that a token is of. One that `banyan token add` made is of no app, and has its name alone."""
    if ask.token is None:
        raise HttpRefusal(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    app = None if ask.token.client is None else door_apps.app_of(web.door, ask.token.client)
    if app is None:
        app = App(0, "", ask.token.app, None, (SHOWN,), ask.token.scopes, ask.token.created)
    return application(web, app)


def application(web: DoorContext, app: App) -> dict[str, Any]:
    """The Application entity with what only the app is told."""
    return {
        "id": str(app.number),
        "name": app.name,
        "website": app.website,
        "scopes": list(app.scopes),
        "redirect_uri": "\n".join(app.redirects),
        "redirect_uris": list(app.redirects),
        "vapid_key": web.part(PushSubscribers).identity.server_key,
    }


def redirects_in(params: dict[str, Any]) -> list[str]:
    """Where an app wants people to be sent. Raises HttpRefusal."""
    said = texts(params, "redirect_uris") or texts(params, "redirect_uri")
    found = list(dict.fromkeys(part for one in said for part in one.split()))
    if not found:
        raise _invalid("Redirect URI can't be blank")
    if len(found) > MOST_REDIRECTS:
        raise _invalid(f"An app has at most {MOST_REDIRECTS} redirect URIs")
    for uri in found:
        if uri != SHOWN and not _is_redirect(uri):
            raise _invalid("Redirect URI must be an absolute URI")
    return found


def _is_redirect(uri: str) -> bool:
    """An absolute URI without a fragment (RFC 6749, 3.1.2), which no browser takes for a program."""
    if len(uri) > LONGEST or not _ADDRESS.fullmatch(uri) or "#" in uri or "\\" in uri:
        return False
    try:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https"):
            return bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 1) > 0
    except ValueError:
        return False
    return parts.scheme not in _NEVER


def _is_website(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and len(text) <= LONGEST and text.isprintable()


def _invalid(what: str) -> HttpRefusal:
    return HttpRefusal(422, f"Validation failed: {what}.")
