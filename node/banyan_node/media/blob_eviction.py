"""Which blobs stay: what is named, pinned or was just put; and what goes when there is no room.

All of it runs where posts are written, so that no blob goes while a post is written that names it.

- A blob that no held content and no draft of this node names goes GRACE_S after it was last wanted: who puts a picture
  has a day to post it, and the content of a deleted post, or of a picture that a profile shows no more, is erased 30
  days after it, and takes its blobs with it.
- Beyond `media.max_bytes`, blobs go that are named only by accounts that nobody here hosts or follows, first those that
  nobody wanted for longest.
- The preview of a picture goes at once when nothing that is shown has it: the post was deleted or edited, or the
  picture of a profile replaced. It stays if the picture was put here again since it was last posted.
- A pinned blob stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add, Put, decode_body
from banyan_node.context import Context
from banyan_node.hosting import interest
from banyan_node.media.local_blobs import is_in_draft
from banyan_node.operator_errors import conflict
from banyan_node.upkeep.storage_quota import said
from banyan_reading.queries import Queries
from banyan_storage import tables as t
from banyan_storage.blob_names import is_named, places
from banyan_storage.blobs import BlobStore, HeldBlob
from banyan_storage.slots import SHOW, shown_at, slot_of

GRACE_S = 86_400
AT_ONCE = 200
"""Blobs looked at in one call of `collect`."""
NAMERS = 64
"""Posts and pictures of profiles looked at that name a blob: one that more of them name is kept."""


def old(blobs: BlobStore, now: float) -> list[BlobRoot]:
    """Blobs that go if nothing names them. Any thread."""
    return [one.root for one in blobs.all() if _is_old(one, now)]


def drop_old(uploads: BlobStore, now: float) -> None:
    """Drops uploads that nobody went on with. Any thread."""
    for root in old(uploads, now):
        uploads.drop(root)


def collect(roots: Sequence[BlobRoot], c: Context, now: float) -> None:
    """Drops those that nothing names, and that nobody wanted meanwhile."""
    txn = c.engine.write()
    for root in roots:
        one = c.blobs.find(root)
        if one is not None and _is_old(one, now) and not is_named(txn, root) and not is_in_draft(txn, root):
            c.blobs.drop(root)


def fade(roots: Sequence[BlobRoot], c: Context, now: float) -> None:
    """Drops those previews that only what is not shown names, and no draft."""
    q, txn = c.queries(), c.engine.write()
    for root in roots:
        one, found = c.blobs.find(root), places(txn, root, NAMERS + 1)
        if one is None or one.pinned or is_in_draft(txn, root):
            continue
        if len(found) > NAMERS or any(shows(q, t.part_key(*at)) for at in found):
            continue
        entries = (c.store.at(n) for n, _ in found)
        if c.blobs.put_ms(root) > max((entry.header.time >> 16 for entry in entries if entry is not None), default=0):
            continue
        c.blobs.drop(root)


def shows(q: Queries, place: bytes) -> bool:
    """Whether the operation at a place is what its cell shows. Raises ViewBuilding."""
    q.need()
    n, at = t.part_place(place)
    entry = q.reader.at(n)
    number = None if entry is None else q.number(entry.account)
    op = None if entry is None else decode_body(entry.ops).ops[at]
    if number is None or not isinstance(op, Put | Add):
        return False
    return shown_at(q.reader.txn, slot_of(number, op))[SHOW.place] == place


def _is_old(one: HeldBlob, now: float) -> bool:
    return not one.pinned and one.wanted_s < now - GRACE_S


def make_room(size: int, c: Context, now: float) -> None:
    """Makes room for a blob of so many bytes. Raises CallError."""
    most = c.settings.config.media.max_bytes
    if not most:
        return
    used = c.blobs.used()
    if used + size > most:
        for one in _evictable(c, now):
            c.blobs.drop(one.root)
            used -= one.size
            if used + size <= most:
                break
    if used + size > most:
        raise conflict(
            f"Pictures and films take {said(used)} and this takes {said(size)}; media.max_bytes allows {said(most)}. "
            "Raise it, or drop some (`banyan media list`)."
        )


def why_full(c: Context, size: int) -> str | None:
    """Why a blob of others is not fetched: the free disk that `storage.reserve` keeps. Without a full stop."""
    reserve = c.settings.config.storage.reserve
    free = shutil.disk_usage(c.home.path).free
    if free - size >= reserve:
        return None
    return f"{said(free)} are free on the disk, this takes {said(size)}, and storage.reserve keeps {said(reserve)}"


def _evictable(c: Context, now: float) -> Iterator[HeldBlob]:
    """What may go for something else, in this order."""
    txn, here = c.engine.write(), interest.LocalDemand(c)
    for one in c.blobs.all():
        if one.pinned or is_in_draft(txn, one.root):
            continue
        if not is_named(txn, one.root):
            if _is_old(one, now):
                yield one
        elif (namers := accounts(c, one.root)) and not any(here(account) for account in namers):
            yield one


def accounts(c: Context, root: BlobRoot) -> list[AccountId]:
    """The accounts whose held content names a blob; none if there are more than NAMERS."""
    found = places(c.engine.write(), root, NAMERS + 1)
    if len(found) > NAMERS:
        return []
    entries = (c.store.at(n) for n, _ in found)
    return list(dict.fromkeys(entry.account for entry in entries if entry is not None))
