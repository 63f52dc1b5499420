"""The browser that asks: its cookie, who is logged in there, and the proof that a form came from a page of this server.

The cookie is `__Host-banyan` behind https, so that no other host of the domain can set it. A browser that is not logged
in has one too, of no meaning but this: the proof (`csrf`) is made from it, and another site does not know it.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from banyan_node.server.http_connections import let_in
from banyan_web.endpoint import DoorContext, DoorRequest
from banyan_web.oauth.logins import SESSION_S, Person, session
from banyan_web.open_streams import person_shown
from banyan_web.refusals import HttpRefusal

_LONGEST = 100
"""Characters of a cookie of ours."""


class Visit(NamedTuple):
    """cookie: of the browser. new: whether it has yet to be given it. person: who is logged in there."""

    cookie: str
    new: bool
    person: Person | None

    @property
    def csrf(self) -> str:
        """For a hidden field of each form."""
        return hmac.new(self.cookie.encode(), b"banyan form", sha256).hexdigest()

    def check(self, params: dict[str, Any]) -> None:
        """The form came from a page that this browser was shown. Raises HttpRefusal."""
        said = params.get("csrf")
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), self.csrf.encode()):
            raise HttpRefusal(403, "This form is too old, or came from another site: go back and load the page anew.")


def from_here(web: DoorContext, request: Request) -> None:
    """Raises HttpRefusal for a form that a page of another origin sends."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {urlsplit(web.url).netloc, request.headers.get("host", "")}
    if site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise HttpRefusal(403, "Another site sent this form.")


def sent(web: DoorContext, ask: DoorRequest) -> Visit:
    """The browser that sends a form. Raises HttpRefusal if the form is not of a page of this server that it was
    shown."""
    from_here(web, ask.request)
    at = visit(web, ask)
    at.check(ask.params)
    return at


def visit(web: DoorContext, ask: DoorRequest) -> Visit:
    found = _cookie(web, ask.request)
    if found is None:
        return Visit(secrets.token_urlsafe(32), True, None)
    return Visit(found, False, person_shown(web.door, ask.request.scope, found))


def is_person(web: DoorContext, request: Request) -> bool:
    """Whether somebody is logged in in the browser that asks."""
    found = _cookie(web, request)
    return found is not None and session(web.door, found) is not None


def _cookie(web: DoorContext, request: Request) -> str | None:
    found = request.cookies.get(_name(web), "")
    return found if found.isascii() and 20 <= len(found) <= _LONGEST else None


def greeted(web: DoorContext, at: Visit, response: Response) -> Response:
    """The response, with the cookie if the browser has none."""
    if at.new:
        give_cookie(web, response, at.cookie, None)
    return response


def give_cookie(web: DoorContext, response: Response, cookie: str, seconds: int | None = SESSION_S) -> None:
    keep(web, response, _name(web), cookie, seconds)


def drop_cookie(web: DoorContext, response: Response) -> None:
    response.delete_cookie(_name(web), path="/", secure=_secure(web), httponly=True, samesite="lax")


def see(path: str) -> Response:
    """Sends the browser on, with GET. path: ASCII, without control characters."""
    return RedirectResponse(path, 303, {"cache-control": "no-store"})


def own_path(value: Any) -> str:
    """A path of this server for where to go on, from a parameter; `/login` for anything else: a login page that leads
    elsewhere helps who makes a page that looks like it."""
    if not isinstance(value, str) or not value.startswith("/") or len(value) > 4_096:
        return "/login"
    if not value.isascii() or not value.isprintable() or is_odd(value):
        return "/login"
    return value


def is_odd(path: str) -> bool:
    """Whether somebody may read a path of this server as one of another: `//host`, `/.//host`, `/\\host`."""
    steps = path.partition("?")[0].partition("#")[0].split("/")[1:]
    return "\\" in path or any(step in (".", "..") or "%2e" in step.lower() for step in steps) or "" in steps[:-1]


def _secure(web: DoorContext) -> bool:
    return web.url.startswith("https:")


def _name(web: DoorContext) -> str:
    return "__Host-banyan" if _secure(web) else "banyan"


# The invariant: a form acts only with the proof of its browser's own session, and not if another site sent it. The
# cookie lets in to pages alone, never to the API.


class Visitor(NamedTuple):
    """did: of the account. csrf: what its forms carry."""

    did: str
    csrf: str


def visitor_of(web: DoorContext, ask: DoorRequest) -> Visitor | None:
    """None if nobody is logged in."""
    at = visit(web, ask)
    if at.person is None:
        return None
    let_in(ask.request.scope)
    return Visitor(at.person.account, at.csrf)


def writing(web: DoorContext, ask: DoorRequest) -> Visitor:
    """Who acts by a form. Raises HttpRefusal if nobody is logged in, or if another site sent the form."""
    if visit(web, ask).person is None:
        from_here(web, ask.request)
        raise HttpRefusal(401, "Log in first.")
    at = sent(web, ask)
    assert at.person is not None
    return Visitor(at.person.account, at.csrf)


def keep(web: DoorContext, answer: Response, name: str, value: str, seconds: int | None) -> None:
    """Sets a cookie of this site alone."""
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=_secure(web), httponly=True, samesite="lax")


def local(path: object, default: str = "/") -> str:
    """A path of this site, to which a form may lead back."""
    if not isinstance(path, str) or not path.startswith("/") or is_odd(path):
        return default
    return default if any(ord(letter) <= 32 for letter in path) else path[:2_000]
