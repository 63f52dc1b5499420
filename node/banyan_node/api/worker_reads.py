"""Reads in a process beside the node: on snapshots of its own of the same store.

It answers the methods that are declared for it (`Method.apart`), with the same functions as the node. A snapshot is
taken anew for each call, so an answer has all that was durable when the call came: also what its caller just wrote.
What fails here for another reason than the request (a view that is being built, a damaged file) is `NodeOnly`: the node
answers, which can also mend it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from banyan_crdt.errors import BanyanError
from banyan_crdt.realm import Realm
from banyan_crdt.sealing import Opener
from banyan_node.api.declare import CommitView, Method, Request
from banyan_node.api.errors import refusal
from banyan_node.api.json_types import root_of
from banyan_node.context import TABLES
from banyan_node.home.folder import Home
from banyan_node.hosting.sealed_reader import SealedReader
from banyan_node.media.local_blobs import WANTED_S
from banyan_node.operator_errors import CallError
from banyan_reading.queries import Queries
from banyan_reading.read_cache import ReadCache
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StorageError
from banyan_storage.id_index import LateIds
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.reader import StoreReader


class NodeOnly(Exception):
    """The node has to be asked."""


class StoreReads:
    """Any thread. opening_key: of the node's device (banyan_crdt.sealing), for what accounts said to themselves. Raises
    StorageError."""

    def __init__(self, home: Home, realm: Realm, opening_key: bytes) -> None:
        self._realm = realm
        self._engine = LmdbEngine(home.store, TABLES, read_only=True)
        self._blobs = BlobStore(home.blobs, owns=False)
        self._sealed_reader = SealedReader(Opener.of_opening_key(opening_key))
        self._late, self._kept = LateIds(), ReadCache()

    def answer(self, method: Method, ask: Request) -> Any:
        """The answer of a method that is `apart`, in its declared type. Raises CallError, NodeOnly."""
        try:
            with self._queries() as q, self._kept.at(q, not method.slow) as kept:
                return method.do(CommitView(q, self._blobs, self._sealed_reader, None, kept), ask)
        except StorageError as error:
            raise NodeOnly from error
        except (CallError, BanyanError, ValueError) as error:
            raise refusal(error) from error

    def piece(self, blob: str, offset: int, length: int) -> bytes:
        """What `media.read` gives, as bytes. Raises NodeOnly also if the node has to note that the blob is wanted."""
        try:
            root = root_of(blob)
            held = self._blobs.find(root)
            if held is None or not held.whole or held.wanted_s < time.time() - WANTED_S:
                raise NodeOnly
            return self._blobs.read(root, offset, length)
        except (CallError, BanyanError, OSError, StorageError, ValueError) as error:
            raise NodeOnly from error

    @contextmanager
    def _queries(self) -> Iterator[Queries]:
        with self._engine.read() as txn:
            reader = StoreReader(txn, self._realm, lambda: (self._late.of(txn),))
            yield Queries(txn, reader, lambda: self._engine.sizes().used)

    def close(self) -> None:
        self._engine.close()
