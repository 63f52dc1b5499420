"""How endpoints are declared, what they share, and a request as they see it.

    ENDPOINTS = Endpoints()

    @ENDPOINTS.get("/api/v1/lists/{id}", "read:lists")
    async def show(web: DoorContext, ask: Ask) -> Any: ...

What an endpoint returns is encoded as JSON, unless it is a Starlette response.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from cachetools import FIFOCache, TTLCache
from starlette.requests import Request

from banyan_node.api.json_types import NOBODY
from banyan_node.api.methods.posts.post_rows import PostRow
from banyan_node.home.audit import OPERATOR, Actor
from banyan_node.home.sections import HttpSettings
from banyan_node.home.values import lacks_file, read_text, why_no_text
from banyan_node.idempotency import RecordKey
from banyan_node.operator_errors import CallError, ConfigError
from banyan_web.door_files import DoorFiles
from banyan_web.door_store import DoorStore, Token
from banyan_web.firehose.tail import Tail
from banyan_web.outbound_http import OutboundHttp
from banyan_web.rate_limits import RateLimits
from banyan_web.refusals import HttpRefusal, of_call

# What of entities was made once and is needed again.

PEOPLE, PEOPLE_S = 20_000, 10.0
"""Accounts that stand beside posts: so many are kept made, each for so long; its counts may be so old there."""
TALKED_S = 300.0
"""How old trends may be."""
TEXTS = 20_000
"""Texts of posts that are kept as HTML."""
BODIES = 10_000
"""Posts that are kept as JSON, each as one reader sees it: 3 kB."""


class StatusBody(NamedTuple):
    """A Status entity. row: of which it was made, held so that no other object gets its id. people: the Account
    entities in it, by DID."""

    row: PostRow
    people: tuple[tuple[str, Any], ...]
    json: bytes


@dataclass(frozen=True, slots=True)
class EntityCaches:
    """Of one process."""

    people: FIFOCache[str, tuple[float, dict[str, Any]]] = field(default_factory=lambda: FIFOCache(PEOPLE))
    """Account entities by DID, each with the time when it was made, seconds of `monotonic`."""
    texts: FIFOCache[object, str] = field(default_factory=lambda: FIFOCache(TEXTS))
    """HTML, by the text and by where its mentions lead."""
    tags: TTLCache[str, list[str]] = field(default_factory=lambda: TTLCache(PEOPLE, PEOPLE_S))
    """Those that an account follows."""
    talked: TTLCache[str, list[dict[str, Any]]] = field(default_factory=lambda: TTLCache(1, TALKED_S))
    """The newest posts, for trends."""
    bodies: FIFOCache[int, StatusBody] = field(default_factory=lambda: FIFOCache(BODIES))
    """Status entities as JSON (statuses.py)."""

    def person(self, did: str) -> dict[str, Any] | None:
        """One made within PEOPLE_S. Each post of a page asks, and a TTLCache takes four times as long to answer."""
        made = self.people.get(did)
        return made[1] if made is not None and monotonic() - made[0] < PEOPLE_S else None

    def put_person(self, did: str, entity: dict[str, Any]) -> None:
        self.people[did] = monotonic(), entity


# The rules of this server, its terms and its privacy policy: texts of the operator, read when the door opens.


class Notice(NamedTuple):
    """A text, and when its file was changed: milliseconds since 1970."""

    text: str
    changed_ms: int


class ServerRules(NamedTuple):
    """rules: their ids are their numbers, from 1. terms, privacy: None where there are none."""

    rules: tuple[str, ...] = ()
    terms: Notice | None = None
    privacy: Notice | None = None

    @staticmethod
    def read(http: HttpSettings, home: Path) -> ServerRules:
        """home: the folder of relative paths. Raises ConfigError."""
        terms, privacy = _notice_in("http.terms", home, http.terms), _notice_in("http.privacy", home, http.privacy)
        return ServerRules(tuple(http.rules), terms, privacy)

    def rule(self, number: str) -> str | None:
        """The text of a rule by its id."""
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 0
        return self.rules[at - 1] if 0 < at <= len(self.rules) else None


def _notice_in(setting: str, folder: Path, name: str) -> Notice | None:
    if not name:
        return None
    path = folder / name
    try:
        if (why := lacks_file(path) or why_no_text(path)) is None:
            return Notice(read_text(path), path.stat().st_mtime_ns // 1_000_000)
    except (OSError, ValueError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise ConfigError(f"{setting} names {path}, which {why}.")


class DoorBackend(Protocol):
    """A node. All methods raise CallError."""

    async def call(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        """The answer, as JSON values. by: who acts, for the audit log. once: under this key it is done once."""

    async def answer(self, name: str, params: Mapping[str, Any]) -> Any:
        """The answer in its declared type. What did not change may be the same object as before."""

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        """Bytes of a blob, fewer at its end."""

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        """What happens at the node."""


@dataclass(slots=True)
class DoorRequest:
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
        """Who asks, a DID. Raises HttpRefusal for a token that is of an app alone."""
        if self.token is None or self.token.account is None:
            raise HttpRefusal(401, "This needs a person who is logged in: use a token of theirs.")
        return self.token.account

    def has(self, tag: str) -> bool:
        """Whether If-None-Match names the tag."""
        said = self.request.headers.get("if-none-match", "")
        return said.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in said.split(","))

    @property
    def last_part(self) -> str:
        """Of the path: which of its paths an endpoint with several was asked at."""
        return str(self.request.scope["path"]).rstrip("/").rpartition("/")[2]

    @property
    def reader(self) -> str | None:
        """Who asks, or None."""
        return None if self.token is None else self.token.account


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server says of itself. domain: of its accounts' names. email: of who runs it, or empty."""

    domain: str
    title: str
    description: str = ""
    email: str = ""
    rules: ServerRules = field(default_factory=ServerRules)
    browser_accounts: bool = False
    """Whether accounts whose keys are in a browser are taken from everybody."""


