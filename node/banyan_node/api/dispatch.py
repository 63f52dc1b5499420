"""All methods: where they are found, how a call reaches one, and how the answer reaches the caller.

A read or a look runs on a snapshot of the last commit, on a thread of its own. It is never in the replica's inbox, so
it and writers do not wait for each other, but for the interpreter, which one thread has at a time. So quick reads
take turns on one thread, and slow ones on others, and all give way soon. A write runs on the replica's thread, and is
answered once it is durable. Without a node, all methods except `node` methods run directly on the store that the
command line opened. Answers are JSON values, the same in all three cases.
"""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from itertools import pairwise
from pkgutil import walk_packages
from typing import Any, TypeVar

import msgspec
import structlog
import trio

from banyan_crdt.errors import BanyanError
from banyan_crdt.realm import Realm
from banyan_node import idempotency
from banyan_node.api import decode, methods
from banyan_node.api.cost import timed
from banyan_node.api.declare import CommitView, Method, NodeView, Request, Shell, WorkContext, named
from banyan_node.api.errors import refusal
from banyan_node.api.event_stream import Events
from banyan_node.api.json_types import root_of
from banyan_node.context import Context
from banyan_node.home.audit import AT_REST, OPERATOR, Actor, AuditLog
from banyan_node.hosting import claims
from banyan_node.idempotency import RecordKey
from banyan_node.media.local_blobs import read_part
from banyan_node.operator_errors import CallError, NoNode
from banyan_node.own_log import Unasked
from banyan_node.upkeep import maintenance, storage_quota
from banyan_node.workers.frame_preparer import ShortSwitchInterval
from banyan_node.workers.publisher import LocalIdentity, PublishedState, here, published
from banyan_node.workers.side_threads import SideThreads, Waiting
from banyan_reading.queries import queries
from banyan_replica.intake.clock_bounds import FUTURE_MS
from banyan_replica.outbox import Commit
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_engine import LmdbEngine

# Those of the folders of methods/, in the order of their names.


def by_name(found: Iterable[Method]) -> dict[str, Method]:
    """In the order of their names. Raises ValueError where two have the same."""
    known = sorted(found, key=lambda method: method.name)
    for one, other in pairwise(known):
        if one.name == other.name:
            raise ValueError(f"two methods have the name '{one.name}': rename one")
    return {method.name: method for method in known}


def _found() -> dict[str, Method]:
    """The methods of the modules of methods/."""
    found = walk_packages(methods.__path__, f"{methods.__name__}.")
    modules = [import_module(module.name) for module in found if not module.ispkg]
    return by_name(method for module in modules for method in module.METHODS)


EVERY = _found()


# -- calls

T = TypeVar("T")
QUICK, SLOW = 1, 2
"""Reads at a time. They share the interpreter with the writer: with four quick ones a post takes three times as long,
and they are no faster."""
WORKERS = 2
"""Files that are put at a time: each hashes and writes as fast as the disk takes it."""
UNASKED_S = 0.2
"""How often it is tried whether a first entry may be written (own_log.py says for how long)."""
log = structlog.get_logger("banyan")
_REFUSALS = (CallError, BanyanError, ValueError, StorageError)


def method_of(name: str) -> Method:
    """Raises CallError("no_such_method")."""
    method = EVERY.get(name)
    if method is None:
        raise decode.no_such_method(name, EVERY)
    return method


def read(context: Context, method: Method, ask: Request) -> Any:
    """A read's answer. Any thread."""
    with (
        queries(context.engine, context.realm, context.store.late_ids) as q,
        context.kept.at(q, not method.slow) as kept,
    ):
        return method.do(CommitView(q, context.blobs, context.sealed_reader, context.search, kept, context.works), ask)


def look(context: Context, who: LocalIdentity, seen: PublishedState, do: Callable[[NodeView], T]) -> T:
    """The result of `do` on a snapshot. Any thread."""
    with queries(context.engine, context.realm, context.store.late_ids) as q, context.kept.at(q) as kept:
        return do(NodeView(q, context.blobs, context.sealed_reader, context.search, kept, who, seen))


def if_sure(params: Mapping[str, Any], wrong_clock: str | None, ahead_ms: int | None) -> dict[str, Any]:
    """The parameters without `sure`. Raises CallError if others will only take later what is signed now."""
    given = dict(params)
    sure = given.pop("sure", False) is True or given.get("check") is True
    if not sure and wrong_clock is not None and (ahead_ms or 0) > FUTURE_MS:
        raise CallError(
            "refused",
            f"Nothing was signed, because {wrong_clock}: nobody else takes it before that time, and no key of the "
            "account can be changed until then. If the clock is right, say --yes (`sure` in the API).",
            409,
            {"sure": False},
        )
    return given


