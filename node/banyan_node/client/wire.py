"""HTTP as a client: requests to a node, answers, and what is refused. All clients of a node use it.

The blocking side is the standard library's, because httpx takes longer to import than a call of the command line; the
asynchronous side is httpx, on trio and asyncio. The invariants: credentials go only to the address that was given;
proxies and other settings in the environment are ignored; a refusal is a CallError with the status, the code and the
sentence of the server.
"""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Generator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    import httpx

JSON = "application/json"
STREAM_SECONDS = 60.0
"""How long a stream may be silent: a heartbeat comes every 15 s."""


class Address(NamedTuple):
    """Where a server listens: a host and port, or a Unix socket's path. tls: whether it speaks TLS. path: before those
    of requests, without a slash at its end."""

    host: str
    port: int
    socket: str = ""
    tls: bool = False
    path: str = ""

    @classmethod
    def of_url(cls, url: str) -> Address:
        """Raises ValueError."""
        at = urlsplit(url)
        if at.scheme not in ("http", "https") or not at.hostname or at.username or at.query or at.fragment:
            raise ValueError(f"'{url[:80]}' is no address of a node: expected http://HOST:PORT or https://HOST")
        tls = at.scheme == "https"
        return cls(at.hostname, at.port or (443 if tls else 80), "", tls, at.path.rstrip("/"))

    @property
    def url(self) -> str:
        """Over a Unix socket the host is only a name."""
        if self.socket:
            return "http://localhost"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"

    def __str__(self) -> str:
        return self.socket or f"{self.host} port {self.port}"


class HttpAnswer(NamedTuple):
    """headers: by lower-case names."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith(JSON)


class HttpLine:
    """A connection that is opened when it is needed, and again after it broke. One thread. seconds: the limit of each
    wait; None: no limit."""

    def __init__(self, address: Address, headers: Mapping[str, str], seconds: float | None) -> None:
        self._address, self._headers, self._seconds = address, dict(headers), seconds
        self._http = _connection(address, seconds)

    def ask(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Raises OSError, http.client.HTTPException: then nobody knows whether it was done."""
        try:
            if self._is_stale():
                self._http.close()
            self._http.request(verb, self._address.path + path, body, {**self._headers, **(headers or {})})
            response = self._http.getresponse()
            return HttpAnswer(response.status, _lower(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise

    def stream(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Generator[bytes, None, HttpAnswer | None]:
        """The pieces of an answer as they come, on a connection of their own, which ends with the generator. Returns an
        answer without pieces if it is a refusal. Raises what `ask` does."""
        line = _connection(self._address, self._seconds)
        try:
            line.request(verb, self._address.path + path, body, {**self._headers, **(headers or {})})
            with line.getresponse() as response:  # it is the last on its connection, and owns the socket
                if response.status >= 400:
                    return HttpAnswer(response.status, _lower(response.getheaders()), response.read())
                while piece := response.read1(1 << 16):
                    yield piece
                return None
        finally:
            line.close()

    def hang_up(self) -> None:
        """Ends the wait of another thread."""
        if self._http.sock is not None:
            with suppress(OSError):
                self._http.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()

    def _is_stale(self) -> bool:
        """Whether the server has closed the connection since the last answer; nothing else makes it readable."""
        if self._http.sock is None:
            return False
        waits = select.poll()
        waits.register(self._http.sock, select.POLLIN)
        return bool(waits.poll(0))


def _lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _connection(address: Address, seconds: float | None) -> http.client.HTTPConnection:
    if address.tls:
        return http.client.HTTPSConnection(address.host, address.port, timeout=seconds)
    return _SocketConnection(address, seconds)


class _SocketConnection(http.client.HTTPConnection):
    """Over TCP or a Unix socket."""

    def __init__(self, address: Address, seconds: float | None) -> None:
        super().__init__(address.host or "localhost", address.port or None, timeout=seconds)
        self._path = address.socket

    def connect(self) -> None:
        if self._path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        else:
            super().connect()


class AsyncHttpLine:
    """The same from inside trio or asyncio. Use it as an async context manager, or close it."""

    def __init__(self, address: Address, headers: Mapping[str, str], seconds: float) -> None:
        self._address, self._headers, self._seconds = address, dict(headers), seconds

    @cached_property
    def http(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(
            base_url=self._address.url,
            headers=self._headers,
            timeout=self._seconds,
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(uds=self._address.socket or None),
        )

    async def ask(
        self, verb: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Raises httpx.TransportError: then nobody knows whether it was done."""
        response = await self.http.request(verb, path, content=body, headers=headers)
        return HttpAnswer(response.status_code, dict(response.headers), response.content)

    async def close(self) -> None:
        await self.http.aclose()


def result(answer: HttpAnswer, path: str) -> Any:
    """The JSON of an answer. Raises CallError."""
    try:
        body = msgspec.json.decode(answer.content)
    except msgspec.DecodeError as error:
        why = f"The answer to {path} is not JSON (status {answer.status})."
        raise CallError("bad_answer", why, answer.status) from error
    if answer.status >= 400:
        raise refusal(body, answer.status)
    return body


def refusal(body: Any, status: int) -> CallError:
    """What the server says: `{"error": {"code": ..., "message": ...}}` of the control API, or of the door
    `{"error": sentence, "code": ...}`."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        more = {name: value for name, value in error.items() if name not in ("code", "message")}
        return CallError(str(error.get("code")), str(error.get("message")), status, more)
    if isinstance(error, str):
        return CallError(str(body.get("code") or _CODES.get(status, "refused")), error, status)
    return CallError("bad_answer", f"The node answered with status {status} and no reason.", status)


_CODES = {401: "bad_token", 403: "not_allowed", 404: "not_found", 413: "too_large", 429: "too_many", 500: "internal"}


def is_refused(error: Exception) -> bool:
    """Whether nobody listens at the address. httpx's errors are known by name, because it may not be loaded."""
    return isinstance(error, ConnectionRefusedError | FileNotFoundError) or type(error).__name__ == "ConnectError"


def is_late(error: Exception) -> bool:
    """Whether the answer took longer than it may."""
    return isinstance(error, TimeoutError) or type(error).__name__.endswith("Timeout")
