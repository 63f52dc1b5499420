"""Which posts name a blob, read from their held content."""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ops import Put, decode_body
from banyan_crdt.parts import content_of
from banyan_schema.registry import SOCIAL
from banyan_schema.social import POST, Post, Target
from banyan_schema.social.post import Media
from banyan_storage import tables as t
from banyan_storage.blob_names import places
from banyan_storage.reader import StoreReader


class Naming(NamedTuple):
    """A post that names a blob, or that an edit of it named. is_preview: as the preview of the item."""

    post: Target
    item: Media
    is_preview: bool


def naming(reader: StoreReader, root: BlobRoot, limit: int) -> list[Naming]:
    """The posts that name it, oldest first, at most about so many."""
    found = dict[Target, Naming]()
    for n, at in places(reader.txn, root, limit):
        entry, raw = reader.at(n), reader.txn.get(t.PARTS, t.part_key(n, at))
        if entry is None or raw is None:
            continue
        op = decode_body(entry.ops).ops[at]
        said = SOCIAL.decode(op.coll, op, content_of(raw)) if isinstance(op, Put) and op.coll == POST else None
        if isinstance(op, Put) and isinstance(said, Post):
            item = next((m for m in said.media if root in (m.blob, m.preview)), None)
            if item is not None:
                target = Target(entry.account, op.key)
                found[target] = Naming(target, item, root != item.blob)
    return list(found.values())
