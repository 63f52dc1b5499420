"""Who looks at a page: nobody, or a person who is logged in there (sessions.py).

The invariant: a form acts only with the proof of its browser's own session, and not if another site sent it. The cookie
lets in to pages alone, never to the API.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from banyan_node.server.http_connections import let_in
from banyan_web.endpoint import Ask, Web
from banyan_web.refusals import Refused
from banyan_web.sessions import visit


class Visitor(NamedTuple):
    """did: of the account. csrf: what its forms carry."""

    did: str
    csrf: str


def visitor_of(web: Web, ask: Ask) -> Visitor | None:
    """None if nobody is logged in."""
    at = visit(web, ask)
    if at.person is None:
        return None
    let_in(ask.request.scope)
    return Visitor(at.person.account, at.csrf)


def writing(web: Web, ask: Ask) -> Visitor:
    """Who acts by a form. Raises Refused if nobody is logged in, or if another site sent the form."""
    from_here(web, ask.request)
    at = visit(web, ask)
    if at.person is None:
        raise Refused(401, "Log in first.")
    at.check(ask.params)
    return Visitor(at.person.account, at.csrf)


def from_here(web: Web, request: Request) -> None:
    """Raises Refused for a form that a page of another origin sends."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {urlsplit(web.url).netloc, request.headers.get("host", "")}
    if site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise Refused(403, "Another site sent this form.")


def keep(web: Web, answer: Response, name: str, value: str, seconds: int) -> None:
    """Sets a cookie of this site alone."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=web.url.startswith("https:"), httponly=True, samesite="lax"
    )


def local(path: object, default: str = "/") -> str:
    """A path of this site, to which a form may lead back."""
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        return default
    return default if any(ord(letter) <= 32 or letter == "\\" for letter in path) else path[:2_000]
