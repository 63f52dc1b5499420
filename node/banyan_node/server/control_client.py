"""Clients of the node that runs in a home, for the command line and a platform's worker processes.

The invariant: the token is sent only to the address that the node itself wrote. A refusal arrives as the CallError that
the node raised. The lines to the node are those of all clients (client/wire.py).
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from banyan_node.client.wire import JSON, Address, AsyncHttpLine, HttpLine, is_late, is_refused, refusal, result
from banyan_node.home.folder import Home
from banyan_node.operator_errors import NoNode
from banyan_node.server.servers import ControlFile, ServerAddress, find_running

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from banyan_node.workers.side_threads import Waiting

CALL_SECONDS = 60.0
AT_ONCE = 2
"""Calls that `ControlClient.begin` has running: as many as the node works on at a time."""


class ControlClient:
    """A blocking client. One per thread; close it, or use it as a context manager."""

    def __init__(self, home: Home, running: ControlFile, token: str, seconds: float = CALL_SECONDS) -> None:
        self._home = home
        self._running = running
        self._line = HttpLine(_address(running.endpoint), _headers(token), seconds)
        self._events = HttpLine(_address(running.endpoint), _headers(token), None)
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
            answer = self._line.ask("POST", path, msgspec.json.encode(params))
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(self._home, self._running, error) from error
        return result(answer, path)

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
        path, rest = f"/v1/events?{urlencode(params)}", b""
        pieces = self._events.stream("GET", path)
        try:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    if end.value is not None:
                        result(end.value, path)
                    break
                *lines, rest = (rest + piece).split(b"\n")
                yield from map(_event, filter(None, lines))
            if rest:
                yield _event(rest)
        except (OSError, http.client.HTTPException) as error:
            raise _no_answer(self._home, self._running, error) from error
        finally:
            pieces.close()

    def close(self) -> None:
        """Close the connection, and those of calls that were begun; the node goes on with what it was asked."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            for other in self._others:
                other._line.hang_up()
            self._threads.shutdown()
            for other in self._others:
                other.close()
        self._line.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncControlClient:
    """Calls from inside trio or asyncio. Use it as an async context manager; for events, a thread and ControlClient."""

    def __init__(self, home: Home, running: ControlFile, token: str, seconds: float = CALL_SECONDS) -> None:
        self._home = home
        self._running = running
        self._line = AsyncHttpLine(_address(running.endpoint), _headers(token), seconds)

    @classmethod
    def from_home(cls, home: Home, seconds: float = CALL_SECONDS) -> AsyncControlClient:
        """A client of the node that runs in this home. Raises NoNode."""
        return cls(home, *find_running(home), seconds)

    async def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises CallError, NoNode."""
        import httpx

        path = f"/v1/{method}"
        try:
            answer = await self._line.ask("POST", path, msgspec.json.encode(params))
        except httpx.TransportError as error:
            raise _no_answer(self._home, self._running, error) from error
        return result(answer, path)

    async def __aenter__(self) -> AsyncControlClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.close()


def _address(endpoint: ServerAddress) -> Address:
    return Address(endpoint.host, endpoint.port, endpoint.socket)


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": JSON}


def _event(line: bytes) -> Any:
    event = msgspec.json.decode(line)
    if isinstance(event, dict) and event.keys() == {"error"}:
        raise refusal(event, 500)
    return event


def _no_answer(home: Home, running: ControlFile, error: Exception) -> NoNode:
    if is_refused(error):
        return NoNode(
            f"No node is running in {home.path}: {home.running} names {running.endpoint}, where nobody answers; "
            "start one with `banyan up`."
        )
    if is_late(error):
        return NoNode(f"The node in {home.path} took longer than it was given to answer; it may be busy. Try again.")
    return NoNode(f"The node in {home.path} went away in the middle of an answer; its log says why.")
