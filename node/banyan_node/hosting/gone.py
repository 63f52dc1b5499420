"""Why a post is not shown: its author deleted it, this node withholds it, or it is not held.

What this node withholds is noted by post, beside the store's own record of each operation, so that its operator can
list it and finds it marked where it stood. The note goes when the content is released.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId, CellKey
from banyan_schema.social import POST, Target
from banyan_storage.queries import Queries
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

_WITHHELD = b"withheld post:"


class Order(NamedTuple):
    """Why a post is withheld here. since_ms, expires_ms: milliseconds; 0 for an order without an end."""

    order: str
    basis: str
    scope: str
    since_ms: int
    expires_ms: int


class Gone(NamedTuple):
    """word: deleted, withheld or unknown. sentence: without its full stop, of "this post"."""

    word: str
    sentence: str


def note_withheld(store: Store, target: Target, order: Order | None) -> None:
    """None: it is released."""
    raw = None
    if order is not None:
        raw = encode([*(text.encode() for text in order[:3]), order.since_ms, order.expires_ms])
    store.put_note(_WITHHELD + target.account + target.key, raw)


def withheld(reader: StoreReader) -> Iterator[tuple[Target, Order]]:
    """Every post that this node withholds, by account."""
    for key, raw in reader.notes(_WITHHELD):
        body = key[-48:]
        yield Target(AccountId(body[:32]), CellKey(body[32:])), _order(raw)


def why_gone(q: Queries, target: Target) -> Gone:
    """Of a post that is not shown."""
    raw = q.reader.note(_WITHHELD + target.account + target.key)
    if raw is not None:
        return Gone("withheld", f"withheld by this node: {_order(raw).order}")
    if q.is_dead(target.account, POST, target.key):
        return Gone("deleted", "deleted by its author")
    return Gone("unknown", "not held here: never heard of, or not arrived yet")


def _order(raw: bytes) -> Order:
    order, basis, scope, since_ms, expires_ms = decode(raw)
    return Order(order.decode(), basis.decode(), scope.decode(), since_ms, expires_ms)
