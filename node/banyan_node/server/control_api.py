"""The local control API of a running node, for the command line and a platform's own programs.

    POST /v1/{method}   a JSON object of parameters -> the JSON result; with an Idempotency-Key, done once
    GET  /v1/events     one JSON value a line, for as long as the reader stays; the query string is the parameters
    GET  /v1/media/BLOB the bytes of a picture or film, or a range of them (blob_files.py)
    GET  /metrics       for Prometheus
    GET  /openapi.json  all of this for programs
    GET  /healthz       200 while the process answers
    GET  /readyz        200 once the node serves, else 503 and the reason; ?peers=N: with so many peers linked

A refusal is {"error": {"code", "message"}} with a 4xx or 5xx status. The invariants: only /healthz and /readyz answer
without the token of this run; a Host that is not this machine is refused, so a web page that points its own name at
127.0.0.1 cannot use the API; no request is read beyond its size limit, or longer than BODY_SECONDS.

Calls, which are nearly all requests, go directly to their method; the others use Starlette's routes. Neither depends on
the server or its event loop, so any ASGI server can run them.
"""

import hmac
import logging
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import lru_cache
from typing import Any, Protocol

import anyio
import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from banyan_node.api.dispatch import EVERY
from banyan_node.api.reference import document
from banyan_node.idempotency import MAX_KEY, RecordKey, key_of
from banyan_node.operator_errors import CallError, bad_request
from banyan_node.server.blob_files import BlobFiles, until_gone
from banyan_node.server.http_connections import let_in
from banyan_node.server.http_protocol import nested

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
_WITHOUT_TOKEN = frozenset({"/healthz", "/readyz"})
_CALL = re.compile(r"/v1/([^/]+)")
_METHOD = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_A_FEW = re.compile(r"[0-9]{1,4}", re.ASCII)
_EVENTS = "/v1/events"
_JSON = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))
BODY_SECONDS = 20.0
"""The time limit of a body. 8 MiB over loopback take less than 0.1 s."""
PROGRAM = "a program with this machine's control API"
_log = logging.getLogger(__name__)


