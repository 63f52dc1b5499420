"""How a call reaches its method.

`on_replica` methods run on the replica's thread and are answered after what they wrote is durable; `on_snapshot`
methods read the last commit on a thread of their own; `on_node` methods need the running node. Without a node the
first two run in place, on the store opened by the command line.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

import trio

from banyan_crdt.errors import BanyanError, Refused
from banyan_crdt.ids import AccountId, LogId, account_to_text
from banyan_crdt.realm import Realm
from banyan_node import chores, claims
from banyan_node.backend import accounts, archive, content, finding, imports, network, social, status, views
from banyan_node.backend.params import Params
from banyan_node.context import Context
from banyan_node.operator_errors import CallError, NoNode
from banyan_replica.effects import Commit
from banyan_storage.errors import StorageError, ViewBuilding
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.queries import Queries, queries

if TYPE_CHECKING:
    from banyan_node.node import Node

OnReplica = Callable[[Context, Params, float], Any]
OnSnapshot = Callable[[Queries, Params], Any]
ON_REPLICA: dict[str, OnReplica] = {
    **accounts.METHODS,
    **social.METHODS,
    **imports.METHODS,
    **status.METHODS,
    **archive.METHODS,
    **content.METHODS,
    **views.METHODS,
}
ON_SNAPSHOT: dict[str, OnSnapshot] = {
    **social.READS,
    **status.READS,
    **archive.READS,
    **finding.READS,
    **content.READS,
    **views.READS,
}


def refusal(error: Exception) -> CallError:
    """What the caller is told of an error."""
    if isinstance(error, CallError):
        return error
    if isinstance(error, ViewBuilding):
        return CallError("building", f"{error}.", 503)
    if isinstance(error, Refused):
        return CallError("refused", f"{error}.", 409)
    if isinstance(error, BanyanError | ValueError):
        return CallError("bad_request", f"{error}.", 400)
    if isinstance(error, StorageError):
        return CallError("storage", str(error), 507)
    raise error


class NodeBackend:
    """The running node's. Implements `banyan_node.control.Backend`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._readers: list[_Reader] = []

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        p = Params(method, params)
        node = self._node
        context = node.context
        assert context is not None
        try:
            if (on_node := network.METHODS.get(method)) is not None:
                return await on_node(node, p)
            if (on_replica := ON_REPLICA.get(method)) is not None:
                alone, together = method in archive.ALONE, method in social.TOGETHER
                return await node.worker.call(lambda c, now: on_replica(c, p, now), alone, together)
            if (on_snapshot := ON_SNAPSHOT.get(method)) is not None:
                return await trio.to_thread.run_sync(_read, context, on_snapshot, p)
        except (CallError, BanyanError, ValueError, StorageError) as error:
            raise refusal(error) from error
        raise CallError("no_such_method", f"There is no method '{method}'.", 404)

    def tell(self, name: str, fields: dict[str, Any]) -> None:
        """An event for whoever listens."""
        if self._readers:
            event = {"event": name, "time_ms": int(time.time() * 1000), **{k: _plain(v) for k, v in fields.items()}}
            for reader in self._readers:
                reader.put(event)

    async def events(self, params: dict[str, str]) -> AsyncGenerator[Any, None]:
        return self._events()

    async def _events(self) -> AsyncGenerator[Any, None]:
        reader = _Reader(self._node.settings.config.limits.event_queue)
        self._readers.append(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.remove(reader)


class _Reader:
    """Events that wait for one reader, `most` of them; the oldest fall out, and it is told how many."""

    def __init__(self, most: int) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=most)
        self._lost = 0
        self._more = trio.Event()

    def put(self, event: dict[str, Any]) -> None:
        self._lost += len(self._events) == self._events.maxlen
        self._events.append(event)
        self._more.set()

    async def get(self) -> dict[str, Any]:
        while not self._events:
            self._more = trio.Event()
            await self._more.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return {"event": "lost", "events": lost}
        return self._events.popleft()


class LocalBackend:
    """The same methods on a store that no node has open. Not for threads."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def call(self, method: str, **params: Any) -> Any:
        """Answers after what was written is durable. Raises CallError, StorageError."""
        p = Params(method, params)
        c = self.context
        try:
            if (on_replica := ON_REPLICA.get(method)) is not None:
                if claims.restoring(c):  # what a running node does in the background
                    while chores.follow(c, time.time()):
                        pass
                    claims.give_names(c)
                result = on_replica(c, p, time.time())
                _settle(c)
                return result
            if (on_snapshot := ON_SNAPSHOT.get(method)) is not None:
                return _read(c, on_snapshot, p)
        except (CallError, BanyanError, ValueError) as error:
            raise refusal(error) from error
        if method in network.METHODS:
            raise NoNode(f"No node is running in {c.home.path}; start one with `banyan up`.")
        raise CallError("no_such_method", f"There is no method '{method}'.", 404)


class ReadingBackend:
    """What can be answered from a store that cannot be written: a read-only folder, a disk that only reads.

    `why`: the error that says what to do; everything else gets it.
    """

    def __init__(self, engine: LmdbEngine, realm: Realm, why: StorageError) -> None:
        self._engine, self._realm, self._why = engine, realm, why

    def call(self, method: str, **params: Any) -> Any:
        """Raises CallError, or the StorageError that made the store read-only."""
        p = Params(method, params)
        try:
            with queries(self._engine, self._realm) as q:
                if (on_snapshot := ON_SNAPSHOT.get(method)) is not None:
                    return on_snapshot(q, p)
                if method == "feed":
                    return social.feed(_Reading(q), p, time.time())
                if method == "profile.get":
                    return social.profile_get(_Reading(q), p, time.time())
        except (CallError, BanyanError, ValueError) as error:
            raise refusal(error) from error
        raise self._why


class _Reading:
    def __init__(self, q: Queries) -> None:
        self._q, self.store = q, q.reader

    def queries(self) -> Queries:
        return self._q


def _settle(c: Context) -> None:
    """Commit; what the replica wants sent has nobody to go to."""
    while (effect := c.replica.next_effect()) is not None:
        if isinstance(effect, Commit):
            c.store.commit()


def _read(c: Context, do: OnSnapshot, p: Params) -> Any:
    with queries(c.engine, c.realm, c.store.late_ids) as q:
        return do(q, p)


def _plain(value: Any) -> Any:
    if isinstance(value, LogId):
        return {"account": account_to_text(value.account), "writer": value.writer.hex(), "log": value.log}
    if isinstance(value, bytes):
        return account_to_text(AccountId(value)) if len(value) == 32 else value.hex()
    return value
