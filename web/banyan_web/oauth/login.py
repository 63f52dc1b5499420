"""The login page. It knows nothing of apps: it logs a browser in and leads on to a path of this server.

Attempts are counted before the password is looked at, by name, by address and by both (rate_limits.py).
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from html import escape
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from banyan_schema import dates
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth import logins
from banyan_web.oauth.logins import Person
from banyan_web.oauth.sessions import Visit, drop_cookie, give_cookie, greeted, own_path, see, sent, visit
from banyan_web.page.translations import LANGUAGES, LOGIN, language_of
from banyan_web.rate_limits import ATTEMPT_S, ATTEMPTS_ADDRESS, ATTEMPTS_HERE, ATTEMPTS_NAME, HASHES_WAITING
from banyan_web.refusals import HttpRefusal

# The few pages of the door that need nothing but HTML, with their texts: for logging in and for what an app is allowed.
#
# Every text is escaped where it is put in. There is no script, and the style is named by its hash, so the Content
# Security Policy allows nothing else.

_STYLE = (
    ":root{color-scheme:light dark;--ink:light-dark(#17201b,#e6ebe8);--page:light-dark(#f4f6f2,#0f1412);"
    "--card:light-dark(#fff,#171d1a);--line:light-dark(#dfe4dc,#2b3530);--fill:light-dark(#17603a,#86d3a5);"
    "--on:light-dark(#fff,#0c2316)}"
    "body{font:16px/1.55 system-ui,sans-serif;max-width:26rem;margin:8vh auto;padding:0 1rem;"
    "background:var(--page);color:var(--ink)}"
    "main{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.5rem}"
    "h1{font-size:1.45rem;line-height:1.25;margin:0 0 1rem}label{display:block;margin:.8rem 0;font-weight:600}"
    "input:not([type=hidden],[hidden]){display:block;width:100%;margin-top:.25rem;box-sizing:border-box;font:inherit;"
    "padding:.5rem .8rem;border:1px solid #7c8a82;border-radius:10px;background:var(--card);color:inherit}"
    "button{font:inherit;font-weight:600;padding:.5rem 1rem;margin:.4rem .4rem .4rem 0;border-radius:10px;"
    "border:1px solid var(--fill);background:var(--fill);color:var(--on);cursor:pointer}"
    "form+form button,button+button{background:none;color:inherit;border-color:var(--line)}"
    ":focus-visible{outline:3px solid var(--fill);outline-offset:2px}"
    ".wrong{border-left:4px solid #c22;padding:.2rem .8rem}code{word-break:break-all}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9.:-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def page(title: str, parts: Iterable[str], lang: str = "en", status: int = 200, sent_to: str | None = None) -> Response:
    """parts: HTML, escaped by who made it. sent_to: an address outside to which a form of the page may lead."""
    form = "'self'" if sent_to is None else f"'self' {_source(sent_to)}"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    html = (
        f'<!doctype html><html lang="{escape(lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{''.join(parts)}</main></body></html>"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": policy,
        "cache-control": "no-store",
        "x-frame-options": "DENY",
    }
    return Response(html.encode("utf-8", "replace"), status, headers)


def form(action: str, hidden: Mapping[str, str], *parts: str) -> str:
    """A form that posts. action: a path of this server. parts: HTML."""
    kept = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(v)}">' for name, v in hidden.items())
    return f'<form method="post" action="{escape(action)}">{kept}{"".join(parts)}</form>'


def paragraph(text: str, kind: str = "") -> str:
    alert = ' role="alert"' if kind == "wrong" else ""
    return f'<p class="{escape(kind)}"{alert}>{escape(text)}</p>'


def _source(address: str) -> str:
    """How a Content Security Policy names where an address is: its origin, or its scheme if an app has that alone."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme in ("http", "https") and "[" not in parts.netloc:  # a policy has no word for an IPv6 address
        return origin if _ORIGIN.fullmatch(origin) else "'none'"
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else "'none'"


def field(label: str, name: str, complete: str, value: str = "", kind: str = "text") -> str:
    """A field with its label. complete: how a browser fills it, as HTML's `autocomplete` names it."""
    given = f'name="{escape(name)}" type="{escape(kind)}" value="{escape(value)}" autocomplete="{escape(complete)}"'
    given += ' autocapitalize="none" spellcheck="false"'
    return f"<label>{escape(label)}<input {given} required></label>"


def username(name: str) -> str:
    """Tells a browser whose password it is to keep."""
    return f'<input type="text" name="username" value="{escape(name)}" autocomplete="username" hidden>'


def button(text: str, name: str = "", value: str = "") -> str:
    named = f' name="{escape(name)}" value="{escape(value)}"' if name else ""
    return f"<button{named}>{escape(text)}</button>"


def bullets(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def code(text: str) -> str:
    """A text to be copied."""
    return f"<p><code>{escape(text)}</code></p>"


def language(request: Request, params: dict[str, Any]) -> str:
    """`lang` of the request, else what the browser likes best."""
    asked = params.get("lang")
    short = asked.strip().lower()[:2] if isinstance(asked, str) else ""
    return short if short in LANGUAGES else language_of(request.headers.get("accept-language", ""))


def scope_words(lang: str, scope: str) -> str:
    """What a scope allows, for the person who is asked."""
    top, _, part = scope.partition(":")
    said = LOGIN[lang]
    return said["some"].format(verb=said[f"verb_{top}"], part=part) if part else said[scope]


ENDPOINTS = Endpoints()
T = TypeVar("T")
_BOUNDS = {"least": logins.LEAST, "most": logins.MOST}


@ENDPOINTS.get("/login")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    """The page, or who is logged in here."""
    at, lang = visit(web, ask), language(ask.request, ask.params)
    if at.person is not None and "next" not in ask.params:
        return _mine(web, at, at.person, lang)
    return greeted(web, at, _page(at, lang, own_path(ask.params.get("next"))))


@ENDPOINTS.post("/login")
async def log_in(web: DoorContext, ask: DoorRequest) -> Any:
    """Logs in with name and password."""
    at, lang, then = sent(web, ask), language(ask.request, ask.params), own_path(ask.params.get("next"))
    name, password = (_said(ask, key) for key in ("name", "password"))
    found = await _proved(web, ask, name, password)
    if isinstance(found, _No):
        return _page(at, lang, then, name, found.word, found.status)
    return await _logged_in(web, at, found, then)


class _No(NamedTuple):
    """Why somebody is not logged in: a word of translations.csv."""

    word: str
    status: int


_GONE = _No("link_gone", 404)


async def _proved(web: DoorContext, ask: DoorRequest, name: str, password: str) -> Person | _No:
    """Whose the name and the password are."""
    here = f"{ask.address} {name}"
    taken = (
        web.bounds.take("login here", here, ATTEMPTS_HERE, ATTEMPT_S),
        web.bounds.take("login address", ask.address, ATTEMPTS_ADDRESS, ATTEMPT_S),
        web.bounds.take("login name", name, ATTEMPTS_NAME, ATTEMPT_S),
    )
    if any(count.over for count in taken):
        web.bounds.stopped("tries", ask.address)
        return _No("too_many", 429)
    if web.bounds.hashing.statistics().tasks_waiting >= HASHES_WAITING:
        web.bounds.stopped("tries", ask.address)
        return _No("busy", 503)
    person = await _hashing(web, partial(logins.who, web.door, name, password))
    if person is None:
        web.bounds.stopped("token", ask.address)
        return _No("wrong", 401)
    web.bounds.forget("login here", here)
    return _No("closed", 403) if await web.is_closed(person.account) else person


async def _hashing(web: DoorContext, do: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(do, limiter=web.bounds.hashing)


@ENDPOINTS.post("/login/password")
async def change(web: DoorContext, ask: DoorRequest) -> Any:
    """The person changes the password. Who came by a link and has none yet needs no old one."""
    at, lang = sent(web, ask), language(ask.request, ask.params)
    if at.person is None:
        return see("/login")
    old, new = (_said(ask, key) for key in ("old", "password"))
    login = logins.login_of(web.door, at.person.account)
    if login is not None:
        found = await _proved(web, ask, at.person.account, old)
        if isinstance(found, _No):
            return _mine(web, at, at.person, lang, found.word, found.status)
    if logins.wrong_password(new) is not None:
        return _mine(web, at, at.person, lang, "short", 422)
    name = at.person.name if login is None else login.name
    await _hashing(web, partial(logins.set_password, web.door, at.person.account, name, new))
    return await _logged_in(web, at, at.person, "/login")


@ENDPOINTS.post("/logout")
async def log_out(web: DoorContext, ask: DoorRequest) -> Any:
    """Ends the session of this browser."""
    at = sent(web, ask)
    await anyio.to_thread.run_sync(logins.end_session, web.door, at.cookie)
    response = see(own_path(ask.params.get("next")))
    drop_cookie(web, response)
    return response


@ENDPOINTS.post("/login/revoke")
async def revoke(web: DoorContext, ask: DoorRequest) -> Any:
    """The person ends a token of an app."""
    at = sent(web, ask)
    if at.person is not None:
        await anyio.to_thread.run_sync(web.door.revoke_id, _said(ask, "id"), at.person.account)
    return see("/login")


@ENDPOINTS.get("/login/link/{secret}")
async def ask_of_link(web: DoorContext, ask: DoorRequest) -> Any:
    """Asks first: programs that look at links in messages must not use it up."""
    at, lang = visit(web, ask), language(ask.request, ask.params)
    person = await _linked(web, ask)
    if isinstance(person, _No):
        return _refused(person, lang)
    words, action = LOGIN[lang], f"/login/link/{ask.path['secret']}"
    parts = [
        paragraph(words["link_for"].format(name=person.name)),
        form(action, {"csrf": at.csrf}, button(words["log_in"])),
    ]
    return greeted(web, at, page(words["log_in"], parts, lang))


@ENDPOINTS.post("/login/link/{secret}")
async def use_link(web: DoorContext, ask: DoorRequest) -> Any:
    """Logs in by a link of `banyan login link`."""
    sent(web, ask)
    person, lang = await _linked(web, ask), language(ask.request, ask.params)
    if isinstance(person, _No):
        return _refused(person, lang)
    cookie = await anyio.to_thread.run_sync(logins.use_link, web.door, ask.path["secret"])
    return _refused(_GONE, lang) if cookie is None else _with(web, cookie, own_path(ask.params.get("next")))


async def _linked(web: DoorContext, ask: DoorRequest) -> Person | _No:
    """Whom the link of the path logs in."""
    person = logins.linked(web.door, ask.path["secret"])
    if person is None:
        return _GONE
    return _No("closed", 403) if await web.is_closed(person.account) else person


async def _logged_in(web: DoorContext, at: Visit, person: Person, then: str) -> Response:
    """The browser gets a new cookie: nobody can know it from before."""
    if at.person is not None:
        await anyio.to_thread.run_sync(logins.end_session, web.door, at.cookie)
    return _with(web, await anyio.to_thread.run_sync(logins.open_session, web.door, person), then)


def _with(web: DoorContext, cookie: str, then: str) -> Response:
    response = see(then)
    give_cookie(web, response, cookie)
    return response


def _page(at: Visit, lang: str, then: str, name: str = "", wrong: str = "", status: int = 200) -> Response:
    words = LOGIN[lang]
    asked = (
        field(words["name"], "name", "username", name),
        field(words["password"], "password", "current-password", kind="password"),
        button(words["log_in"]),
    )
    said = [paragraph(words[wrong], "wrong")] if wrong else []
    return page(words["log_in"], [*said, form("/login", {"csrf": at.csrf, "next": then}, *asked)], lang, status)


def _mine(web: DoorContext, at: Visit, person: Person, lang: str, wrong: str = "", status: int = 200) -> Response:
    """What a person sees who is logged in: the apps that may act, and the password."""
    words, held = LOGIN[lang], web.door.tokens(person.account)
    old = field(words["old"], "old", "current-password", kind="password")
    parts = [
        *([paragraph(words[wrong].format(**_BOUNDS), "wrong")] if wrong else []),
        paragraph(words["logged_in"].format(name=person.name)),
        form("/logout", {"csrf": at.csrf}, button(words["log_out"])),
        *([paragraph(words["apps"])] if held else []),
        *(_of_app(token, at, words) for token in held),
        form(
            "/login/password",
            {"csrf": at.csrf, "lang": lang},
            username(person.name),
            *([old] if logins.login_of(web.door, person.account) else []),
            field(words["new"].format(**_BOUNDS), "password", "new-password", kind="password"),
            button(words["change"]),
        ),
    ]
    return page(words["log_in"], parts, lang, status)


def _of_app(token: Token, at: Visit, words: Mapping[str, str]) -> str:
    said = paragraph(f"{token.app}, {dates.day(token.created * 1000)}: {' '.join(token.scopes)}")
    return form("/login/revoke", {"csrf": at.csrf, "id": token.id}, said, button(words["revoke"]))


def _refused(no: _No, lang: str) -> Response:
    return page(LOGIN[lang]["log_in"], [paragraph(LOGIN[lang][no.word], "wrong")], lang, no.status)


def _said(ask: DoorRequest, key: str) -> str:
    value = ask.params.get(key, "")
    if not isinstance(value, str) or len(value) > logins.MOST:
        raise HttpRefusal(422, f"{key} is a text of at most {logins.MOST} characters.")
    return value
