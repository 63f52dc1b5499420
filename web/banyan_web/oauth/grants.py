"""A person allows an app to act for them, and the app gets its token (RFC 6749, 4.1.1; PKCE: RFC 7636, with S256
alone).

The order matters. The app and its redirect URI are checked first, and a mistake in them is shown on a page: nobody is
sent to an address that the app did not register. All other mistakes are told to the app, at that address.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from functools import partial
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote_plus, urlencode, urlsplit

import anyio.to_thread
from starlette.responses import Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.entities.accounts import account
from banyan_web.oauth import apps
from banyan_web.oauth.apps import GRANTED, SHOWN, App, AppGrant, app_of, covers, issue, scopes_in
from banyan_web.oauth.login import bullets, button, code, form, language, page, paragraph, scope_words
from banyan_web.oauth.sessions import greeted, see, sent, visit
from banyan_web.page.translations import LOGIN
from banyan_web.params import TRUE
from banyan_web.refusals import HttpRefusal

ENDPOINTS = Endpoints()
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_PKCE = ("code_challenge", "code_challenge_method")
_KEPT = ("response_type", "client_id", "redirect_uri", "scope", "state", *_PKCE, "lang")


class AuthorizationRequest(NamedTuple):
    """What an app asks. scopes: of those that it registered. state: given back as it is."""

    app: App
    redirect: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str | None


class TellApp(Exception):
    """A mistake that the app is told. code: a word of RFC 6749, 4.1.2.1."""

    def __init__(self, redirect: str, state: str | None, code: str, description: str) -> None:
        super().__init__(description)
        self.redirect, self.state, self.code, self.description = redirect, state, code, description


@ENDPOINTS.get("/oauth/authorize")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    """Asks the person, once logged in."""
    lang = language(ask.request, ask.params)
    try:
        asked = _asked(web, ask.params)
    except HttpRefusal as why:
        return _broken(web, ask, lang, why)
    except TellApp as why:
        return _told(lang, why)
    at = visit(web, ask)
    force = ask.params.get("force_login")
    if at.person is None or (isinstance(force, str) and force in TRUE):
        return see("/login?" + urlencode({"next": _again(ask.params), "lang": lang}))
    words, host = LOGIN[lang], urlsplit(asked.redirect).netloc or asked.redirect.partition(":")[0]
    hidden = {name: ask.params[name] for name in _KEPT if isinstance(ask.params.get(name), str)}
    parts = [
        paragraph(words["allow_text"].format(app=asked.app.name, name=at.person.name)),
        bullets(scope_words(lang, scope) for scope in asked.scopes),
        *([] if asked.redirect == SHOWN else [paragraph(words["sent_to"].format(host=host))]),
        form(
            "/oauth/authorize",
            {**hidden, "csrf": at.csrf},
            button(words["allow"], "answer", "allow"),
            button(words["refuse"], "answer", "refuse"),
        ),
        form("/logout", {"csrf": at.csrf, "next": _again(ask.params)}, button(words["other"])),
    ]
    sent_to = None if asked.redirect == SHOWN else asked.redirect
    return greeted(web, at, page(words["allow_title"].format(app=asked.app.name), parts, lang, sent_to=sent_to))


@ENDPOINTS.post("/oauth/authorize")
async def decide(web: DoorContext, ask: DoorRequest) -> Any:
    """What the person answered."""
    lang = language(ask.request, ask.params)
    try:
        at = sent(web, ask)
        asked = _asked(web, ask.params)
    except HttpRefusal as why:
        return _broken(web, ask, lang, why)
    except TellApp as why:
        return _told(lang, why)
    if at.person is None:
        return see("/login?" + urlencode({"next": _again(ask.params), "lang": lang}))
    words = LOGIN[lang]
    if ask.params.get("answer") != "allow":
        if asked.redirect == SHOWN:
            return page(words["code_title"], [paragraph(words["refused"])], lang)
        return _told(lang, TellApp(asked.redirect, asked.state, "access_denied", "The person refused."))
    grant = AppGrant(asked.app.client, at.person.account, asked.redirect, asked.scopes, asked.challenge)
    raw = await anyio.to_thread.run_sync(issue, web.door, grant)
    if asked.redirect == SHOWN:
        return page(words["code_title"], [paragraph(words["code_text"]), code(raw)], lang)
    return see(sent_back(asked.redirect, {"code": raw}, asked.state))


def _asked(web: DoorContext, params: dict[str, Any]) -> AuthorizationRequest:
    """Raises HttpRefusal, which is shown, or TellApp."""
    client, redirect = params.get("client_id"), params.get("redirect_uri")
    app = app_of(web.door, client) if isinstance(client, str) else None
    if app is None:
        raise HttpRefusal(400, "No app has this client_id; the app must register again.")
    if redirect is None and len(app.redirects) == 1:
        redirect = app.redirects[0]
    if not isinstance(redirect, str) or redirect not in app.redirects:
        raise HttpRefusal(400, "This redirect_uri is none that the app registered.")
    state = params.get("state")
    state = state if isinstance(state, str) else None

    def wrong(code: str, description: str) -> TellApp:
        return TellApp(redirect, state, code, description)

    if params.get("response_type") != "code":
        raise wrong("unsupported_response_type", "Only response_type=code is answered.")
    try:
        said = params.get("scope")
        scopes = scopes_in(said) if isinstance(said, str) and said.strip() else ("read",)
    except HttpRefusal as why:
        raise wrong("invalid_scope", why.message) from None
    if not covers(app.scopes, scopes):
        raise wrong("invalid_scope", "The app did not register all of these scopes.")
    challenge, method = params.get("code_challenge"), params.get("code_challenge_method")
    if challenge is None and method is None:
        return AuthorizationRequest(app, redirect, scopes, state, None)
    if method != "S256" or not isinstance(challenge, str) or not _CHALLENGE.fullmatch(challenge):
        raise wrong("invalid_request", "PKCE is taken with code_challenge_method=S256 and a challenge of 43 letters.")
    return AuthorizationRequest(app, redirect, scopes, state, challenge)


def _again(params: dict[str, Any]) -> str:
    """The address of this page without `force_login`."""
    return "/oauth/authorize?" + urlencode([(k, params[k]) for k in _KEPT if isinstance(params.get(k), str)])


def _broken(web: DoorContext, ask: DoorRequest, lang: str, why: HttpRefusal) -> Response:
    web.bounds.refused(why, ask.request)
    return page(LOGIN[lang]["broken"], [paragraph(why.message, "wrong")], lang, why.status)


def _told(lang: str, why: TellApp) -> Response:
    if why.redirect == SHOWN:
        return page(LOGIN[lang]["broken"], [paragraph(f"{why.code}: {why.description}", "wrong")], lang, 400)
    return see(sent_back(why.redirect, {"error": why.code, "error_description": why.description}, why.state))


def sent_back(redirect: str, more: dict[str, str], state: str | None) -> str:
    """The address of an app, with what it is told."""
    given = more if state is None else {**more, "state": state}
    return f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(given)}"


# Tokens for apps: for the code that a person gave, or for the app itself; their end; and who a token is of.

_BAD_GRANT = (
    "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "
    "authorization request, or was issued to another client."
)
_BAD_CLIENT = (
    "Client authentication failed due to unknown client, no client authentication included, or unsupported "
    "authentication method."
)


@ENDPOINTS.post("/oauth/token")
async def token(web: DoorContext, ask: DoorRequest) -> Any:
    """A token. Passwords are not taken here: only the login page sees them."""
    kind = _text(ask, "grant_type")
    app = _app(web, ask)
    if kind == "authorization_code":
        given = _text(ask, "code"), _text(ask, "redirect_uri", SHOWN), ask.params.get("code_verifier")
        code, redirect, verifier = given
        if verifier is not None and not isinstance(verifier, str):
            _wrong("invalid_request", "code_verifier is a text.")
        found = await anyio.to_thread.run_sync(apps.redeem, web.door, app, code, redirect, verifier)
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
async def revoke(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends a token of the app. One that there is not is no mistake (RFC 7009, 2.2)."""
    app, raw = _app(web, ask, 403), _text(ask, "token")
    if not apps.owns(web.door, app, raw):
        _wrong("unauthorized_client", "You are not authorized to revoke this token", 403)
    await anyio.to_thread.run_sync(web.door.revoke, raw)
    return {}


