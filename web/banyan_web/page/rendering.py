"""Makes pages from templates: the language, the policy of the page, its ETag, and pages for what is refused.

The policy allows scripts, styles and all else from this origin alone, and nothing inline: what a stranger wrote can
become neither, even if a template forgot to escape it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache, wraps
from hashlib import sha256
from typing import Any, TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import Ask, Web
from banyan_web.page import texts
from banyan_web.page.static_files import tree
from banyan_web.page.visitor import Visitor, visitor_of
from banyan_web.page.words import LANGUAGES, WORDS, counted, language_of
from banyan_web.refusals import Refused

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
Do: TypeAlias = Callable[[Web, Ask], Awaitable[Response]]


@lru_cache(1)
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("banyan_web.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "linked": texts.linked,
        "readable": texts.readable,
        "day": texts.day,
        "machine_time": texts.machine_time,
        "account_path": texts.account_path,
        "post_path": texts.post_path,
        "colour": texts.colour_of,
        "site": texts.safe_site,
        "kind": texts.media_kind,
    }
    made.globals |= {"static": tree().path, "languages": LANGUAGES, "counted": counted}
    return made


def language(ask: Ask) -> str:
    """That which the visitor chose, or the browser asks for."""
    chosen = ask.request.cookies.get("lang")
    return chosen if chosen in LANGUAGES else language_of(ask.request.headers.get("accept-language", ""))


async def render(web: Web, ask: Ask, template: str, status: int = 200, /, **values: Any) -> Response:
    """A page. values: what the template needs beside what each has."""
    lang, visitor = language(ask), visitor_of(web, ask)
    unread, waiting = 0, None
    if visitor is not None:
        waiting = await reports_for(web, visitor)
        try:
            unread = (await web.call("notifications.unread", by=visitor.did))["unread"]
        except (Refused, KeyError):
            pass
    path, query = ask.request.scope["path"], ask.request.scope["query_string"].decode("latin-1")  # no word of Host
    here = path + (f"?{query}" if query else "")
    common: Mapping[str, Any] = {
        "t": WORDS[lang],
        "lang": lang,
        "title": web.title,
        "me": visitor,
        "unread": unread,
        "waiting": waiting,
        "here": here,
        "path": path,
        "realm": await _realm(web),
        "url": web.url,
    }
    body = _templates().get_template(template).render({**common, **values}).encode("utf-8", "replace")
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": POLICY,
        "cache-control": "private, no-cache",
        "vary": "accept-language, cookie",
        "etag": tag,
        "referrer-policy": "same-origin",
    }
    known = ask.request.headers.get("if-none-match", "")
    if status == 200 and tag in {one.strip().removeprefix("W/") for one in known.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers)


async def reports_for(web: Web, visitor: Visitor) -> int | None:
    """How many reports wait for a moderator; None for who is none. Asked anew for each page: a role may end."""
    try:
        found = await web.call("moderator.am_i", by=visitor.did)
    except Refused:
        return None
    return int(found["open"]) if found["moderator"] else None


async def _realm(web: Web) -> str:
    return str((await web.call("id"))["realm"])


def as_page(do: Do) -> Do:
    """What is refused is a page too, in the visitor's language."""

    @wraps(do)
    async def shown(web: Web, ask: Ask) -> Response:
        try:
            return await do(web, ask)
        except Refused as why:
            if why.status == 401:
                return RedirectResponse("/login?next=/home", 303)
            return await render(web, ask, "error.html", why.status, why=why.message, status=why.status)

    return shown


def reader(web: Web, ask: Ask) -> Visitor | None:
    """Who reads."""
    return visitor_of(web, ask)