class ControlBackend(Protocol):
    """The node, as the control API sees it. Both methods raise CallError to refuse."""

    async def answer(self, method: str, params: dict[str, Any], *, once: RecordKey | None = None) -> Any:
        """The result of one call, as msgspec encodes it. once: under this key it is done once. Unknown method:
        CallError("no_such_method", .., 404)."""

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, fewer at its end. blob: 64 digits."""

    async def events(self, params: dict[str, str]) -> AsyncGenerator[Any, None]:
        """Events from now, or from the cursor that params name. The node bounds what waits for a slow reader.

        The generator may wait, but must not hold a nursery or a cancel scope open across a yield.
        """


def control_app(
    backend: ControlBackend,
    token: str,
    registry: CollectorRegistry,
    not_ready: Callable[[], str | None],
    linked: Callable[[], int] = lambda: 0,
    *,
    body_bytes: int = 8 << 20,
    body_seconds: float = BODY_SECONDS,
    streams: int = 32,
    stopped: Callable[[str, str], object] = lambda gate, whom: None,
) -> ASGIApp:
    """The ASGI application. not_ready: why the node does not serve yet, or None. linked: how many peers are.
    streams: the most at once. stopped(gate, whom): told of each refusal of a gate."""
    api = _Api(registry, not_ready, linked)
    routes = [
        Route("/healthz", api.healthz),
        Route("/readyz", api.readyz),
        Route("/metrics", api.metrics),
        Route("/openapi.json", api.openapi),
        Route(_EVENTS, _EventStreams(backend, streams, stopped)),
        Route("/v1/media/{blob}", BlobFiles(backend, refused)),
    ]
    rest = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    rest.router.redirect_slashes = False  # programs do not expect a redirect of a POST
    return _Door(token, _Calls(backend, body_bytes, body_seconds, stopped), rest, stopped)


class _Api:
    def __init__(
        self, registry: CollectorRegistry, not_ready: Callable[[], str | None], linked: Callable[[], int]
    ) -> None:
        self._registry, self._not_ready, self._linked = registry, not_ready, linked

    async def healthz(self, request: Request) -> Response:
        return _json({"ok": True})

    async def readyz(self, request: Request) -> Response:
        asked = request.query_params
        wanted = asked.get("peers", "0")
        if len(asked.multi_items()) > ("peers" in asked) or not _A_FEW.fullmatch(wanted):
            return _error("bad_request", "/readyz takes peers=N alone, a whole number of at most four digits.", 400)
        reason, linked = self._not_ready(), self._linked()
        if reason is None and linked < int(wanted):
            reason = f"{linked} peers are linked, and {int(wanted)} are asked for"
        if reason is not None:
            return _error("not_ready", reason, 503)
        return _json({"ready": True, **({"peers": linked} if asked else {})})

    async def metrics(self, request: Request) -> Response:
        return Response(generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def openapi(self, request: Request) -> Response:
        return _json(document(EVERY))


class _EventStreams:
    """GET /v1/events. At most `most` streams are open, including those that are starting or ending."""

    def __init__(self, backend: ControlBackend, most: int, stopped: Callable[[str, str], object]) -> None:
        self._backend, self._most, self._stopped = backend, most, stopped
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._open += 1
        try:
            await (await self._answer(Request(scope)))(scope, receive, send)
        finally:
            self._open -= 1

    async def _answer(self, request: Request) -> Response:
        if request.method != "GET":
            return _error("not_here", f"{request.method} {_EVENTS}: events are read with GET.", 405, {"allow": "GET"})
        if self._open > self._most:
            message = f"{self._most} event streams are open, and no more are allowed; close one."
            self._stopped("streams", PROGRAM)
            return _error("too_many_streams", message, 429)
        try:
            return _Lines(await self._backend.events(dict(request.query_params)))
        except CallError as error:
            return refused(error)


class _Lines(Response):
    """Events as JSON lines until they end or the reader leaves. If an error occurs, it is the last line.

    It is the last answer on its connection: otherwise the server would not notice that a reader has left.
    """

    def __init__(self, events: AsyncGenerator[Any, None]) -> None:
        super().__init__(
            headers={"content-type": "application/x-ndjson", "cache-control": "no-store", "connection": "close"}
        )
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events), anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone, receive, tasks.cancel_scope)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await _send_line(send, b"")  # servers send the head only together with a body
            try:
                async for event in self._events:
                    await _send_line(send, msgspec.json.encode(event))
            except CallError as error:
                await _send_line(send, nested(error.code, error.message))
            except Exception:
                _log.exception("an event stream failed")
                await _send_line(send, nested("internal", "The stream failed; the node's log says why."))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()


async def _send_line(send: Send, line: bytes) -> None:
    await send({"type": "http.response.body", "body": line + b"\n", "more_body": True})


class _Door:
    """Answers only requests that name this machine as Host and have the token."""

    def __init__(self, token: str, calls: "_Calls", rest: ASGIApp, stopped: Callable[[str, str], object]) -> None:
        self._expected = b"Bearer " + token.encode()
        self._calls, self._rest, self._stopped = calls, rest, stopped

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # the server answers with 403
            return
        refusal = self._refusal(scope)
        call = _CALL.fullmatch(scope["path"]) if refusal is None else None
        if call is not None and (scope["method"] == "POST" or scope["path"] != _EVENTS):
            await self._calls.answer(call[1], scope, receive, send)
            return
        body = _ClosingAnswer(scope, receive, send)
        await (refusal or self._rest)(scope, body.receive, body.send)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts = _values(scope, b"host")
        if len(hosts) != 1 or not _is_local(hosts[0]):
            named = b", ".join(hosts).decode("latin-1")[:60] or "missing"
            message = f"The Host header is {named}; this answers to localhost, 127.0.0.1 and [::1]."
            self._stopped("host", PROGRAM)
            return _error("wrong_host", message, 403)
        if scope["path"] in _WITHOUT_TOKEN:
            return None
        tokens = _values(scope, b"authorization")
        if len(tokens) != 1 or not hmac.compare_digest(tokens[0], self._expected):
            message = "Send the content of control.token, in the node's home, as `Authorization: Bearer TOKEN`."
            self._stopped("token", PROGRAM)
            return _error("not_allowed", message, 401, {"www-authenticate": "Bearer"})
        let_in(scope)
        return None


def _values(scope: Scope, name: bytes) -> list[bytes]:
    """The values of the headers with this name. ASGI has names in lower case."""
    return [value for n, value in scope["headers"] if n == name]


@lru_cache(64)
def _is_local(host: bytes) -> bool:
    return re.sub(r":[0-9]{1,5}$", "", host.decode("latin-1").lower()) in _LOCAL_HOSTS


class _ClosingAnswer:
    """Adds `Connection: close` to an answer that is sent before the whole body was read. The server closes the
    connection then, and otherwise the client would send its next request to it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.is_so = bool(_values(scope, b"transfer-encoding")) or _values(scope, b"content-length") not in ([], [b"0"])

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.is_so = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self.is_so:
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await self._send(message)


