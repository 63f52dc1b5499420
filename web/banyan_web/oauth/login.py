"""The login page. It knows nothing of apps: it logs a browser in and leads on to a path of this server.

Attempts are counted before the password is looked at, by name, by address and by both (bounds.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.responses import Response

from banyan_web import door_logins
from banyan_web.bounds import ATTEMPT_S, ATTEMPTS_ADDRESS, ATTEMPTS_HERE, ATTEMPTS_NAME, HASHES_WAITING
from banyan_web.door_logins import Person
from banyan_web.door_store import Token
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.oauth.forms import button, field, form, page, paragraph
from banyan_web.oauth.words import WORDS, language
from banyan_web.refusals import Refused
from banyan_web.sessions import Visit, drop_cookie, give_cookie, greeted, own_path, see, visit

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/login")
async def show(web: Web, ask: Ask) -> Any:
    """The page, or who is logged in here."""
    at, lang = visit(web, ask), language(ask.request, ask.params)
    if at.person is not None and "next" not in ask.params:
        words, held = WORDS[lang], web.door.tokens(at.person.account)
        parts = [
            paragraph(words["logged_in"].format(name=at.person.name)),
            form("/logout", {"csrf": at.csrf}, button(words["log_out"])),
            *([paragraph(words["apps"])] if held else []),
            *(_of_app(token, at, words) for token in held),
        ]
        return page(words["log_in"], parts, lang)
    return greeted(web, at, _page(at, lang, own_path(ask.params.get("next"))))


@ENDPOINTS.post("/login")
async def log_in(web: Web, ask: Ask) -> Any:
    """Logs in with name and password."""
    at, lang, then = visit(web, ask), language(ask.request, ask.params), own_path(ask.params.get("next"))
    at.check(ask.params)
    name, password = (_said(ask, key) for key in ("name", "password"))
    here, key = f"{ask.address} {name}", name
    taken = (
        web.bounds.take("login here", here, ATTEMPTS_HERE, ATTEMPT_S),
        web.bounds.take("login address", ask.address, ATTEMPTS_ADDRESS, ATTEMPT_S),
        web.bounds.take("login name", key, ATTEMPTS_NAME, ATTEMPT_S),
    )
    if any(count.over for count in taken):
        return _page(at, lang, then, name, "too_many", 429)
    if web.bounds.hashing.statistics().tasks_waiting >= HASHES_WAITING:
        return _page(at, lang, then, name, "busy", 503)
    person = await anyio.to_thread.run_sync(
        partial(door_logins.who, web.door, name, password), limiter=web.bounds.hashing
    )
    if person is None:
        return _page(at, lang, then, name, "wrong", 401)
    web.bounds.forget("login here", here)
    return await _logged_in(web, at, person, then)


@ENDPOINTS.post("/logout")
async def log_out(web: Web, ask: Ask) -> Any:
    """Ends the session of this browser."""
    at = visit(web, ask)
    at.check(ask.params)
    await anyio.to_thread.run_sync(door_logins.end_session, web.door, at.cookie)
    response = see(own_path(ask.params.get("next")))
    drop_cookie(web, response)
    return response


@ENDPOINTS.post("/login/revoke")
async def revoke(web: Web, ask: Ask) -> Any:
    """The person ends a token of an app."""
    at = visit(web, ask)
    at.check(ask.params)
    if at.person is not None:
        await anyio.to_thread.run_sync(web.door.revoke_id, _said(ask, "id"), at.person.account)
    return see("/login")


@ENDPOINTS.get("/login/link/{secret}")
async def ask_of_link(web: Web, ask: Ask) -> Any:
    """Asks first: programs that look at links in messages must not use it up."""
    at, lang = visit(web, ask), language(ask.request, ask.params)
    person = door_logins.linked(web.door, ask.path["secret"])
    if person is None:
        return _gone(lang)
    words, action = WORDS[lang], f"/login/link/{ask.path['secret']}"
    parts = [
        paragraph(words["link_for"].format(name=person.name)),
        form(action, {"csrf": at.csrf}, button(words["log_in"])),
    ]
    return greeted(web, at, page(words["log_in"], parts, lang))


@ENDPOINTS.post("/login/link/{secret}")
async def use_link(web: Web, ask: Ask) -> Any:
    """Logs in by a link of `banyan login link`."""
    at = visit(web, ask)
    at.check(ask.params)
    cookie = await anyio.to_thread.run_sync(door_logins.use_link, web.door, ask.path["secret"])
    if cookie is None:
        return _gone(language(ask.request, ask.params))
    return _with(web, cookie, own_path(ask.params.get("next")))


async def _logged_in(web: Web, at: Visit, person: Person, then: str) -> Response:
    """The browser gets a new cookie: nobody can know it from before."""
    if at.person is not None:
        await anyio.to_thread.run_sync(door_logins.end_session, web.door, at.cookie)
    return _with(web, await anyio.to_thread.run_sync(door_logins.open_session, web.door, person), then)


def _with(web: Web, cookie: str, then: str) -> Response:
    response = see(then)
    give_cookie(web, response, cookie)
    return response


def _page(at: Visit, lang: str, then: str, name: str = "", wrong: str = "", status: int = 200) -> Response:
    words = WORDS[lang]
    asked = (
        field(words["name"], "name", "username", name),
        field(words["password"], "password", "current-password", kind="password"),
        button(words["log_in"]),
    )
    said = [paragraph(words[wrong], "wrong")] if wrong else []
    return page(words["log_in"], [*said, form("/login", {"csrf": at.csrf, "next": then}, *asked)], lang, status)


def _of_app(token: Token, at: Visit, words: dict[str, str]) -> str:
    day = datetime.fromtimestamp(token.created, UTC).strftime("%Y-%m-%d")
    said = paragraph(f"{token.app}, {day}: {' '.join(token.scopes)}")
    return form("/login/revoke", {"csrf": at.csrf, "id": token.id}, said, button(words["revoke"]))


def _gone(lang: str) -> Response:
    return page(WORDS[lang]["log_in"], [paragraph(WORDS[lang]["link_gone"], "wrong")], lang, 404)


def _said(ask: Ask, key: str) -> str:
    value = ask.params.get(key, "")
    if not isinstance(value, str) or len(value) > door_logins.MOST:
        raise Refused(422, f"{key} is a text of at most {door_logins.MOST} characters.")
    return value
