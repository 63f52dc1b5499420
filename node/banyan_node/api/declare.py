"""What a method is: its name, what it asks and answers, whether it reads or writes, where it runs, how it may fail.

A module of `methods/` makes one `Declared` and decorates its functions with it. Request and answer are the types in
the function's signature. Everything else follows from the declarations: dispatch.py calls them, decode.py judges
requests by them, openapi.py and page.py describe them.

    read    on a snapshot of the last commit, on a thread of its own: never waits for a writer, nor a writer for it
    look    a read that also needs who this node is, its keys, or what the replica's thread last said of links and
            comparisons (published.py); so it needs a store that this home's keys belong to
    write   on the replica's thread; answered once it is durable
    node    on the event loop of a running node; without one it is refused
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, get_type_hints

import msgspec

from banyan_node.workers.published import Here, Published
from banyan_storage.queries import Queries
from banyan_storage.reader import StoreReader

if TYPE_CHECKING:
    from banyan_node.context import Context
    from banyan_node.workers.worker import Worker

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Runs: TypeAlias = Literal["snapshot", "look", "replica", "node"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a method asks for. A field that is unknown is an error."""


class Response(msgspec.Struct, frozen=True):
    """What a method answers."""


class Nothing(Request, frozen=True, forbid_unknown_fields=True):
    """No parameters."""


class NoResult(Response, frozen=True):
    """Nothing more to say."""


class CommitView:
    """What a read is given: the store and its views, as they were at one commit."""

    def __init__(self, q: Queries) -> None:
        self._q = q

    @property
    def store(self) -> StoreReader:
        return self._q.reader

    def queries(self) -> Queries:
        return self._q


class Looking(CommitView):
    """What a look is given: the same, who this node is, and what the replica's thread said last."""

    def __init__(self, q: Queries, here: Here, seen: Published) -> None:
        super().__init__(q)
        self.here, self.seen = here, seen


class Shell(Protocol):
    """The running node, as `node` methods see it."""

    @property
    def worker(self) -> Worker[Context]: ...

    @property
    def seen(self) -> Published:
        """What the replica's thread said last."""

    async def look(self, do: Callable[[Looking], T]) -> T:
        """The result of `do`, on a thread of its own."""

    @property
    def addresses(self) -> tuple[str, ...]: ...

    @property
    def ready(self) -> bool: ...

    @property
    def started(self) -> float: ...

    @property
    def event_queue(self) -> int:
        """Events that may wait for one reader."""

    async def dial(self, addr: str) -> str | None:
        """Why the address cannot be reached, or None once it is linked."""

    def stop(self) -> None:
        """The node stops soon; the call that asked for it is answered first."""


@dataclass(frozen=True, slots=True)
class Method:
    """do: read (CommitView, request), look (Looking, request), write (Context, request, now), node async (Shell,
    request).

    on_node: what a running node adds to the answer of `do`: async (Shell, answer). alone, together: see Worker.call.
    """

    name: str
    kind: Literal["read", "write"]
    runs: Runs
    asks: type[Request]
    answers: Any
    errors: tuple[str, ...]
    do: Callable[..., Any]
    on_node: Callable[[Shell, Any], Awaitable[Any]] | None = None
    alone: bool = False
    together: bool = False

    @property
    def about(self) -> str:
        """What it does, in a sentence or a few."""
        return cleandoc(self.do.__doc__ or "")


class Declared:
    """The methods of one module, by name."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def read(self, name: str, *errors: str) -> Callable[[F], F]:
        return self._add(name, "read", "snapshot", errors)

    def look(self, name: str, *errors: str) -> Callable[[F], F]:
        return self._add(name, "read", "look", errors)

    def write(self, name: str, *errors: str, alone: bool = False, together: bool = False) -> Callable[[F], F]:
        return self._add(name, "write", "replica", errors, alone, together)

    def node(self, name: str, kind: Literal["read", "write"], *errors: str) -> Callable[[F], F]:
        return self._add(name, kind, "node", errors)

    def on_node(self, name: str) -> Callable[[F], F]:
        """What a running node adds to the answer of a method that is declared above."""

        def add(do: F) -> F:
            self._methods[name] = replace(self._methods[name], on_node=do)
            return do

        return add

    def _add(
        self,
        name: str,
        kind: Literal["read", "write"],
        runs: Runs,
        errors: tuple[str, ...],
        alone: bool = False,
        together: bool = False,
    ) -> Callable[[F], F]:
        def add(do: F) -> F:
            hints = get_type_hints(do, include_extras=True)
            answers = hints.pop("return")
            (asks,) = (t for t in hints.values() if isinstance(t, type) and issubclass(t, Request))
            assert name not in self._methods, f"{name} is declared twice"
            self._methods[name] = Method(name, kind, runs, asks, answers, errors, do, None, alone, together)
            return do

        return add
