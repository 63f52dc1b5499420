"""The login page. It knows nothing of apps: it logs a browser in and leads on to a path of this server.

Attempts are counted before the password is looked at, by name, by address and by both (rate_limits.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import anyio.to_thread
from starlette.responses import Response

from banyan_schema import dates
from banyan_web.door_store import Token
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.oauth import logins
from banyan_web.oauth.html_pages import button, field, form, language, page, paragraph, username
from banyan_web.oauth.logins import Person
from banyan_web.oauth.sessions import Visit, drop_cookie, give_cookie, greeted, own_path, see, sent, visit
from banyan_web.page.translations import LOGIN
from banyan_web.rate_limits import ATTEMPT_S, ATTEMPTS_ADDRESS, ATTEMPTS_HERE, ATTEMPTS_NAME, HASHES_WAITING
from banyan_web.refusals import HttpRefusal

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


def _of_app(token: Token, at: Visit, words: dict[str, str]) -> str:
    said = paragraph(f"{token.app}, {dates.day(token.created * 1000)}: {' '.join(token.scopes)}")
    return form("/login/revoke", {"csrf": at.csrf, "id": token.id}, said, button(words["revoke"]))


def _refused(no: _No, lang: str) -> Response:
    return page(LOGIN[lang]["log_in"], [paragraph(LOGIN[lang][no.word], "wrong")], lang, no.status)


def _said(ask: DoorRequest, key: str) -> str:
    value = ask.params.get(key, "")
    if not isinstance(value, str) or len(value) > logins.MOST:
        raise HttpRefusal(422, f"{key} is a text of at most {logins.MOST} characters.")
    return value
