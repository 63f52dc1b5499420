"""The local control API: what the command line and a platform's own programs may ask of a running node.

    POST /v1/{method}   a JSON object of parameters -> the JSON result
    GET  /v1/events     one JSON value a line, for as long as the reader stays; the query string is the parameters
    GET  /metrics       for Prometheus
    GET  /openapi.json  all of this for programs
    GET  /healthz       200 while the process answers
    GET  /readyz        200 once the node serves, else 503 and the reason

A refusal is {"error": {"code", "message"}} with a 4xx or 5xx status. The invariants: nothing but /healthz and /readyz
answers without the token of this run; nothing answers to a Host that is not this machine, so a web page that points
its own name at 127.0.0.1 gets nowhere; no request is read further than its size limit, or longer than BODY_SECONDS.

The handlers know neither the server nor its event loop: whoever serves ASGI can serve them.
"""

import hmac
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Protocol

import anyio
import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from banyan_node.api.methods import EVERY
from banyan_node.api.openapi import document
from banyan_node.http_connections import let_in
from banyan_node.operator_errors import CallError

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WITHOUT_TOKEN = frozenset({"/healthz", "/readyz"})
_METHOD = re.compile(r"[a-z][a-z0-9_.]{0,63}")
BODY_SECONDS = 20.0
"""How long a whole body may take: 8 MiB over the loopback take less than a tenth of a second."""
_log = logging.getLogger(__name__)


class Backend(Protocol):
    """The node, as the control API sees it. Both methods raise CallError to refuse."""

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """The result of one call, as values that JSON holds. Unknown method: CallError("no_such_method", .., 404)."""

    async def events(self, params: dict[str, str]) -> AsyncGenerator[Any, None]:
        """Events from now, or from the cursor that params name. The node bounds what waits for a slow reader.

        The generator may wait, but must not hold a nursery or a cancel scope open across a yield.
        """


def control_app(
    backend: Backend,
    token: str,
    registry: CollectorRegistry,
    not_ready: Callable[[], str | None],
    *,
    body_bytes: int = 8 << 20,
    body_seconds: float = BODY_SECONDS,
    streams: int = 32,
) -> Starlette:
    """The ASGI application. not_ready: why the node does not serve yet, or None. streams: the most at once."""
    api = _Api(backend, registry, not_ready, body_bytes, body_seconds, streams)
    routes = [
        Route("/healthz", api.healthz),
        Route("/readyz", api.readyz),
        Route("/metrics", api.metrics),
        Route("/openapi.json", api.openapi),
        Route("/v1/events", api.events),
        Route("/v1/{method}", api.call, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, token=token)],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False  # a redirect of a POST is nothing that a program expects
    return app


class _Api:
    def __init__(
        self,
        backend: Backend,
        registry: CollectorRegistry,
        not_ready: Callable[[], str | None],
        body_bytes: int,
        body_seconds: float,
        streams: int,
    ) -> None:
        self._backend = backend
        self._registry = registry
        self._not_ready = not_ready
        self._body_bytes, self._body_seconds = body_bytes, body_seconds
        self._streams = streams
        self._streaming = 0

    async def healthz(self, request: Request) -> Response:
        return _json({"ok": True})

    async def readyz(self, request: Request) -> Response:
        reason = self._not_ready()
        return _json({"ready": True}) if reason is None else _error("not_ready", reason, 503)

    async def metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(self, request: Request) -> Response:
        return _json(document(EVERY))

    async def call(self, request: Request) -> Response:
        method = request.path_params["method"]
        if not _METHOD.fullmatch(method):
            return _error("no_such_method", "A method is lower-case letters, digits, dots and underscores.", 404)
        try:
            params = _params(await _body(request, self._body_bytes, self._body_seconds))
            return _json(await self._backend.call(method, params))
        except CallError as error:
            return _error(error.code, error.message, error.status)
        except ClientDisconnect:
            return _error("bad_request", "The request ended in the middle of its body.", 400)  # nobody hears it
        except Exception:
            _log.exception("control call %s failed", method)
            return _error("internal", f"{method} failed inside the node; its log says why.", 500)

    async def events(self, request: Request) -> Response:
        if self._streaming >= self._streams:
            message = f"{self._streaming} event streams are open and {self._streams} are allowed; close one."
            return _error("too_many_streams", message, 429)
        try:
            events = await self._backend.events(dict(request.query_params))
        except CallError as error:
            return _error(error.code, error.message, error.status)
        return _Lines(events, self._count)

    def _count(self, change: int) -> None:
        self._streaming += change


class _Lines(Response):
    """Events as JSON lines until they end or the reader leaves. An error that comes midway is the last line."""

    def __init__(self, events: AsyncGenerator[Any, None], count: Callable[[int], None]) -> None:
        super().__init__(headers={"content-type": "application/x-ndjson", "cache-control": "no-store"})
        del self.headers["content-length"]
        self._events = events
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._count(1)
        try:
            async with aclosing(self._events), anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await _send_line(send, b"")  # servers hold the head back until there is a body
                try:
                    async for event in self._events:
                        await _send_line(send, msgspec.json.encode(event))
                except CallError as error:
                    await _send_line(send, _error_body(error.code, error.message))
                except Exception:
                    _log.exception("an event stream failed")
                    await _send_line(send, _error_body("internal", "The stream failed; the node's log says why."))
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()
        finally:
            self._count(-1)


async def _send_line(send: Send, line: bytes) -> None:
    await send({"type": "http.response.body", "body": line + b"\n", "more_body": True})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


class _Guard:
    """Answers only this machine, and only those who can read the token's file."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: answered with 403
            return
        refusal = self._refusal(scope)
        body = _Unread(scope, receive, send)
        await (refusal or self._app)(scope, body.receive, body.send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or re.sub(r":[0-9]{1,5}$", "", hosts[0].lower()) not in _LOCAL_HOSTS:
            return _error(
                "wrong_host", f"The Host is {hosts}, and this answers to localhost, 127.0.0.1 and [::1].", 403
            )
        if scope["path"] in _WITHOUT_TOKEN:
            return None
        tokens = [value for name, value in headers if name == b"authorization"]
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0], self._expected):
            message = "Send the content of control.token, in the node's home, as `Authorization: Bearer TOKEN`."
            return _error("not_allowed", message, 401, {"www-authenticate": "Bearer"})
        let_in(scope)
        return None


class _Unread:
    """Says `Connection: close` in an answer that leaves before the whole body was read: the server closes then, and a
    client that was not told would send its next request into a closed connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        headers = {name.lower(): value for name, value in scope["headers"]}
        self._unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._unread:
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await self._send(message)


async def _body(request: Request, most: int, seconds: float) -> bytes:
    declared = request.headers.get("content-length", "0")
    body, whole = bytearray(), declared.isdigit() and int(declared) <= most
    if whole:
        with anyio.move_on_after(seconds) as deadline:
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    whole = len(body) <= most
                    if not whole:
                        break
        if deadline.cancelled_caught:
            message = f"The request's body did not come whole within {seconds:g} s; send it at once."
            raise CallError("too_slow", message, 408)
    if not whole:
        message = f"The request is larger than {most} bytes; split it, or raise control.body_bytes."
        raise CallError("too_large", message, 413)
    return bytes(body)


def _params(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallError("bad_request", f"The body must be a JSON object of parameters ({error}).") from error


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kind = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, kind | (headers or {}))


def _error_body(code: str, message: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def _error(code: str, message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return _json({"error": {"code": code, "message": message}}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _error("not_here", f"{request.method} {request.url.path}: {error.detail}.", error.status_code)
