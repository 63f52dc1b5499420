"""How endpoints are declared, and a request as they see it.

    ENDPOINTS = Endpoints()

    @ENDPOINTS.get("/api/v1/lists/{id}", "read:lists")
    async def show(web: Web, ask: Ask) -> Any: ...

What an endpoint returns is encoded as JSON, unless it is a Starlette response.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from starlette.requests import Request

from banyan_node.operator_errors import CallError
from banyan_web.bounds import Bounds
from banyan_web.door_store import DoorStore, Token
from banyan_web.refusals import Refused, of_call
from banyan_web.shelf import Shelf


class Backend(Protocol):
    """A node. All methods raise CallError."""

    async def call(self, name: str, params: Mapping[str, Any]) -> Any:
        """The answer, as JSON values."""

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, fewer at its end."""

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        """What happens at the node."""


@dataclass(slots=True)
class Ask:
    """A request. params: of query and body. path: the parts of the path that stand in braces. token: None without
    one."""

    request: Request
    path: dict[str, str]
    params: dict[str, Any]
    token: Token | None
    address: str = "unknown"
    """Who asks, for counting: an IP address, or a /64 of IPv6."""
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the answer."""

    @property
    def account(self) -> str:
        """Who asks, a DID. Raises Refused for a token that is of an app alone."""
        if self.token is None or self.token.account is None:
            raise Refused(401, "This needs a person who is logged in: use a token of theirs.")
        return self.token.account

    @property
    def reader(self) -> str | None:
        """Who asks, or None."""
        return None if self.token is None else self.token.account


PEOPLE, PEOPLE_S = 20_000, 10.0
"""Accounts that stand beside posts: so many are kept made, each for so long; its counts may be so old there."""
TEXTS = 20_000
"""Texts of posts that are kept as HTML."""


@dataclass(frozen=True, slots=True)
class Web:
    """What endpoints share. url: the address by which clients know this server, without a slash at its end. domain: of
    its accounts' names. email: of who runs it, or empty. people: Account entities by DID. texts: HTML, by the text and
    by where its mentions lead."""

    backend: Backend
    door: DoorStore
    url: str
    domain: str
    title: str
    bounds: Bounds = field(default_factory=Bounds)
    description: str = ""
    email: str = ""
    people: Shelf[str, dict[str, Any]] = field(default_factory=lambda: Shelf(PEOPLE, PEOPLE_S))
    texts: Shelf[object, str] = field(default_factory=lambda: Shelf(TEXTS))

    async def call(self, method: str, **params: Any) -> Any:
        """A method of the node; `by` is the account that acts. Parameters that are None are left out. Raises
        Refused."""
        named = {("as" if name == "by" else name): value for name, value in params.items() if value is not None}
        try:
            return await self.backend.call(method, named)
        except CallError as error:
            raise of_call(error) from error


Do: TypeAlias = Callable[[Web, Ask], Awaitable[Any]]


class Endpoint(NamedTuple):
    """scope: that the token must have, such as `read:lists`; None: no token is needed, and one that comes is read.
    files: whether it takes files."""

    verb: str
    path: str
    scope: str | None
    do: Do
    files: bool = False


class Endpoints:
    """The endpoints of one module."""

    def __init__(self) -> None:
        self.all: list[Endpoint] = []

    def add(self, verb: str, path: str, scope: str | None = None, files: bool = False) -> Callable[[Do], Do]:
        def add(do: Do) -> Do:
            self.all.append(Endpoint(verb, path, scope, do, files))
            return do

        return add

    def get(self, path: str, scope: str | None = None) -> Callable[[Do], Do]:
        return self.add("GET", path, scope)

    def post(self, path: str, scope: str | None = None, files: bool = False) -> Callable[[Do], Do]:
        return self.add("POST", path, scope, files)

    def put(self, path: str, scope: str | None = None, files: bool = False) -> Callable[[Do], Do]:
        return self.add("PUT", path, scope, files)

    def patch(self, path: str, scope: str | None = None, files: bool = False) -> Callable[[Do], Do]:
        return self.add("PATCH", path, scope, files)

    def delete(self, path: str, scope: str | None = None) -> Callable[[Do], Do]:
        return self.add("DELETE", path, scope)
