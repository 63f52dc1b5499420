"""Talking to the node that runs in a home: what the command line and a platform's worker processes use.

The invariant: the token goes to the address that the node itself wrote down and nowhere else; proxies and other
settings in the environment are not followed. A refusal arrives as the CallError that the node raised.
"""

from collections.abc import Generator
from types import TracebackType
from typing import Any

import httpx
import msgspec

from banyan_node.home import Home
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.running import Running, find_running

CALL_SECONDS = 60.0


class ControlClient:
    """A blocking client. One per thread; close it, or use it as a context manager."""

    def __init__(self, home: Home, running: Running, token: str, seconds: float = CALL_SECONDS) -> None:
        endpoint = running.endpoint
        self._home = home
        self._running = running
        self._http = httpx.Client(
            base_url=endpoint.url,
            headers=_headers(token),
            timeout=seconds,
            trust_env=False,
            transport=httpx.HTTPTransport(uds=endpoint.socket or None),
        )

    @classmethod
    def from_home(cls, home: Home, seconds: float = CALL_SECONDS) -> "ControlClient":
        """A client of the node that runs in this home. Raises NoNode."""
        return cls(home, *find_running(home), seconds)

    def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises CallError when the node refuses, NoNode when it does not answer."""
        try:
            return _result(self._http.post(f"/v1/{method}", content=msgspec.json.encode(params)))
        except httpx.TransportError as error:
            raise _no_answer(self._home, self._running, error) from error

    def events(self, **params: str | int) -> Generator[Any, None, None]:
        """Events as they happen, until the node stops or the iterator is closed. Raises CallError, NoNode."""
        try:
            with self._http.stream("GET", "/v1/events", params=params, timeout=None) as response:
                if response.is_error:
                    response.read()
                    _result(response)
                for line in response.iter_lines():
                    if line:
                        yield _event(line)
        except httpx.TransportError as error:
            raise _no_answer(self._home, self._running, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncControlClient:
    """Calls from inside trio or asyncio. Use it as an async context manager; for events, a thread and ControlClient."""

    def __init__(self, home: Home, running: Running, token: str, seconds: float = CALL_SECONDS) -> None:
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
    def from_home(cls, home: Home, seconds: float = CALL_SECONDS) -> "AsyncControlClient":
        """A client of the node that runs in this home. Raises NoNode."""
        return cls(home, *find_running(home), seconds)

    async def call(self, method: str, **params: Any) -> Any:
        """The result of one call. Raises CallError, NoNode."""
        try:
            return _result(await self._http.post(f"/v1/{method}", content=msgspec.json.encode(params)))
        except httpx.TransportError as error:
            raise _no_answer(self._home, self._running, error) from error

    async def __aenter__(self) -> "AsyncControlClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()


def _headers(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}


def _result(response: httpx.Response) -> Any:
    try:
        body = msgspec.json.decode(response.content)
    except msgspec.DecodeError as error:
        message = f"The answer to {response.request.url} is not JSON (status {response.status_code})."
        raise CallError("bad_answer", message, response.status_code) from error
    if response.is_error:
        raise _refusal(body, response.status_code)
    return body


def _event(line: str) -> Any:
    event = msgspec.json.decode(line)
    if isinstance(event, dict) and event.keys() == {"error"}:
        raise _refusal(event, 500)
    return event


def _refusal(body: Any, status: int) -> CallError:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return CallError("bad_answer", f"The node answered with status {status} and no reason.", status)
    return CallError(str(error.get("code")), str(error.get("message")), status)


def _no_answer(home: Home, running: Running, error: httpx.TransportError) -> NoNode:
    if isinstance(error, httpx.ConnectError):
        return NoNode(
            f"No node is running in {home.path}: {home.running} names {running.endpoint}, where nobody answers; "
            "start one with `banyan up`."
        )
    if isinstance(error, httpx.TimeoutException):
        return NoNode(f"The node in {home.path} took longer than it was given to answer; it may be busy. Try again.")
    return NoNode(f"The node in {home.path} went away in the middle of an answer; its log says why.")