@ENDPOINTS.get("/oauth/userinfo", "profile|read:accounts")
@ENDPOINTS.post("/oauth/userinfo", "profile|read:accounts")
async def userinfo(web: DoorContext, ask: DoorRequest) -> Any:
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
async def metadata(web: DoorContext, ask: DoorRequest) -> Any:
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


def _app(web: DoorContext, ask: DoorRequest, status: int = 401) -> App:
    """The app that asks, by its secret in the body or in Authorization (RFC 6749, 2.3.1)."""
    said = _basic(ask.request.headers.get("authorization", ""))
    client, secret = said or (ask.params.get("client_id"), ask.params.get("client_secret"))
    app = None
    if isinstance(client, str) and isinstance(secret, str):
        app = apps.app_with(web.door, client, secret)
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


def _scopes(ask: DoorRequest) -> tuple[str, ...]:
    try:
        return scopes_in(_text(ask, "scope", "read")) or ("read",)
    except HttpRefusal as why:
        _wrong("invalid_scope", why.message)


def _text(ask: DoorRequest, name: str, default: str | None = None) -> str:
    value = ask.params.get(name, default)
    if not isinstance(value, str) or "\0" in value:
        _wrong("invalid_request", f"{name} is missing, or no text.")
    return value


def _wrong(code: str, description: str, status: int = 400) -> NoReturn:
    headers = {"www-authenticate": "Basic"} if status == 401 else None
    raise HttpRefusal(status, code, headers, error_description=description)
