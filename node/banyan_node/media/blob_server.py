"""Gives blobs to peers: those that content names which is held here, and to strangers a share of the line.

A blob that nothing names is not given out: a node is no store for files of others, and nobody learns whether a file is
on it that was never posted. An erased or withheld post names nothing, so its blobs are not given out either. Blobs of a
draft are given to those who prove that they can read it, the other devices of its account.
"""

from collections.abc import Callable
from functools import partial

import trio

from banyan_crdt.blob import BlobRoot
from banyan_crdt.errors import Malformed
from banyan_node.context import Context
from banyan_node.edge import BLOB_PROTOCOL, BlobLines, Edge
from banyan_node.media.blob_fetcher import BlobFetcher
from banyan_node.media.local_blobs import root_for
from banyan_node.workers.worker import Worker
from banyan_replica.peers.ledger import Charge, Offence
from banyan_replica.wire import blob_messages as wire
from banyan_storage.blob_names import is_named
from banyan_storage.errors import StorageError

ASKING = 8
"""Questions of strangers that are answered at a time; the others wait."""
READERS = 2
"""Threads that read chunks for peers."""
KNOWN_S = 10.0
"""How long it is remembered that a blob is named."""
_ABSENT = "not here"


class BandwidthShare:
    """Bytes a second for those who share them. One that takes more than is there waits, and who comes later waits
    longer."""

    def __init__(self, rate: float) -> None:
        self._rate, self._free_at = rate, -float("inf")

    async def take(self, size: int) -> bool:
        """Waits until so many bytes may be sent. False if none may ever."""
        if not self._rate:
            return False
        now = trio.current_time()
        self._free_at = max(self._free_at, now - 1.0) + size / self._rate  # a second may be saved up
        await trio.sleep_until(max(now, self._free_at))
        return True


class BlobServer:
    """charge: charges a peer with a sentence. is_named: whether the operator named a peer."""

    def __init__(
        self, context: Context, is_peer_named: Callable[[str], bool], charge: Callable[[str, str], None]
    ) -> None:
        self._context, self._is_peer_named, self._charge = context, is_peer_named, charge
        self._share = BandwidthShare(context.settings.config.media.strangers_rate)
        self._strangers, self._readers = trio.CapacityLimiter(ASKING), trio.CapacityLimiter(READERS)
        self._known: dict[tuple[bytes, str], tuple[BlobRoot, float]] = {}
        """What was asked for, for a draft by whom: the blob, and when it was found that it may be given."""

    async def answer(self, peer: str, question: bytes) -> bytes:
        """The answer to a peer. Raises Malformed, and charges it, if this is no question."""
        try:
            ask = wire.decode_question(question)
        except Malformed as error:
            self._charge(peer, str(error))
            raise
        if self._is_peer_named(peer):
            return await self._found(ask, peer)
        async with self._strangers:
            answer = await self._found(ask, peer)
            return answer if await self._share.take(len(answer)) else wire.encode_not_here("not given to strangers")

    async def _found(self, ask: wire.BlobQuestion, peer: str) -> bytes:
        return await trio.to_thread.run_sync(partial(self._read, ask, peer, trio.current_time()), limiter=self._readers)

    def _read(self, ask: wire.BlobQuestion, peer: str, now: float) -> bytes:
        """On a thread."""
        blobs, root = self._context.blobs, self._root(ask, peer, now)
        held = None if root is None else blobs.find(root)
        if held is None or not held.whole:
            return wire.encode_not_here(_ABSENT)
        try:
            if ask.chunk is not None:
                return wire.encode_chunk_answer(blobs.chunk(held, ask.chunk))
            of = blobs.list_of(held.root)
            return wire.encode_not_here(_ABSENT) if of is None else wire.encode_list_answer(of)
        except (StorageError, OSError):  # damaged, or dropped meanwhile
            return wire.encode_not_here(_ABSENT)

    def _root(self, ask: wire.BlobQuestion, peer: str, now: float) -> BlobRoot | None:
        """The blob that the peer may have."""
        key = ask.root, peer if ask.of_draft else ""
        known = self._known.get(key)
        if known is not None and known[1] > now - KNOWN_S:
            return known[0]
        root = BlobRoot(ask.root)
        with self._context.engine.read() as txn:
            found = root_for(txn, ask.root, peer) if ask.of_draft else root if is_named(txn, root) else None
        if found is not None:
            if len(self._known) > 1_000:
                self._known.clear()
            self._known[key] = found, now
        return found


# Opens what a running node does with blobs.


async def open_media(context: Context, worker: Worker[Context], edge: Edge, nursery: trio.Nursery) -> BlobFetcher:
    """Removes what a crash left, gives blobs to linked peers, and returns what fetches those of peers."""

    def lied(peer: str, sentence: str) -> None:
        worker.post(lambda c, now: c.replica.peers.accuse(peer, Charge(Offence.WRONG, sentence), now))

    for blobs in (context.blobs, context.uploads):
        await trio.to_thread.run_sync(blobs.tidy)
    lines = BlobLines(lambda peer: edge.open_stream(peer, BLOB_PROTOCOL), lambda: list(edge.links), nursery)
    edge.blobs = BlobServer(context, edge.door.slots.is_named, lied).answer
    return BlobFetcher(context, worker, lines, lied, nursery)
