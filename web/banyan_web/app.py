"""The ASGI application of the door. It knows neither the server that runs it nor the event loop.

The invariants: no body is read beyond its limit or longer than BODY_S; a token is read from the Authorization header
alone; an error that nobody foresaw is logged, and answered with one sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from banyan_node.server.http_connections import let_in
from banyan_web.door_store import Token
from banyan_web.endpoint import Ask, Endpoint, Endpoints, Web
from banyan_web.mastodon import instance
from banyan_web.page import archive, entering, live, media_files, reading, static_files, writing
from banyan_web.params import nested
from banyan_web.refusals import Refused, answer, refusal

EVERY: Sequence[Endpoints] = (
    archive.ENDPOINTS,
    entering.ENDPOINTS,
    instance.ENDPOINTS,
    live.ENDPOINTS,
    media_files.ENDPOINTS,
    reading.ENDPOINTS,
    static_files.ENDPOINTS,
    writing.ENDPOINTS,
)
BODY_BYTES, FILE_BYTES = 1 << 20, 101 << 20
"""The largest body, and the largest with files."""
BODY_S, FILE_S = 20.0, 600.0
"""The time limit of a body, and of one with files."""
FIELDS, FILES = 1_000, 8
OPEN = ("/api/", "/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/.well-known/", "/nodeinfo/")
"""Pages of other origins may ask these: every request shows its token, and no cookie counts."""
_CORS = {
    b"access-control-allow-origin": b"*",
    b"access-control-expose-headers": b"Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, ETag",
}
_PREFLIGHT = {
    b"access-control-allow-methods": b"GET, POST, PUT, PATCH, DELETE, OPTIONS",
    b"access-control-allow-headers": b"Authorization, Content-Type, Idempotency-Key",
    b"access-control-max-age": b"3600",
}
_USUAL = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_log = logging.getLogger(__name__)


def door_app(web: Web, every: Iterable[Endpoints] = EVERY) -> ASGIApp:
    """The application."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in (endpoint for module in every for endpoint in module.all):
        verbs = paths.setdefault(endpoint.path, {})
        if endpoint.verb in verbs:
            raise ValueError(f"{endpoint.verb} {endpoint.path} is declared twice")
        verbs[endpoint.verb] = endpoint
    routes = [Route(path, _Place(web, verbs)) for path, verbs in sorted(paths.items(), key=_order)]
    routes += [Route(path + "/", _Place(web, verbs)) for path, verbs in sorted(paths.items(), key=_order)]
    inner = Starlette(routes=routes, exception_handlers={HTTPException: _not_here})
    inner.router.redirect_slashes = False
    return _Door(inner)


def _order(item: tuple[str, object]) -> tuple[bool, str]:
    """Paths with braces come behind those that they would hide."""
    return "{" in item[0], item[0]


async def _not_here(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return refusal(Refused(status, "Nothing is here." if status == 404 else "This cannot be asked so."))


class _Door:
    """Adds what all answers have."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        shared = scope["path"].startswith(OPEN)
        if shared and scope["method"] == "OPTIONS":
            headers = list((_CORS | _PREFLIGHT).items())
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                usual = _USUAL | _CORS if shared else _USUAL
                more = [(name, value) for name, value in usual.items() if name not in said]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._inner(scope, receive, with_headers)


class _Place:
    """What answers at one path."""

    def __init__(self, web: Web, verbs: dict[str, Endpoint]) -> None:
        self._web, self._verbs = web, verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Refused as why:
            response = refusal(why)
        except ClientDisconnect:
            return
        except Exception:
            _log.exception("%s %s failed", request.method, request.url.path)
            response = refusal(Refused(500, "Something went wrong inside the node; its log says what."))
        finally:
            await request.close()
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        verb = "GET" if request.method == "HEAD" else request.method
        endpoint = self._verbs.get(verb)
        if endpoint is None:
            allowed = {"allow": ", ".join(sorted(self._verbs))}
            raise Refused(405, f"{request.method} is not for {request.url.path[:80]}.", allowed)
        token = _token(self._web, request)
        if token is not None:
            let_in(request.scope)
        if endpoint.scope is not None:
            _check(token, endpoint.scope)
        params = await _params(request, endpoint.files)
        ask = Ask(request, dict(request.path_params), params, token)
        found = await endpoint.do(self._web, ask)
        if isinstance(found, Response):
            found.headers.update(ask.headers)
            return found
        return answer(found, headers=ask.headers)


def _token(web: Web, request: Request) -> Token | None:
    """Raises Refused if one is shown that there is not."""
    said = request.headers.get("authorization")
    if said is None:
        return None
    kind, _, raw = said.partition(" ")
    found = web.door.token(raw.strip()) if kind.lower() == "bearer" else None
    if found is None:
        raise Refused(401, "The access token is invalid", {"www-authenticate": 'Bearer error="invalid_token"'})
    return found


def _check(token: Token | None, scope: str) -> None:
    if token is None:
        raise Refused(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    if not token.allows(scope):
        raise Refused(403, "This action is outside the authorized scopes")


async def _params(request: Request, files: bool) -> dict[str, Any]:
    """Raises Refused."""
    found = nested(request.query_params.multi_items())
    if request.method in ("GET", "HEAD"):
        return found
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most, seconds = (FILE_BYTES, FILE_S) if files and kind == "multipart/form-data" else (BODY_BYTES, BODY_S)
    _bound(request, most)
    try:
        with anyio.fail_after(seconds):
            body = await _body(request, kind, files)
    except TimeoutError:
        raise Refused(408, f"The body did not come within {seconds:.0f} s.", {"connection": "close"}) from None
    return found | body


async def _body(request: Request, kind: str, files: bool) -> dict[str, Any]:
    if kind == "application/json":
        raw = await request.body()
        try:
            value = msgspec.json.decode(raw) if raw.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, "The body is no JSON.") from None
        if not isinstance(value, dict):
            raise Refused(400, "The body is a JSON object.")
        return value
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        try:
            form = await request.form(max_files=FILES if files else 0, max_fields=FIELDS)
        except (HTTPException, MultiPartException, UnicodeDecodeError, ValueError) as error:
            if isinstance(error, HTTPException) and error.status_code == 413:
                raise Refused(413, error.detail) from None
            raise Refused(400, "The form in the body is broken, or has too many fields.") from None
        if not files and any(isinstance(value, UploadFile) for value in form.values()):
            raise Refused(400, "Files are not taken here.")
        return nested(form.multi_items())
    if await request.body():
        raise Refused(415, "Send JSON or a form, and say which in Content-Type.")
    return {}


def _bound(request: Request, most: int) -> None:
    """Reading the body raises HTTPException once it is larger than this. Raises Refused if it says so itself."""
    said = request.headers.get("content-length")
    if said is not None and said.isdigit() and int(said) > most:
        raise Refused(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
    receive, come = request.receive, 0

    async def bounded() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise Refused(413, f"At most {most:,} bytes are taken here.", {"connection": "close"})
        return message

    request._receive = bounded