class _Calls:
    """POST /v1/{method}."""

    def __init__(
        self, backend: ControlBackend, body_bytes: int, body_seconds: float, stopped: Callable[[str, str], object]
    ) -> None:
        self._backend, self._most, self._seconds, self._stopped = backend, body_bytes, body_seconds, stopped

    async def answer(self, method: str, scope: Scope, receive: Receive, send: Send) -> None:
        body = _ClosingAnswer(scope, receive, send)
        try:
            status, said = 200, await self._call(method, scope, body)
        except CallError as error:
            status, said = error.status, nested(error.code, error.message, error.more)
        except _Left:
            return
        except Exception:
            _log.exception("control call %s failed", method)
            status, said = 500, nested("internal", f"{method} failed inside the node; its log says why.")
        headers = [(b"content-length", b"%d" % len(said)), *_JSON, *([(b"allow", b"POST")] if status == 405 else ())]
        await body.send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    async def _call(self, method: str, scope: Scope, body: _ClosingAnswer) -> bytes:
        if scope["method"] != "POST":
            raise CallError("not_here", f"{scope['method']} {scope['path']}: a call is a POST.", 405)
        if not _METHOD.fullmatch(method):
            raise CallError("no_such_method", "A method is lower-case letters, digits, dots and underscores.", 404)
        params = _params(await self._whole(scope, body))
        given, once = _values(scope, b"idempotency-key"), None
        if given:
            if not 0 < len(given[0]) <= MAX_KEY:
                raise bad_request(f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
            once = key_of("control", given[0].decode("latin-1"), [method, params])
        return msgspec.json.encode(await self._backend.answer(method, params, once=once))

    async def _whole(self, scope: Scope, body: _ClosingAnswer) -> bytes:
        """The body. Raises CallError, _Left."""
        declared = _values(scope, b"content-length") or [b"0"]
        pieces: list[bytes] = []
        size, whole = 0, declared[0].isdigit() and int(declared[0]) <= self._most
        with anyio.move_on_after(self._seconds) as deadline:
            while whole:
                message = await body.receive()
                if message["type"] != "http.request":
                    raise _Left
                pieces.append(message.get("body", b""))
                size += len(pieces[-1])
                whole = size <= self._most
                if not message.get("more_body", False):
                    break
        if deadline.cancelled_caught or not whole:
            self._stopped("body", PROGRAM)
        if deadline.cancelled_caught:
            why = f"The request's body did not come whole within {self._seconds:g} s; send it at once."
            raise CallError("too_slow", why, 408)
        if not whole:
            why = f"The request is larger than {self._most} bytes; split it, or raise control.body_bytes."
            raise CallError("too_large", why, 413)
        return b"".join(pieces)


class _Left(Exception):
    """The client disconnected in the middle of its body."""


def _params(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"The body must be a JSON object of parameters ({error}).") from error


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kind = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, kind | (headers or {}))


def refused(error: CallError, headers: dict[str, str] | None = None) -> Response:
    """The answer of this API to what was refused."""
    said = {"code": error.code, "message": error.message, **error.more}
    return _json({"error": said}, error.status, headers)


def _error(code: str, message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return refused(CallError(code, message, status), headers)


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    message = f"{request.method} {request.url.path}: {error.detail}."
    return _error("not_here", message, error.status_code, dict(error.headers or {}))
