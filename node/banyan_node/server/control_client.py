"""Clients of the node that runs in a home, for the command line and a platform's worker processes.

The invariant: the token is sent only to the address that the node itself wrote; proxies and other settings in the
environment are ignored. A refusal arrives as the CallError that the node raised.

A command is one call, so the blocking client is the standard library's: httpx takes longer to import than the call.
"""

from __future__ import annotations

import http.client
import select
import socket
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from banyan_node.home.folder import Home
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.server.running import Endpoint, Running, find_running

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from banyan_node.workers.beside import Waiting

CALL_SECONDS = 60.0
AT_ONCE = 2
"""Calls that `ControlClient.begin` has running: as many as the node works on at a time."""


class ControlClient:
    """A blocking client. One per thread; close it, or use it as a context manager."""

    def __init__(self, home: Home, running: Running, token: str, seconds: float = CALL_SECONDS) -> None:
        self._home = home
        self._running = running
        self._headers = _headers(token)
        self._http = _Connection(running.endpoint, seconds)
        self._more: Callable[[], ControlClient] = partial(ControlClient, home, running, token, seconds)
        self._threads: ThreadPoolExecutor | None = None
        self._others = list[ControlClient]()
        """For calls that were begun. free: those that no thread uses."""
        self._free = list[ControlClient]()

    @classmethod
    def from_home(cls, home: Home, seconds: float = CALL_SECONDS) -> ControlClient:
        """A client of the node that runs in this home. Raises NoNode."""
        return cls(home, *find_running(home), seconds)

    def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises CallError if the node refuses, NoNode if it does not answer."""
        path = f"/v1/{method}"
        try:
            if self._http.is_stale():
                self._http.close()
            self._http.request("POST", path, msgspec.json.encode(params), self._headers)
            response = self._http.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise _no_answer(self._home, self._running, error) from error
        return _result(content, response.status, path)

    def begin(self, method: str, **params: Any) -> Waiting:
        """Begins a call, which runs beside others on a connection of its own. Returns what waits for its answer, or
        raises what `call` does."""
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor  # which most commands do without

            self._threads = ThreadPoolExecutor(AT_ONCE, "call")
            self._others = [self._more() for _ in range(AT_ONCE)]
            self._free = list(self._others)
        return self._threads.submit(self._call_beside, method, params).result

    def _call_beside(self, method: str, params: dict[str, Any]) -> Any:
        other = self._free.pop()
        try:
            return other.call(method, **params)
        finally:
            self._free.append(other)

    def events(self, **params: str | int) -> Generator[Any, None, None]:
        """Events as they happen, until the node stops or the iterator is closed. Raises CallError, NoNode."""
        path, stream = f"/v1/events?{urlencode(params)}", _Connection(self._running.endpoint, None)
        try:
            stream.request("GET", path, headers=self._headers)
            with stream.getresponse() as response:  # it is the last on its connection, and owns the socket
                if response.status >= 400:
                    _result(response.read(), response.status, path)
                for line in _lines(response):
                    yield _event(line)
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(self._home, self._running, error) from error
        finally:
            stream.close()

    def close(self) -> None:
        """Close the connection, and those of calls that were begun; the node goes on with what it was asked."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for other in self._others:
                other._http.hang_up()
            self._threads.shutdown()
            for other in self._others:
                other.close()
        self._http.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Connection(http.client.HTTPConnection):
    """A connection to a node, over TCP or its Unix socket. seconds: the limit of each wait; None: no limit."""

    def __init__(self, endpoint: Endpoint, seconds: float | None) -> None:
        super().__init__(endpoint.host or "localhost", endpoint.port or None, timeout=seconds)
        self._path = endpoint.socket

    def connect(self) -> None:
        if self._path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        else:
            super().connect()

    def hang_up(self) -> None:
        """Ends the wait of another thread."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def is_stale(self) -> bool:
        """Whether the node has closed the connection since the last answer; nothing else makes it readable."""
        if self.sock is None:
            return False
        waits = select.poll()
        waits.register(self.sock, select.POLLIN)
        return bool(waits.poll(0))


class AsyncControlClient:
    """Calls from inside trio or asyncio. Use it as an async context manager; for events, a thread and ControlClient."""

    def __init__(self, home: Home, running: Running, token: str, seconds: float = CALL_SECONDS) -> None:
        import httpx

        endpoint = running.endpoint
        self._home = home
        self._running = running
        self._http = httpx.AsyncClient(
            base_url=endpoint.url,
            headers=_headers(token),
            timeout=seconds,
            trust_env=False,
            transport=httpx.AsyncHTTPTransport(uds=endpoint.socket or None),
        )

    @classmethod
    def from_home(cls, home: Home, seconds: float = CALL_SECONDS) -> AsyncControlClient:
        """A client of the node that runs in this home. Raises NoNode."""
        return cls(home, *find_running(home), seconds)

    async def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises CallError, NoNode."""
        import httpx

        path = f"/v1/{method}"
        try:
            response = await self._http.post(path, content=msgspec.json.encode(params))
            return _result(response.content, response.status_code, path)
        except httpx.TransportError as error:
            raise _no_answer(self._home, self._running, error) from error

    async def __aenter__(self) -> AsyncControlClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _result(content: bytes, status: int, path: str) -> Any:
    try:
        body = msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise CallError("bad_answer", f"The answer to {path} is not JSON (status {status}).", status) from error
    if status >= 400:
        raise _refusal(body, status)
    return body


def _lines(response: http.client.HTTPResponse) -> Generator[bytes, None, None]:
    """Non-empty lines as they arrive. (`readline` of a chunked answer loses data before a broken end.)"""
    rest = b""
    while piece := response.read1(1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest


def _event(line: bytes) -> Any:
    event = msgspec.json.decode(line)
    if isinstance(event, dict) and event.keys() == {"error"}:
        raise _refusal(event, 500)
    return event


def _refusal(body: Any, status: int) -> CallError:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return CallError("bad_answer", f"The node answered with status {status} and no reason.", status)
    return CallError(str(error.get("code")), str(error.get("message")), status)


def _no_answer(home: Home, running: Running, error: Exception) -> NoNode:
    kind = type(error).__name__  # httpx's errors are recognised by name, because it may not be loaded
    if isinstance(error, ConnectionRefusedError | FileNotFoundError) or kind == "ConnectError":
        return NoNode(
            f"No node is running in {home.path}: {home.running} names {running.endpoint}, where nobody answers; "
            "start one with `banyan up`."
        )
    if isinstance(error, TimeoutError) or kind.endswith("Timeout"):
        return NoNode(f"The node in {home.path} took longer than it was given to answer; it may be busy. Try again.")
    return NoNode(f"The node in {home.path} went away in the middle of an answer; its log says why.")
