"""Content that was released here and has to come from peers: the post that it is of, until it comes.

A note for each operation, made with the release and removed with the arrival, each in its transaction: so whoever
listens is told once, also of content that comes after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.ids import EntryId
from banyan_replica.surroundings import PartItem
from banyan_schema.social import Target
from banyan_storage.store import Store

_AWAITED = b"awaited content:"


def wait_for(store: Store, entry: EntryId, op: int, post: Target | None) -> None:
    """Content of an operation has to come, of this post; None: it is not awaited any more."""
    store.put_note(_name(entry, op), None if post is None else post.raw)


def came(store: Store, items: Iterable[PartItem]) -> list[Target]:
    """The posts of content that came and was awaited. It is not awaited any more."""
    posts = dict[Target, None]()
    for item in items:
        if (raw := store.note(_name(item.entry, item.op))) is not None:
            wait_for(store, item.entry, item.op, None)
            posts[Target.of(raw)] = None
    return [*posts]


def _name(entry: EntryId, op: int) -> bytes:
    return _AWAITED + entry + op.to_bytes(2, "big")
