"""What a method is: its name, request and answer, whether it reads or writes, where it runs, and its errors.

A module of `methods/` makes one `MethodTable` and decorates its functions with it. Request and answer are the types in
the function's signature. Everything else uses these declarations: dispatch.py calls the methods, decode.py checks
requests, reference.py describes them.

    read    on a snapshot of the last commit, on a reader thread: it and writers do not wait for each other. Also in a
            process beside the node that has the store open for reading (worker_reads.py), unless it is declared
            otherwise
    look    a read that also needs this node's identity or keys, or the published state of the replica (publisher.py);
            so it needs a store that this home's keys belong to
    work    on a thread of its own, for what takes long and needs only files: blobs
    write   on the replica's thread; answered once it is durable
    node    on the event loop of a running node; without one it is refused
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, dataclass_transform, get_type_hints

import msgspec

from banyan_crdt.ids import AccountId
from banyan_node.admission.gates import SlotUsage
from banyan_node.api.json_types import AccountRef, Milliseconds, Own, PostRef, Reader, ThingRef, Undo
from banyan_node.home.folder import Home
from banyan_node.home.settings import Settings
from banyan_node.hosting.sealed_reader import PrivateData, SealedReader
from banyan_node.media.decoders import Decoders
from banyan_node.media.local_blobs import UploadLocks
from banyan_node.upkeep.tasks import LongWorks
from banyan_node.workers.publisher import LocalIdentity, PublishedState
from banyan_reading.queries import Queries
from banyan_reading.read_cache import ReadCache
from banyan_reading.search.indexer import SearchIndex
from banyan_storage.blobs import BlobStore
from banyan_storage.reader import StoreReader

if TYPE_CHECKING:
    from banyan_node.admission.throttle import Throttle
    from banyan_node.context import Context
    from banyan_node.media.blob_fetcher import BlobFetcher
    from banyan_node.metrics import Metrics
    from banyan_node.server.servers import Servers
    from banyan_node.upkeep.tasks import Tasks
    from banyan_node.workers.worker import Worker

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
PRIVATE_BYTES = 8_000
"""What an account said to itself takes in memory, about; what it says is remembered by the sealed reader."""
Runs: TypeAlias = Literal["snapshot", "look", "work", "replica", "node"]


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"by": "as"}):
    """The parameters of a method. An unknown field is an error. The account that acts or reads is `as`; here it is
    `by`, because `as` is a word of Python's."""