class NodeBackend:
    """The methods of a running node. Implements `banyan_node.server.control_api.ControlBackend`."""

    def __init__(self, shell: Shell, context: Context) -> None:
        self._shell, self._context, self._here = shell, context, here(context)
        self._quick, self._slow = trio.CapacityLimiter(QUICK), trio.CapacityLimiter(SLOW)
        self._workers, self._writing_down = trio.CapacityLimiter(WORKERS), trio.CapacityLimiter(1)
        self._audit, self._under_key = AuditLog(context.home.audit), dict[bytes, trio.Event]()
        self._working = working(context, self._make_room)
        self._events = Events(context.store.snapshot, partial(self._in_thread, self._slow))
        self.tell, self.end_events = self._events.tell, self._events.close

    async def call(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        """The answer, as JSON values. by: who acts, for the audit log. once: under this key nothing is done a second
        time. Raises CallError."""
        return msgspec.to_builtins(await self.answer(name, params, by, once))

    async def answer(
        self, name: str, params: Mapping[str, Any], by: Actor = OPERATOR, once: RecordKey | None = None
    ) -> Any:
        """The answer in its declared type. Raises CallError."""
        try:
            method = method_of(name)
            if once is None or method.kind == "read":
                return await self._acted(method, params, by, None)
            async with self._turn(once):
                before = await self.look(lambda at: idempotency.find(at.store, once.name, int(time.time() * 1000)))
                if before is None:
                    return await self._acted(method, params, by, once)
                once.demand_same(before.said)
                return msgspec.json.decode(before.answer, type=method.answers)
        except CallError as error:
            self._shell.metrics.refused(error.code)
            raise

    @asynccontextmanager
    async def _turn(self, key: RecordKey) -> AsyncGenerator[None, None]:
        """One after another, of those with the same key."""
        while (before := self._under_key.get(key.name)) is not None:
            await before.wait()
        done = self._under_key[key.name] = trio.Event()
        try:
            yield
        finally:
            del self._under_key[key.name]
            done.set()

    async def _acted(self, method: Method, params: Mapping[str, Any], by: Actor, once: RecordKey | None) -> Any:
        name = method.name
        ask = decode.request(
            method, if_sure(params, self._shell.seen.wrong_clock, self._shell.seen.ahead_ms) if method.final else params
        )
        self._shell.throttle.works()
        if not method.audited:
            return await self._answer(method, ask, once)
        by, given = by._replace(why=by.why or decode.why_of(params)), decode.written_down(method, params)
        try:
            n = await self._write_down(partial(self._audit.append, by, name, given))
        except StorageError as error:
            raise refusal(error) from error
        try:
            return await self._answer(method, ask, once)
        except CallError as error:
            try:
                await self._write_down(partial(self._audit.append, by, name, {}, n, error.message))
            except StorageError as why:
                log.error("audit log", error=str(why))
            raise

    async def done(self, name: str, params: Mapping[str, Any]) -> Any:
        """As `answer`, of what was written down in the audit log with what began it. Raises CallError."""
        method = method_of(name)
        return await self._answer(method, decode.request(method, params))

    async def _write_down(self, do: Callable[[], int]) -> int:
        return await trio.to_thread.run_sync(do, limiter=self._writing_down)

    async def _answer(self, method: Method, ask: Request, once: RecordKey | None = None) -> Any:
        began = time.perf_counter()
        try:
            if method.runs == "node":
                return await self._kept(once, await method.do(self._shell, ask))
            if method.runs == "work":
                done = await trio.to_thread.run_sync(timed(method.do), self._working, ask, limiter=self._workers)
                return await self._kept(once, done)
            if method.runs == "snapshot":
                lane = self._slow if method.slow else self._quick
                return await self._in_thread(lane, read, self._context, method, ask)
            if method.runs == "look":
                found = await self.look(lambda at: method.do(at, ask))
            else:
                found = await self._write(method, ask, once)
            return found if method.on_node is None else await method.on_node(self._shell, found)
        except _REFUSALS as error:
            raise refusal(error) from error
        finally:
            self._shell.metrics.took(method.name, time.perf_counter() - began)

    async def _kept(self, key: RecordKey | None, answer: Any) -> Any:
        """The answer of what is done outside the store; a crash between both leaves no record."""
        if key is not None:
            await self._shell.worker.call(lambda c, now: idempotency.put(c.store, key, answer, c.replica.wall_ms(now)))
        return answer

    async def _write(self, method: Method, ask: Request, once: RecordKey | None) -> Any:
        """A write's answer. The first entry after a start waits until peers told where this node's log stands."""
        do = partial(_write, method, ask, once)
        while True:
            try:
                return await self._shell.worker.call(do, method.alone, method.together)
            except Unasked:
                await trio.sleep(UNASKED_S)

    async def piece(self, blob: str, offset: int, length: int) -> bytes:
        """What `media.read` gives, as bytes. Raises CallError."""
        try:
            return await self._in_thread(self._quick, read_part, self._context, root_of(blob), offset, length)
        except _REFUSALS as error:
            raise refusal(error) from error

    async def events(self, params: Mapping[str, str]) -> AsyncGenerator[Any, None]:
        """Events from now, or from the cursor `since`. Raises CallError."""
        return await self._events.follow(params, self._context.settings.config.limits.event_queue)

    async def look(self, do: Callable[[NodeView], T]) -> T:
        """The result of `do` on a snapshot, run on a reader thread."""
        found: T = await self._in_thread(self._quick, look, self._context, self._here, self._shell.seen, do)
        return found

    def _make_room(self, size: int) -> None:
        """On a thread of work: blobs are evicted where posts are written, so that no post names one that goes."""
        trio.from_thread.run(self._shell.worker.call, partial(storage_quota.make_room, size))

    async def _in_thread(self, lane: trio.CapacityLimiter, do: Callable[..., T], *given: Any) -> T:
        with ShortSwitchInterval():
            return await trio.to_thread.run_sync(timed(do), *given, limiter=lane)


class LocalBackend:
    """The same methods on a store that no node has open. One thread only; `begin` has others."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._audit = AuditLog(context.home.audit)
        self._beside: SideThreads | None = None

    def call(self, method: str, **params: Any) -> Any:
        """The answer, once all writes are durable. Raises CallError, NoNode, StorageError."""
        found, c = method_of(method), self.context
        ask = decode.request(found, named(params))
        if found.runs == "node":
            raise NoNode(f"No node is running in {c.home.path}; start one with `banyan up`.")
        if not found.audited:
            return self._answer(found, ask)
        by, given = AT_REST._replace(why=decode.why_of(params)), decode.written_down(found, named(params))
        n = self._audit.append(by, method, given)
        try:
            return self._answer(found, ask)
        except CallError as error:
            self._audit.append(by, method, {}, n, error.message)
            raise

    def _answer(self, found: Method, ask: Request) -> Any:
        c = self.context
        try:
            if claims.restoring(c):  # a running node does this in the background
                while maintenance.follow(c, time.time()):
                    pass
                claims.give_names(c)
                settle(c)
            if found.runs == "snapshot":
                return msgspec.to_builtins(read(c, found, ask))
            if found.runs == "look":
                said = published(c, time.time())
                return msgspec.to_builtins(look(c, here(c), said, lambda at: found.do(at, ask)))
            if found.runs == "work":
                return msgspec.to_builtins(found.do(working(c, self._make_room), ask))
            answer = found.do(c, ask, time.time())
            settle(c)
            return msgspec.to_builtins(answer)
        except (CallError, BanyanError, ValueError) as error:
            raise refusal(error) from error

    def begin(self, method: str, **params: Any) -> Waiting:
        """Begins a call, which runs beside others if it is work. Returns what waits for its answer, or raises what
        `call` does."""
        found = method_of(method)
        if found.runs != "work":
            return self._called(method, params)
        ask = decode.request(found, named(params))
        beside = self._beside = self._beside or SideThreads(WORKERS)

        def do() -> Any:
            try:
                at = working(self.context, lambda size: beside.on_owner(lambda: self._make_room(size)))
                return msgspec.to_builtins(found.do(at, ask))
            except (CallError, BanyanError, ValueError) as error:
                raise refusal(error) from error

        return beside.begin(do)

    def _called(self, method: str, params: Mapping[str, Any]) -> Waiting:
        answer = self.call(method, **params)
        return lambda: answer

    def _make_room(self, size: int) -> None:
        storage_quota.make_room(size, self.context, time.time())

    def close(self) -> None:
        """Ends what was begun. The context stays open."""
        if self._beside is not None:
            self.context.decoders.close()
            self._beside.close()


class ReadingBackend:
    """The reads, for a store that cannot be written: a read-only folder or disk.

    why: the error that all other methods raise; it says what to do.
    """

    def __init__(self, engine: LmdbEngine, realm: Realm, blobs: BlobStore, why: StorageError) -> None:
        self._engine, self._realm, self._blobs, self._why = engine, realm, blobs, why

    def begin(self, method: str, **params: Any) -> Waiting:
        """Raises as `call`."""
        answer = self.call(method, **params)
        return lambda: answer

    def call(self, method: str, **params: Any) -> Any:
        """Raises CallError, or the StorageError that made the store read-only."""
        found = method_of(method)
        ask = decode.request(found, named(params))
        if found.runs != "snapshot":
            raise self._why
        try:
            with queries(self._engine, self._realm) as q:
                return msgspec.to_builtins(found.do(CommitView(q, self._blobs), ask))
        except (CallError, BanyanError, ValueError) as error:
            raise refusal(error) from error


def working(c: Context, make_room: Callable[[int], None]) -> WorkContext:
    """make_room: on the thread where the work runs."""
    return WorkContext(c.blobs, c.decoders, c.uploads, c.in_use, c.home.path, c.settings, make_room)


def _write(method: Method, ask: Request, once: RecordKey | None, context: Context, now: float) -> Any:
    if once is None:
        return method.do(context, ask, now)
    now_ms = context.replica.wall_ms(now)
    return idempotency.once(context.store, once, now_ms, method.answers, lambda: method.do(context, ask, now))


def settle(c: Context) -> None:
    """Commits, and drops all other effects: there are no peers."""
    while (effect := c.replica.next_effect()) is not None:
        if isinstance(effect, Commit):
            c.store.commit()
