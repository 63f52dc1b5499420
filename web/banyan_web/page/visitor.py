"""Who looks at a page: nobody, or a person who is logged in there (sessions.py).

The invariant: a form acts only with the proof of its browser's own session, and not if another site sent it. The cookie
lets in to pages alone, never to the API.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.responses import Response

from banyan_node.server.http_connections import let_in
from banyan_web.endpoint import Ask, DoorContext
from banyan_web.refusals import Refused
from banyan_web.sessions import from_here, is_odd, sent, visit


class Visitor(NamedTuple):
    """did: of the account. csrf: what its forms carry."""

    did: str
    csrf: str


def visitor_of(web: DoorContext, ask: Ask) -> Visitor | None:
    """None if nobody is logged in."""
    at = visit(web, ask)
    if at.person is None:
        return None
    let_in(ask.request.scope)
    return Visitor(at.person.account, at.csrf)


def writing(web: DoorContext, ask: Ask) -> Visitor:
    """Who acts by a form. Raises Refused if nobody is logged in, or if another site sent the form."""
    if visit(web, ask).person is None:
        from_here(web, ask.request)
        raise Refused(401, "Log in first.")
    at = sent(web, ask)
    assert at.person is not None
    return Visitor(at.person.account, at.csrf)


def keep(web: DoorContext, answer: Response, name: str, value: str, seconds: int) -> None:
    """Sets a cookie of this site alone."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=web.url.startswith("https:"), httponly=True, samesite="lax"
    )


def local(path: object, default: str = "/") -> str:
    """A path of this site, to which a form may lead back."""
    if not isinstance(path, str) or not path.startswith("/") or is_odd(path):
        return default
    return default if any(ord(letter) <= 32 for letter in path) else path[:2_000]
