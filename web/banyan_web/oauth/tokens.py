"""Tokens for apps: for the code that a person gave, or for the app itself; their end; and who a token is of."""

from __future__ import annotations

import binascii
from base64 import b64decode
from functools import partial
from typing import Any, NoReturn
from urllib.parse import unquote_plus

import anyio.to_thread

from banyan_web import door_apps
from banyan_web.door_apps import App
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.mastodon.entities.accounts import account
from banyan_web.oauth.authorize import SHOWN
from banyan_web.refusals import Refused
from banyan_web.scopes import GRANTED, covers, scopes_in

ENDPOINTS = Endpoints()
_BAD_GRANT = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
    "authorization request, or was issued to another client."
)
_BAD_CLIENT = (
    "Client authentication failed due to unknown client, no client authentication included, or unsupported "
    "authentication method."
)


@ENDPOINTS.post("/oauth/token")
async def token(web: DoorContext, ask: Ask) -> Any:
    """A token. Passwords are not taken here: only the login page sees them."""
    kind = _text(ask, "grant_type")
    app = _app(web, ask)
    if kind == "authorization_code":
        given = _text(ask, "code"), _text(ask, "redirect_uri", SHOWN), ask.params.get("code_verifier")
        code, redirect, verifier = given
        if verifier is not None and not isinstance(verifier, str):
            _wrong("invalid_request", "code_verifier is a text.")
        found = await anyio.to_thread.run_sync(door_apps.redeem, web.door, app, code, redirect, verifier)
        if found is None:
            _wrong("invalid_grant", _BAD_GRANT)
        raw, grant = found
        return _answer(web, raw, grant.scopes)
    if kind == "client_credentials":
        scopes = _scopes(ask)
        if not covers(app.scopes, scopes):
            _wrong("invalid_scope", "The app did not register all of these scopes.")
        made = await anyio.to_thread.run_sync(partial(web.door.mint, None, app.name, scopes, None, app.client))
        return _answer(web, made, scopes)
    return _wrong("unsupported_grant_type", "Use authorization_code or client_credentials.")


@ENDPOINTS.post("/oauth/revoke")
async def revoke(web: DoorContext, ask: Ask) -> Any:
    """Ends a token of the app. One that there is not is no mistake (RFC 7009, 2.2)."""
    app, raw = _app(web, ask, 403), _text(ask, "token")
    if not door_apps.owns(web.door, app, raw):
        _wrong("unauthorized_client", "You are not authorized to revoke this token", 403)
    await anyio.to_thread.run_sync(web.door.revoke, raw)
    return {}


@ENDPOINTS.get("/oauth/userinfo", "profile|read:accounts")
@ENDPOINTS.post("/oauth/userinfo", "profile|read:accounts")
async def userinfo(web: DoorContext, ask: Ask) -> Any:
    """Who the person is (OpenID Connect, 5.3)."""
    found = await account(web, ask.account)
    return {
        "iss": web.url + "/",
        "sub": found["uri"],
        "name": found["display_name"],
        "preferred_username": found["username"],
        "profile": found["url"],
        "picture": found["avatar"],
    }


@ENDPOINTS.get("/.well-known/oauth-authorization-server")
async def metadata(web: DoorContext, ask: Ask) -> Any:
    """What this server offers (RFC 8414)."""
    return {
        "issuer": web.url + "/",
        "authorization_endpoint": f"{web.url}/oauth/authorize",
        "token_endpoint": f"{web.url}/oauth/token",
        "revocation_endpoint": f"{web.url}/oauth/revoke",
        "userinfo_endpoint": f"{web.url}/oauth/userinfo",
        "app_registration_endpoint": f"{web.url}/api/v1/apps",
        "scopes_supported": list(GRANTED),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    }


def _answer(web: DoorContext, raw: str, scopes: tuple[str, ...]) -> dict[str, Any]:
    made = web.door.token(raw)
    created = 0 if made is None else made.created
    return {"access_token": raw, "token_type": "Bearer", "scope": " ".join(scopes), "created_at": created}


def _app(web: DoorContext, ask: Ask, status: int = 401) -> App:
    """The app that asks, by its secret in the body or in Authorization (RFC 6749, 2.3.1)."""
    said = _basic(ask.request.headers.get("authorization", ""))
    client, secret = said or (ask.params.get("client_id"), ask.params.get("client_secret"))
    app = None
    if isinstance(client, str) and isinstance(secret, str):
        app = door_apps.app_with(web.door, client, secret)
    if app is None:
        _wrong("invalid_client" if status == 401 else "unauthorized_client", _BAD_CLIENT, status)
    return app


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, rest = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client, _, secret = b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return unquote_plus(client), unquote_plus(secret)


def _scopes(ask: Ask) -> tuple[str, ...]:
    try:
        return scopes_in(_text(ask, "scope", "read")) or ("read",)
    except Refused as why:
        _wrong("invalid_scope", why.message)


def _text(ask: Ask, name: str, default: str | None = None) -> str:
    value = ask.params.get(name, default)
    if not isinstance(value, str) or "\0" in value:
        _wrong("invalid_request", f"{name} is missing, or no text.")
    return value


def _wrong(code: str, description: str, status: int = 400) -> NoReturn:
    headers = {"www-authenticate": "Basic"} if status == 401 else None
    raise Refused(status, code, headers, error_description=description)
