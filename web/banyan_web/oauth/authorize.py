"""Where a person allows an app to act for them (RFC 6749, 4.1.1; PKCE: RFC 7636, with S256 alone).

The order matters. The app and its redirect URI are checked first, and a mistake in them is shown on a page: nobody is
sent to an address that the app did not register. All other mistakes are told to the app, at that address.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import anyio.to_thread
from starlette.responses import Response

from banyan_web.door_apps import App, Grant, app_of, issue
from banyan_web.endpoint import Ask, DoorContext, Endpoints
from banyan_web.oauth.forms import bullets, button, code, form, page, paragraph
from banyan_web.oauth.words import WORDS, language, scope_words
from banyan_web.params import TRUE
from banyan_web.refusals import Refused
from banyan_web.scopes import covers, scopes_in
from banyan_web.sessions import greeted, see, sent, visit

ENDPOINTS = Endpoints()
SHOWN = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI of an app that cannot be reached: the person copies the code."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_KEPT = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "lang",
)


class Asked(NamedTuple):
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
async def show(web: DoorContext, ask: Ask) -> Any:
    """Asks the person, once logged in."""
    lang = language(ask.request, ask.params)
    try:
        asked = _asked(web, ask.params)
    except Refused as why:
        return _broken(lang, why)
    except TellApp as why:
        return _told(lang, why)
    at = visit(web, ask)
    force = ask.params.get("force_login")
    if at.person is None or (isinstance(force, str) and force in TRUE):
        return see("/login?" + urlencode({"next": _again(ask.params), "lang": lang}))
    words, host = WORDS[lang], urlsplit(asked.redirect).netloc or asked.redirect.partition(":")[0]
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
async def decide(web: DoorContext, ask: Ask) -> Any:
    """What the person answered."""
    lang = language(ask.request, ask.params)
    try:
        at = sent(web, ask)
        asked = _asked(web, ask.params)
    except Refused as why:
        return _broken(lang, why)
    except TellApp as why:
        return _told(lang, why)
    if at.person is None:
        return see("/login?" + urlencode({"next": _again(ask.params), "lang": lang}))
    words = WORDS[lang]
    if ask.params.get("answer") != "allow":
        if asked.redirect == SHOWN:
            return page(words["code_title"], [paragraph(words["refused"])], lang)
        return _told(lang, TellApp(asked.redirect, asked.state, "access_denied", "The person refused."))
    grant = Grant(asked.app.client, at.person.account, asked.redirect, asked.scopes, asked.challenge)
    raw = await anyio.to_thread.run_sync(issue, web.door, grant)
    if asked.redirect == SHOWN:
        return page(words["code_title"], [paragraph(words["code_text"]), code(raw)], lang)
    return see(sent_back(asked.redirect, {"code": raw}, asked.state))


def _asked(web: DoorContext, params: dict[str, Any]) -> Asked:
    """Raises Refused, which is shown, or TellApp."""
    client, redirect = params.get("client_id"), params.get("redirect_uri")
    app = app_of(web.door, client) if isinstance(client, str) else None
    if app is None:
        raise Refused(400, "No app has this client_id; the app must register again.")
    if redirect is None and len(app.redirects) == 1:
        redirect = app.redirects[0]
    if not isinstance(redirect, str) or redirect not in app.redirects:
        raise Refused(400, "This redirect_uri is none that the app registered.")
    state = params.get("state")
    state = state if isinstance(state, str) else None

    def wrong(code: str, description: str) -> TellApp:
        return TellApp(redirect, state, code, description)

    if params.get("response_type") != "code":
        raise wrong("unsupported_response_type", "Only response_type=code is answered.")
    try:
        said = params.get("scope")
        scopes = scopes_in(said) if isinstance(said, str) and said.strip() else ("read",)
    except Refused as why:
        raise wrong("invalid_scope", why.message) from None
    if not covers(app.scopes, scopes):
        raise wrong("invalid_scope", "The app did not register all of these scopes.")
    challenge, method = params.get("code_challenge"), params.get("code_challenge_method")
    if challenge is None and method is None:
        return Asked(app, redirect, scopes, state, None)
    if method != "S256" or not isinstance(challenge, str) or not _CHALLENGE.fullmatch(challenge):
        raise wrong("invalid_request", "PKCE is taken with code_challenge_method=S256 and a challenge of 43 letters.")
    return Asked(app, redirect, scopes, state, challenge)


def _again(params: dict[str, Any]) -> str:
    """The address of this page without `force_login`."""
    return "/oauth/authorize?" + urlencode([(k, params[k]) for k in _KEPT if isinstance(params.get(k), str)])


def _broken(lang: str, why: Refused) -> Response:
    return page(WORDS[lang]["broken"], [paragraph(why.message, "wrong")], lang, why.status)


def _told(lang: str, why: TellApp) -> Response:
    if why.redirect == SHOWN:
        return page(WORDS[lang]["broken"], [paragraph(f"{why.code}: {why.description}", "wrong")], lang, 400)
    return see(sent_back(why.redirect, {"error": why.code, "error_description": why.description}, why.state))


def sent_back(redirect: str, more: dict[str, str], state: str | None) -> str:
    """The address of an app, with what it is told."""
    given = more if state is None else {**more, "state": state}
    return f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(given)}"
