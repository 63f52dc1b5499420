"""The ASGI application of the door. It knows neither the server that runs it nor the event loop.

The invariants: a token is read from the Authorization header alone, but for streams; an error that nobody foresaw is
logged, and answered with one sentence. (params.py bounds what is read of a request.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from urllib.parse import urlsplit

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from banyan_node.home.sections import HttpSettings
from banyan_node.server.http_connections import let_in
from banyan_web import archive_downloads, transparency
from banyan_web.door_files import DoorFiles
from banyan_web.door_store import DoorStore, Token
from banyan_web.endpoint import (
    DoorBackend,
    DoorContext,
    DoorRequest,
    Endpoint,
    Endpoints,
    Firehose,
    ServerInfo,
    ServerRules,
    demand,
)
from banyan_web.firehose.endpoints import SOCKET as FIREHOSE
from banyan_web.firehose.tail import RUNS, Tail
from banyan_web.mastodon.link_cards import LinkCards
from banyan_web.mastodon.push.crypto import PushIdentity
from banyan_web.mastodon.push.sender import send_pushes
from banyan_web.mastodon.push.subscriptions import PushSubscribers
from banyan_web.mastodon.streaming.endpoints import SOCKET as APP_STREAMS
from banyan_web.mastodon.streaming.hub import Hub
from banyan_web.oauth.login import page, paragraph
from banyan_web.oauth.sessions import is_person
from banyan_web.open_streams import REVOKED, OpenStreams, token_shown
from banyan_web.outbound_http import OutboundHttp
from banyan_web.params import asked_of, params_of
from banyan_web.platform.deliveries import deliver
from banyan_web.platform.openapi import describing
from banyan_web.rate_limiter import Meter, counted, is_anonymous
from banyan_web.rate_limits import RateLimits
from banyan_web.refusals import HttpRefusal, answer, failure, refusal
from banyan_web.websocket import SocketEndpoint, SocketPlace

ROOMS = ("firehose", "mastodon.endpoints", "mastodon.push", "mastodon.streaming", "oauth", "page", "platform")
"""The packages whose modules declare endpoints, each module in its ENDPOINTS."""


def _declared(room: str) -> Iterator[Endpoints]:
    package = import_module(f"banyan_web.{room}")
    for found in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{found.name}")
        if (endpoints := getattr(module, "ENDPOINTS", None)) is not None:
            yield endpoints


EVERY: Sequence[Endpoints] = (
    archive_downloads.ENDPOINTS,
    transparency.ENDPOINTS,
    *(one for room in ROOMS for one in _declared(room)),
)
SOCKETS: Sequence[SocketEndpoint] = (APP_STREAMS, FIREHOSE)
_TILES = "/transparency/tile/"
UNCOUNTED = ("/archives/", "/cards/", "/media/", "/static/", "/health", "/.well-known/", "/nodeinfo/", _TILES)
"""Bytes that a page or a monitor asks for: no limit by address. The connections are limited."""
FREE = ("/static/", "/health", _TILES)
"""Files that lie ready, and what a monitor asks: no allowance of the processor is needed."""
OPEN = ("/api/", "/oauth/token", "/oauth/revoke", "/oauth/userinfo", "/.well-known/", "/nodeinfo/", "/transparency/")
"""Pages of other origins may ask these: every request shows its token, and no cookie counts."""
LENIENT = ("/oauth/", "/.well-known/", "/nodeinfo/", "/health", "/api/v1/apps", "/api/v1/instance", "/api/v2/instance")
"""Here a token that there is not counts as none: an app whose token ended shows it on while it logs in anew."""
_CORS = {
    b"access-control-allow-origin": b"*",
    b"access-control-expose-headers": b"Link, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, ETag",
}
_PREFLIGHT = {
    b"access-control-allow-methods": b"GET, POST, PUT, PATCH, DELETE, OPTIONS",
    b"access-control-allow-headers": b"Authorization, Content-Type, Idempotency-Key, *",
    b"access-control-max-age": b"3600",
}
_USUAL = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
_SLASHES = re.compile("/{2,}")
GOING_AWAY = 1001
"""The code of a WebSocket that ends because the server stops (RFC 6455, 7.4.1)."""


def door_app(web: DoorContext, every: Iterable[Endpoints] = EVERY) -> DoorApp:
    """The application."""
    paths: dict[str, dict[str, Endpoint]] = {}
    every = [*every]
    every.append(describing(every))
    for endpoint in (endpoint for module in every for endpoint in module.all):
        verbs = paths.setdefault(endpoint.path, {})
        if endpoint.verb in verbs:
            raise ValueError(f"{endpoint.verb} {endpoint.path} is declared twice")
        verbs[endpoint.verb] = endpoint
    sockets = [WebSocketRoute(one.path + end, SocketPlace(web, one)) for one in SOCKETS for end in ("", "/")]
    places = _Places({path: _PathRoute(web, verbs) for path, verbs in paths.items()})
    inner = Starlette(routes=[*sockets, places], exception_handlers={HTTPException: _not_here})
    inner.router.redirect_slashes = False
    return DoorApp(inner, OpenStreams(web.door))


class _Places(BaseRoute):
    """Every path, with or without a slash at its end. A route for each would be tried one after the other."""

    def __init__(self, places: dict[str, ASGIApp]) -> None:
        self._plain = {path: place for path, place in places.items() if "{" not in path}
        named = sorted(path for path in places if "{" in path)  # "{" comes behind all letters: it hides no other path
        self._named = [(_pattern(path), places[path]) for path in named]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = scope["path"] if scope["path"] == "/" else scope["path"].removesuffix("/")
        if (place := self._plain.get(path)) is not None:
            return Match.FULL, {"endpoint": place, "path_params": {}}
        for pattern, place in self._named:
            if (found := pattern.match(path)) is not None:
                return Match.FULL, {"endpoint": place, "path_params": found.groupdict()}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["endpoint"](scope, receive, send)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return compile_path(path)[0]


async def _not_here(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    says = "Nothing is here." if status == 404 else "This cannot be asked so."
    return shown(request, HttpRefusal(status, says, code="not_here"))


def shown(request: Request, why: HttpRefusal) -> Response:
    """A refusal: a page for a person who opened one, else JSON."""
    if _path(request).startswith(OPEN) or "text/html" not in request.headers.get("accept", ""):
        return refusal(why)
    found = page(str(why.status), [paragraph(why.message, "wrong")], status=why.status)
    found.headers.update(why.headers or {})
    return found


class DoorApp:
    """Adds what all answers have, and ends streams properly when the server stops."""

    def __init__(self, inner: ASGIApp, streams: OpenStreams) -> None:
        """streams: whoever opens the door runs it."""
        self._inner, self.streams = inner, streams

    def end_streams(self) -> None:
        """Streams end now, as a stream that is over does: a client then knows that nothing was lost on the line."""
        self.streams.end_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "//" in scope.get("path", ""):  # a client that puts an address and a path together with a slash too many
            scope = {**scope, "path": _SLASHES.sub("/", scope["path"])}
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        shared = scope["path"].startswith(OPEN)
        if shared and scope["method"] == "OPTIONS":
            headers = list((_CORS | _PREFLIGHT).items())
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        streaming = ended = False

        async def with_headers(message: Message) -> None:
            nonlocal streaming, ended
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                if b"content-length" not in said:
                    streaming = True
                    going.enter_context(self.streams.stream(scope, until))
                usual = _USUAL | _CORS if shared else _USUAL
                more = [(name, value) for name, value in usual.items() if name not in said]
                message = {**message, "headers": [*message["headers"], *more]}
            elif message["type"] == "http.response.body":
                ended = not message.get("more_body", False)
            await send(message)

        with ExitStack() as going, anyio.CancelScope() as until:
            await self._inner(scope, receive, with_headers)
        if streaming and not ended and until.cancelled_caught:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        closed = False

        async def noted(message: Message) -> None:
            nonlocal closed
            closed = closed or message["type"] == "websocket.close"
            await send(message)

        with anyio.CancelScope() as until, self.streams.stream(scope, until) as stream:
            await self._inner(scope, receive, noted)
        if not closed and until.cancelled_caught:
            await send({"type": "websocket.close", "code": REVOKED if stream.revoked else GOING_AWAY})


class _PathRoute:
    """What answers at one path."""

    def __init__(self, web: DoorContext, verbs: dict[str, Endpoint]) -> None:
        self._web, self._verbs = web, verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meter = Meter(self._web.bounds, scope, receive, send)
        await meter.run(self._answered(Request(scope, receive), receive, meter))

    async def _answered(self, request: Request, receive: Receive, meter: Meter) -> None:
        more = dict[str, str]()
        try:
            response = await self._answer(request, more, meter)
        except HttpRefusal as why:
            self._web.bounds.refused(why, request)
            response = shown(request, why)
        except ClientDisconnect:
            return
        except Exception as why:
            response = shown(request, failure(why, f"{request.method} {_path(request)!r}"))
        finally:
            await request.close()
        for name, value in more.items():
            response.headers[name] = value
        await response(request.scope, receive, meter.send)

    async def _answer(self, request: Request, more: dict[str, str], meter: Meter) -> Response:
        """more: gets headers that are sent whatever comes out. Raises HttpRefusal."""
        verb = "GET" if request.method == "HEAD" else request.method
        endpoint = self._verbs.get(verb)
        if endpoint is None:
            allowed = {"allow": ", ".join(sorted(self._verbs))}
            raise HttpRefusal(405, f"{request.method} is not for {_path(request)[:80]}.", allowed)
        token, address = self._let_in(request, more, meter)
        if endpoint.scope is not None:
            demand(token, endpoint.scope)
        params = asked_of(request) if endpoint.raw else await params_of(request, endpoint.files)
        ask = DoorRequest(request, dict(request.path_params), params, token, address)
        found = await endpoint.do(self._web, ask)
        if isinstance(found, Response):
            found.headers.update(ask.headers)
            return found
        return answer(found, headers=ask.headers)

    def _let_in(self, request: Request, more: dict[str, str], meter: Meter) -> tuple[Token | None, str]:
        """The token, and the address that asks, once the request is counted. Raises HttpRefusal."""
        address, token, wrong = self._web.bounds.address_of(request), None, None
        try:
            token = _token(self._web, request)
        except HttpRefusal as why:
            wrong = why
        if token is not None or not _path(request).startswith(UNCOUNTED):
            more.update(counted(self._web.bounds, token, address))
        if wrong is not None and not _path(request).startswith(LENIENT):
            raise wrong
        if token is not None:
            let_in(request.scope)
        if is_anonymous(token) and not _path(request).startswith(FREE) and not is_person(self._web, request):
            meter.charge(address)
        return token, address


def _path(request: Request) -> str:
    """`request.url` would read the Host header too, which says what the client likes."""
    return str(request.scope["path"])


def _token(web: DoorContext, request: Request) -> Token | None:
    """Raises HttpRefusal if one is shown that there is not. What apps show of themselves (`Basic`) is no token."""
    said = request.headers.get("authorization")
    kind, _, raw = (said or "").partition(" ")
    if said is None or kind.lower() == "basic":
        return None
    found = token_shown(web.door, request.scope, raw.strip()) if kind.lower() == "bearer" else None
    if found is None:
        raise HttpRefusal(401, "The access token is invalid", {"www-authenticate": 'Bearer error="invalid_token"'})
    return found


# -- the door of one process, whichever serves it


def web_of(
    backend: DoorBackend,
    door: DoorStore,
    files: DoorFiles,
    rules: ServerRules,
    http: HttpSettings,
    url: str,
    bounds: RateLimits,
    push_key: bytes,
    hub: Hub | None = None,
) -> DoorContext:
    """What endpoints share. url: where the door listens, by which clients know it if no setting says otherwise.
    push_key: see mastodon/push/crypto.py."""
    known = http.url or url
    info = ServerInfo(
        http.domain or urlsplit(known).netloc, http.title, http.description, http.email, rules, http.browser_accounts
    )
    pushes = PushSubscribers(PushIdentity(push_key), OutboundHttp(http.local_push))
    cards = LinkCards(http.cards, OutboundHttp(http.local_cards, plain=True), known)
    firehose, outside = Firehose(Tail(backend), Tail(backend, RUNS)), OutboundHttp(http.local_webhooks)
    parts = (hub or Hub(), pushes, cards)
    return DoorContext(backend, door, known, info, firehose, files, bounds, outside, parts=parts)


def start_beside(web: DoorContext, app: DoorApp, start_soon: Callable[..., object], sends: bool = True) -> None:
    """Starts what works beside requests. sends: also what one process alone does, webhooks, push messages, asking
    witnesses and reading logs: each goes on where it was when it is started anew."""
    hub = web.part(Hub)
    for run in (app.streams.run, web.firehose.tail.run, web.firehose.runs.run):
        start_soon(run)
    alone = (deliver, send_pushes, transparency.ask_witnesses, transparency.read_logs)
    for work in (hub.run, *(alone if sends else ())):
        start_soon(work, web)
    start_soon(web.part(LinkCards).run, web, hub.changed)


def say_last_lines(web: DoorContext) -> None:
    """Streams end by themselves, within LAST_LINES_S; then `DoorApp.end_streams` ends what still goes on."""
    web.part(Hub).end_all()
    web.firehose.tail.close()
    web.firehose.runs.close()
