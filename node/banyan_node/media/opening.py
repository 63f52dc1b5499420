"""Opens what a running node does with blobs."""

from __future__ import annotations

import trio

from banyan_node.context import Context
from banyan_node.edge import BLOB_PROTOCOL, BlobLines, Edge
from banyan_node.media.fetching import BlobFetcher
from banyan_node.media.serving import BlobServer
from banyan_node.workers.worker import Worker
from banyan_replica.peers.ledger import Charge, Offence


async def open_media(context: Context, worker: Worker[Context], edge: Edge, nursery: trio.Nursery) -> BlobFetcher:
    """Removes what a crash left, gives blobs to linked peers, and returns what fetches those of peers."""

    def lied(peer: str, sentence: str) -> None:
        worker.post(lambda c, now: c.replica.peers.accuse(peer, Charge(Offence.WRONG, sentence), now))

    for blobs in (context.blobs, context.uploads):
        await trio.to_thread.run_sync(blobs.tidy)
    lines = BlobLines(lambda peer: edge.open_stream(peer, BLOB_PROTOCOL), lambda: list(edge.links), nursery)
    edge.blobs = BlobServer(context, edge.door.slots.is_named, lied).answer
    return BlobFetcher(context, worker, lines, lied, nursery)
