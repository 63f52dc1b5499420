"""Who looks at a page: nobody, or a person whose token is in a cookie that no script reads.

The invariants: a form acts only with the visitor's own CSRF token, which is made from the session and cannot be guessed
without it; and a cookie lets in to pages alone, never to the API.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from banyan_node.server.http_connections import let_in
from banyan_web.endpoint import Ask, Web
from banyan_web.refusals import Refused

COOKIE = "banyan_session"
LASTS_S = 30 * 24 * 3_600


class Visitor(NamedTuple):
    """did: of the account. csrf: what its forms carry."""

    did: str
    csrf: str
    scopes: tuple[str, ...]


def visitor_of(web: Web, request: Request) -> Visitor | None:
    """None without a session, or with one that ended."""
    raw = request.cookies.get(COOKIE)
    token = web.door.token(raw) if raw else None
    if raw is None or token is None or token.account is None or not token.allows("read"):
        return None
    let_in(request.scope)
    return Visitor(token.account, sha256(b"banyan csrf " + raw.encode()).hexdigest(), token.scopes)


def writing(web: Web, ask: Ask) -> Visitor:
    """Who acts by a form. Raises Refused without a session, or if another site sent the form."""
    from_here(web, ask.request)
    found = visitor_of(web, ask.request)
    if found is None:
        raise Refused(401, "Log in first.")
    given = ask.params.get("csrf")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), found.csrf.encode()):
        raise Refused(403, "The form is not of this session: load the page again.")
    if "write" not in found.scopes:
        raise Refused(403, "Your token may read only.")
    return found


def from_here(web: Web, request: Request) -> None:
    """Raises Refused for a form that a page of another origin sends."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    own = {urlsplit(web.url).netloc, request.headers.get("host", "")}
    if site not in (None, "same-origin", "none") or (origin is not None and urlsplit(origin).netloc not in own):
        raise Refused(403, "Another site sent this form.")


def keep(web: Web, answer: Response, name: str, value: str, seconds: int = LASTS_S) -> None:
    """Sets a cookie of this site alone; seconds 0 removes it."""
    answer.set_cookie(
        name, value, max_age=seconds, path="/", secure=web.url.startswith("https:"), httponly=True, samesite="lax"
    )


def local(path: object, default: str = "/") -> str:
    """A path of this site, to which a form may lead back."""
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//"):
        return default
    return default if any(ord(letter) <= 32 or letter == "\\" for letter in path) else path[:2_000]