@dataclass(frozen=True, slots=True)
class Firehose:
    """The end of the firehose, as events and as signed entries. Whoever opens the door runs and closes both
    tails."""

    tail: Tail
    runs: Tail


@dataclass(frozen=True, slots=True)
class DoorContext:
    """What endpoints share."""

    backend: DoorBackend
    door: DoorStore
    url: str
    """By which clients know this server, without a slash at its end."""
    server: ServerInfo
    firehose: Firehose
    files: DoorFiles
    """On their way through."""
    bounds: RateLimits = field(default_factory=RateLimits)
    outside: OutboundHttp = field(default_factory=OutboundHttp)
    """Asks addresses that others named."""
    caches: EntityCaches = field(default_factory=EntityCaches)
    parts: tuple[object, ...] = ()

    def part(self, kind: type[T]) -> T:
        """What the endpoints of one room share, by its class: so the context imports no room that imports it."""
        return next(one for one in self.parts if isinstance(one, kind))

    async def act(self, actor: Actor, method: str, once: RecordKey | None = None, /, **params: Any) -> Any:
        """A method that changes something for all, by an admin or a moderator. Raises HttpRefusal."""
        named = {"as" if name == "by" else name: value for name, value in params.items() if value is not None}
        return await _answered(self.backend.call(method, named, actor, once))

    async def call(self, method: str, once: RecordKey | None = None, /, **params: Any) -> Any:
        """A method of the node; `by` is the account that acts, None: nobody reads. Other parameters that are None are
        left out. Raises HttpRefusal."""
        return await _answered(self.backend.call(method, _named(params), once=once))

    async def answer(self, method: str, **params: Any) -> Any:
        """As `call`, in the declared type."""
        return await _answered(self.backend.answer(method, _named(params)))

    async def mark(self, method: str, undo: bool, /, **params: Any) -> None:
        """As `call`, of what can be taken back; what is not there need not be. Raises HttpRefusal."""
        try:
            await self.call(method, undo=undo, **params)
        except HttpRefusal as why:
            if not undo or why.status != 404:
                raise

    async def is_closed(self, account: str) -> bool:
        """Whether nobody acts or logs in as the account any more. Raises HttpRefusal."""
        return bool((await self.call("account.show", account=account))["closed"])


async def _answered(asked: Awaitable[T]) -> T:
    """Raises HttpRefusal."""
    try:
        return await asked
    except CallError as error:
        raise of_call(error) from error


def _named(params: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in params.items() if value is not None}
    if "by" in params:  # without it, the node's own account would read, with what it mutes and filters
        named["as"] = named.pop("by", NOBODY)
    return named


def demand(token: Token | None, scope: str) -> Token:
    """The token, if it has the scope of an endpoint. Raises HttpRefusal."""
    if token is None:
        raise HttpRefusal(401, "The access token is invalid", {"www-authenticate": "Bearer"})
    if not any(token.allows(one) for one in scope.split("|")):
        raise HttpRefusal(403, "This action is outside the authorized scopes")
    return token


Do: TypeAlias = Callable[[DoorContext, DoorRequest], Awaitable[Any]]


class EndpointShape(NamedTuple):
    """What an endpoint takes and answers, for the OpenAPI document. asks, answers: types that msgspec knows; a tuple:
    one of these. gives: its content type. also: others that it gives if it is asked to. query: types of the
    parameters in the query. refuses: with which statuses, beside the usual ones. keyed: it takes an Idempotency-Key.
    tagged: it answers with an ETag. lines: it takes many,
    as an array or as NDJSON (with `keyed` one object too), and answers with as many."""

    asks: Any = None
    answers: Any = None
    gives: str = "application/json"
    also: tuple[str, ...] = ()
    query: Mapping[str, Any] = MappingProxyType({})
    refuses: tuple[int, ...] = ()
    keyed: bool = False
    tagged: bool = False
    lines: bool = False

    @property
    def types(self) -> tuple[Any, ...]:
        """All of them."""
        answers = self.answers if isinstance(self.answers, tuple) else (self.answers,)
        return tuple(one for one in (self.asks, *answers, *self.query.values()) if one is not None)


class Endpoint(NamedTuple):
    """scope: that the token must have, such as `read:lists`, or one of some, `profile|read:accounts`; None: no token is
    needed, and one that comes is read. It is looked at before the body is.
    files: whether it takes files. raw: whether it reads the body itself; params are then those of the query."""

    verb: str
    path: str
    scope: str | None
    do: Do
    files: bool = False
    raw: bool = False
    shape: EndpointShape | None = None


class Endpoints:
    """The endpoints of one module."""

    def __init__(self) -> None:
        self.all: list[Endpoint] = []
        self.get, self.post, self.put = partial(self.add, "GET"), partial(self.add, "POST"), partial(self.add, "PUT")
        self.patch, self.delete = partial(self.add, "PATCH"), partial(self.add, "DELETE")

    def add(
        self,
        verb: str,
        path: str,
        scope: str | None = None,
        shape: EndpointShape | None = None,
        files: bool = False,
        raw: bool = False,
    ) -> Callable[[Do], Do]:
        def add(do: Do) -> Do:
            self.all.append(Endpoint(verb, path, scope, do, files, raw, shape))
            return do

        return add
