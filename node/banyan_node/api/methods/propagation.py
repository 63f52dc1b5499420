"""What one sees of the network from here: how the last messages spread, how far peers are, where the data came from."""

from __future__ import annotations

from collections.abc import Iterator

import trio

from banyan_crdt.entry import Entry
from banyan_crdt.errors import Reject
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Put, decode_body
from banyan_node.api.declare import EmptyRequest, MethodTable, NodeView, Response, Shell
from banyan_node.api.json_types import Did, EntryHex, Milliseconds, PostUri, did, entry_hex, uri
from banyan_node.api.methods.post_rows import name_of
from banyan_node.hosting import hosted
from banyan_reading.queries import Queries
from banyan_replica.gossip.message_cache import Way
from banyan_replica.status import SpreadView
from banyan_schema.social import POST, Target
from banyan_storage.arrivals import origins

METHODS = MethodTable()
PINGED, AT_ONCE = 40, 8
"""Peers that one call asks, and at one time."""
ROWS = 2_000
"""Commits back to which it is said who brought what."""


class SpreadNeighbour(Response, frozen=True):
    """A neighbour of the gossip. way: it was sent the message, was told that the message is here, or showed that it has
    it."""

    peer: str
    way: Way
    time_ms: Milliseconds


class SpreadRow(Response, frozen=True):
    """A message of the gossip: a run of entries, of which `entry` is the last. uri: of the public post that the run
    wrote last, or null. time_ms: when it was new here. source: the peer that brought it; null: it was written here."""

    entry: EntryHex
    account: Did
    name: str
    uri: PostUri | None
    time_ms: Milliseconds
    source: str | None
    told: list[SpreadNeighbour]


class Spreads(Response, frozen=True):
    """Newest first."""

    spreads: list[SpreadRow]


class DistanceRow(Response, frozen=True):
    """ms: to the peer and back; null: it did not answer within two seconds."""

    peer: str
    ms: float | None


class Distances(Response, frozen=True):
    distances: list[DistanceRow]


class OriginRow(Response, frozen=True):
    """peer: null: what was written or imported here."""

    peer: str | None
    entries: int


class RoomTaken(Response, frozen=True):
    """bytes: of the store on the disk. strangers: bytes of that which accounts take that nobody here hosts or follows
    and no named peer brought. media: of pictures and films beside the store. hosted: accounts whose keys are here.
    origins: who brought the newest entries, most first."""

    bytes: int
    strangers: int
    media: int
    accounts: int
    hosted: int
    entries: int
    origins: list[OriginRow]


@METHODS.look("spreads")
def spreads(at: NodeView, ask: EmptyRequest) -> Spreads:
    """How the last messages spread from here: which neighbour was told of each, and when."""
    q = at.queries()
    return Spreads([*_spreads(q, at.seen.spreads)][::-1])


def _spreads(q: Queries, seen: tuple[SpreadView, ...]) -> Iterator[SpreadRow]:
    for one in seen:
        entry = q.reader.by_half(one.mid)
        if entry is None:  # a checkpoint, or not on the disk yet
            continue
        told = [SpreadNeighbour(peer, way, ms) for peer, (way, ms) in one.steps.items()]
        yield SpreadRow(
            entry_hex(entry.id),
            did(entry.account),
            name_of(q, entry.account),
            _post(q, entry.account, entry),
            one.time_ms,
            one.source or None,
            sorted(told, key=lambda row: row.time_ms),
        )


def _post(q: Queries, account: AccountId, entry: Entry) -> PostUri | None:
    if not entry.header.log:
        return None
    try:
        keys = [op.key for op in decode_body(entry.ops).ops if isinstance(op, Put) and op.coll == POST]
    except Reject:
        return None
    for key in reversed(keys):
        view = q.post(Target(account, key))
        if view is not None and view.post.audience == "public":
            return uri(view.target)
    return None


@METHODS.node("distances", "read")
async def distances(shell: Shell, ask: EmptyRequest) -> Distances:
    """How long a small message takes to linked peers and back."""
    linked = [link.peer for link in shell.seen.links if link.greeted][:PINGED]
    found: dict[str, float | None] = {}
    turns = trio.CapacityLimiter(AT_ONCE)

    async def one(peer: str) -> None:
        async with turns:
            seconds = await shell.ping(peer)
            found[peer] = None if seconds is None else round(seconds * 1000, 2)

    async with trio.open_nursery() as nursery:
        for peer in linked:
            nursery.start_soon(one, peer)
    return Distances([DistanceRow(peer, found[peer]) for peer in linked])


@METHODS.look("room")
def room(at: NodeView, ask: EmptyRequest) -> RoomTaken:
    """How much is held, and where the newest of it came from."""
    counts = at.store.counts()
    brought = sorted(origins(at.store.txn, ROWS).items(), key=lambda item: -item[1])
    return RoomTaken(
        bytes=at.queries().used,
        strangers=at.seen.strangers.used,
        media=at.blobs.used(),
        accounts=counts.accounts,
        hosted=hosted.count(at),
        entries=counts.entries,
        origins=[OriginRow(peer or None, entries) for peer, entries in brought],
    )
