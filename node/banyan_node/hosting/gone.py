"""Why a post is not shown: its author deleted it, this node withholds or hides it, or it is not held.

Withheld posts are noted by post, in addition to the store's record of each operation. So the operator can list them,
and a thread shows a mark in their place. Releasing the content deletes the note.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.ids import AccountId, CellKey, Coll, WriterKey
from banyan_node.hosting import stated
from banyan_node.operator_errors import CallError
from banyan_reading.queries import WITHHELD, Queries
from banyan_schema import dates
from banyan_schema.social import POST, Target, post_to_text
from banyan_storage.reader import StoreReader
from banyan_storage.store import Store

UNKNOWN = "not held here: never heard of, or not arrived yet"


class Order(NamedTuple):
    """The order that withholds a post. since_ms, expires_ms: Unix time in milliseconds; expires_ms 0: no end."""

    order: str
    basis: str
    scope: str
    since_ms: int
    expires_ms: int


class WithheldBy(NamedTuple):
    """An order that is in force. by: the key of the node that withholds; None: this node. until_ms: 0: no end."""

    by: WriterKey | None
    order: str
    basis: str
    scope: str
    since_ms: int
    until_ms: int

    @property
    def sentence(self) -> str:
        who = "this node" if self.by is None else f"{self.by.hex()[:16]}, its host or a platform named here"
        until = f"until {dates.day(self.until_ms)}" if self.until_ms else ""
        said = "; ".join(text for text in (self.order, self.basis, self.scope, until) if text)
        return f"withheld by {who}: {said or 'no reason given'}"


class Gone(NamedTuple):
    """word: deleted, withheld, hidden or unknown. sentence: says it of "this post", without a full stop. withheld: by
    which order it is."""

    word: str
    sentence: str
    withheld: WithheldBy | None = None


def note_withheld(store: Store, target: Target, order: Order | None) -> None:
    """Notes the order that withholds a post; None deletes the note."""
    raw = None
    if order is not None:
        raw = encode([*(text.encode() for text in order[:3]), order.since_ms, order.expires_ms])
    store.put_note(WITHHELD + target.account + target.key, raw)


def withheld(reader: StoreReader) -> Iterator[tuple[Target, Order]]:
    """Every post that this node withholds, ordered by account."""
    for key, raw in reader.notes(WITHHELD):
        body = key[-48:]
        yield Target(AccountId(body[:32]), CellKey(body[32:])), _order(raw)


def order_of(reader: StoreReader, target: Target) -> Order | None:
    """The order by which this node withholds the post."""
    raw = reader.note(WITHHELD + target.account + target.key)
    return None if raw is None else _order(raw)


def why_gone(q: Queries, target: Target) -> Gone:
    """The reason for a post that is not shown."""
    if q.is_dead(target.account, POST, target.key):
        return Gone("deleted", "deleted by its author")
    said, now_ms = stated.of(q.reader, target), time.time_ns() // 1_000_000
    if said is not None and said.until_ms and said.until_ms <= now_ms:
        said = None
    order, withheld = order_of(q.reader, target), None
    if order is not None:
        withheld = WithheldBy(None, *order)
    elif said is not None and said.counts:
        withheld = WithheldBy(*said[1:])
    if withheld is not None:
        return Gone("withheld", withheld.sentence, withheld)
    if q.is_hidden(target):
        return Gone("hidden", "hidden by the moderators of this node")
    if said is not None:
        return Gone("unknown", f"{UNKNOWN}; {said.by.hex()[:16]}, whom nobody here named, says: {said.order}")
    return Gone("unknown", UNKNOWN)


def not_shown(q: Queries, coll: Coll, target: Target, what: str, ended: str) -> CallError:
    """For a group, an event, a channel ... that is not shown. what: what it is. ended: what its account did, if it
    did."""
    why = ended if q.is_dead(target.account, coll, target.key) else UNKNOWN
    return CallError("not_found", f"The {what} {post_to_text(target)} is {why}.", 404)


def _order(raw: bytes) -> Order:
    order, basis, scope, since_ms, expires_ms = decode(raw)
    return Order(order.decode(), basis.decode(), scope.decode(), since_ms, expires_ms)