def named(params: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments as parameters: `by` is `as`."""
    return {"as" if name == "by" else name: value for name, value in params.items()}


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Response(msgspec.Struct, frozen=True):
    """What a method answers."""


class EmptyRequest(Request):
    """No parameters."""


# What many requests have. These classes have no docstring where the reference would print it beside each method.


class ActorRequest(Request, kw_only=True):
    by: Own = None


class UndoRequest(ActorRequest, kw_only=True):
    undo: Undo = False


class AccountRequest(Request):
    account: AccountRef


class PostOf(Request):
    uri: PostRef


class UndoPostRequest(UndoRequest):
    uri: PostRef


class OneThing(ActorRequest):
    id: ThingRef


class ReaderRequest(Request, kw_only=True):
    by: Reader = None


class NoResult(Response):
    """An empty answer."""


class DoorWorker(Response):
    """A process that serves HTTP. pid: null while it is being started anew. started_ms: when it was started last.
    ended: how often it ended that nobody had asked to. requests: since it was started. connections: open now."""

    pid: int | None
    started_ms: Milliseconds
    ended: int
    requests: int
    connections: int


class DoorState(Response):
    """address: where it listens. workers: processes of its own; none if the node itself serves it. trouble: why one of
    them does not run, or null."""

    address: str
    workers: list[DoorWorker]
    trouble: str | None


class CommitView:
    """The input of a read: the store and its views at one commit, the blobs, what opens what accounts said to
    themselves (None: the keys are not there), the index of posts (None: it cannot be written), what readers kept of
    this commit, and long work."""

    def __init__(
        self,
        q: Queries,
        blobs: BlobStore,
        sealed_reader: SealedReader | None = None,
        search: SearchIndex | None = None,
        kept: ReadCache | None = None,
        works: LongWorks | None = None,
    ) -> None:
        self._q, self.blobs = q, blobs
        self._sealed_reader, self.search = sealed_reader, search
        self.kept, self.works = kept or ReadCache(), works or LongWorks()

    @property
    def store(self) -> StoreReader:
        return self._q.reader

    def queries(self) -> Queries:
        return self._q

    def private(self, account: AccountId) -> PrivateData:
        """What the account said to itself; nothing, where this node cannot open it."""
        if (sealed_reader := self._sealed_reader) is None:
            return PrivateData()
        read = partial(sealed_reader.read, self._q, account)
        return self.kept.made(("private", account), [account], PRIVATE_BYTES, read)


class NodeView(CommitView):
    """The input of a look: the same, this node's identity, and the published state of the replica."""

    def __init__(
        self,
        q: Queries,
        blobs: BlobStore,
        sealed_reader: SealedReader,
        search: SearchIndex,
        kept: ReadCache,
        here: LocalIdentity,
        seen: PublishedState,
    ) -> None:
        super().__init__(q, blobs, sealed_reader, search, kept)
        self.here, self.seen = here, seen


@dataclass(frozen=True, slots=True)
class WorkContext:
    """The input of work. uploads: files that come in pieces; in_use: with which something is done. home: the node's
    folder. make_room: makes room for so many bytes of blobs, or raises CallError."""

    blobs: BlobStore
    decoders: Decoders
    uploads: BlobStore
    in_use: UploadLocks
    home: Path
    settings: Settings
    make_room: Callable[[int], None]


class NodeLinks(Protocol):
    """The links of a running node."""

    @property
    def twin(self) -> str | None:
        """A sentence if a named peer said lately that another node runs with this one's key."""

    def unreached(self) -> dict[str, str]:
        """Contacts that no link leads to, each with why."""

    async def dial_now(self, addr: str) -> str | None:
        """Why the address cannot be reached, or None once it is linked."""

    def drop(self, peer: str) -> bool:
        """Hangs up on a peer, and dials it no more as a contact. Whether there was a link."""


class Shell(Protocol):
    """The running node, for `node` methods."""

    @property
    def worker(self) -> Worker[Context]: ...

    @property
    def seen(self) -> PublishedState:
        """The last published state of the replica."""

    async def look(self, do: Callable[[NodeView], T]) -> T:
        """The result of `do`, run on a reader thread."""

    @property
    def slots(self) -> SlotUsage:
        """How full the slots for connections are."""

    @property
    def throttle(self) -> Throttle:
        """What strangers use of the processor."""

    @property
    def metrics(self) -> Metrics:
        """Where it is counted what calls take."""

    @property
    def addresses(self) -> tuple[str, ...]: ...

    @property
    def servers(self) -> Servers: ...

    @property
    def ready(self) -> bool: ...

    @property
    def started(self) -> float: ...

    @property
    def media(self) -> BlobFetcher:
        """Fetches blobs."""

    @property
    def tasks(self) -> Tasks: ...

    @property
    def links(self) -> NodeLinks: ...

    @property
    def door(self) -> DoorState | None:
        """The door for HTTP; None if it is shut."""

    async def keep_bans(self) -> None:
        """Ends bans whose time has come, and refuses the networks that are banned now."""

    @property
    def long_works(self) -> LongWorks: ...

    @property
    def home(self) -> Home: ...

    def begin(self, method: str, params: dict[str, str], about: str) -> int:
        """Calls a method in the background; the number of the work."""

    async def ping(self, peer: str) -> float | None:
        """Seconds to a linked peer and back; None if it did not answer."""

    def stop(self) -> None:
        """Stops the node soon, after the call that asked for it is answered."""


@dataclass(frozen=True, slots=True)
class Method:
    """do: read (CommitView, request), look (NodeView, request), work (WorkContext, request), write (Context, request,
    now), node async (Shell, request).

    on_node: async (Shell, answer), which completes the answer of `do` on a running node. alone, together: see
    Worker.call. slow: a read that may take more than some 20 ms, which others do not wait for. apart: a read that needs
    the store and files of blobs and nothing else, so another process may answer it. audited: an act of an operator, an
    admin or a moderator, which the audit log gets first. final: it signs in a control log, where nothing can be added
    below an entry that is dated in the future: it is refused while named platforms say that this clock is ahead, but
    with `"sure": true` beside its parameters.
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
    slow: bool = False
    apart: bool = False
    audited: bool = False
    final: bool = False

    @property
    def about(self) -> str:
        """A description of one or more sentences."""
        return cleandoc(self.do.__doc__ or "")


class MethodTable:
    """The methods of one module, by name."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def read(
        self, name: str, *errors: str, slow: bool = False, apart: bool = True, audited: bool = False
    ) -> Callable[[F], F]:
        apart = apart and not audited
        return self._add(name, "read", "snapshot", errors, slow=slow, apart=apart, audited=audited)

    def look(self, name: str, *errors: str) -> Callable[[F], F]:
        return self._add(name, "read", "look", errors)

    def work(self, name: str, kind: Literal["read", "write"], *errors: str, audited: bool = False) -> Callable[[F], F]:
        return self._add(name, kind, "work", errors, audited=audited)

    def write(
        self,
        name: str,
        *errors: str,
        alone: bool = False,
        together: bool = False,
        audited: bool = False,
        final: bool = False,
    ) -> Callable[[F], F]:
        return self._add(name, "write", "replica", errors, alone, together, audited=audited, final=final)

    def node(self, name: str, kind: Literal["read", "write"], *errors: str, audited: bool = False) -> Callable[[F], F]:
        return self._add(name, kind, "node", errors, audited=audited)

    def on_node(self, name: str) -> Callable[[F], F]:
        """Declares what a running node adds to the answer of a method that was declared before."""

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
        slow: bool = False,
        audited: bool = False,
        apart: bool = False,
        final: bool = False,
    ) -> Callable[[F], F]:
        def add(do: F) -> F:
            hints = get_type_hints(do, include_extras=True)
            answers = hints.pop("return")
            (asks,) = (t for t in hints.values() if isinstance(t, type) and issubclass(t, Request))
            assert name not in self._methods, f"{name} is declared twice"
            more = (None, alone, together, slow, apart, audited, final)
            self._methods[name] = Method(name, kind, runs, asks, answers, errors, do, *more)
            return do

        return add
