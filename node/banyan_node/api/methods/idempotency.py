"""What the door for HTTP answered under which key, of what it does itself: its records lie beside the node's own."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan_node import idempotency
from banyan_node.api.declare import CommitView, MethodTable, NoResult, Request, Response
from banyan_node.api.json_types import ThingRef
from banyan_node.api.methods.post_rows import now_ms
from banyan_node.context import Context
from banyan_node.idempotency import RecordKey
from banyan_storage.local_tables import IdempotencyRecord

METHODS = MethodTable()
MOST = 1_000


class IdempotencyKey(Request, frozen=True, forbid_unknown_fields=True):
    """name: of the record, a digest of who gave the key and of the key."""

    name: ThingRef


class NewRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """said: the digest of the request. answer: any JSON value. about: DIDs and names of accounts with whose erasing it
    goes, beside the DIDs in the answer; null: it outlives them."""

    name: ThingRef
    said: ThingRef
    answer: Any
    about: list[str] | None = None


class NewRecords(Request, frozen=True, forbid_unknown_fields=True):
    records: Annotated[list[NewRecord], Meta(max_length=MOST)]


class KnownRecord(Response, frozen=True):
    """said: the digest of the request."""

    said: ThingRef
    answer: Any


class FoundRecord(Response, frozen=True):
    record: KnownRecord | None


class KeptRecords(Response, frozen=True):
    """In the order of the request."""

    records: list[KnownRecord]


@METHODS.read("idempotency.find")
def find(at: CommitView, ask: IdempotencyKey) -> FoundRecord:
    """What was answered under a key in the last day."""
    found = idempotency.find(at.store, bytes.fromhex(ask.name), now_ms())
    return FoundRecord(None if found is None else _known(found))


@METHODS.write("idempotency.keep")
def keep(ctx: Context, ask: NewRecords, now: float) -> KeptRecords:
    """Keeps answers under keys for a day, where nothing is kept yet, and answers what is kept."""
    wall_ms, kept = ctx.replica.wall_ms(now), list[KnownRecord]()
    for one in ask.records:
        key = RecordKey(bytes.fromhex(one.name), bytes.fromhex(one.said), one.about is None)
        found = idempotency.find(ctx.store, key.name, wall_ms)
        kept.append(_known(found or idempotency.put(ctx.store, key, one.answer, wall_ms, one.about or ())))
    return KeptRecords(kept)


@METHODS.write("idempotency.drop")
def drop(ctx: Context, ask: IdempotencyKey, now: float) -> NoResult:
    """Forgets what was kept under a key: what it stood for was refused."""
    idempotency.drop(ctx.store, bytes.fromhex(ask.name), ctx.replica.wall_ms(now))
    return NoResult()


def _known(record: IdempotencyRecord) -> KnownRecord:
    return KnownRecord(record.said.hex(), msgspec.json.decode(record.answer))
