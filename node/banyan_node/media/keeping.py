"""Which blobs stay: what is named, pinned or was just put; and what goes when there is no room.

All of it runs where posts are written, so that no blob goes while a post is written that names it.

- A blob that no held content names goes GRACE_S after it was last wanted: who puts a picture has a day to post it, and
  the content of a deleted post is erased 30 days after it, and takes its blobs with it.
- Beyond `media.max_bytes`, blobs go that are named only by accounts that nobody here hosts or follows, first those that
  nobody wanted for longest.
- A pinned blob stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting import wanted
from banyan_node.operator_errors import CallError
from banyan_node.upkeep.room import said
from banyan_storage.blob_names import is_named, places
from banyan_storage.blobs import HeldBlob

GRACE_S = 86_400
AT_ONCE = 200
"""Blobs looked at in one call."""
NAMERS = 64
"""Posts looked at that name a blob: one that more posts name is kept."""


def collect(after: BlobRoot | None, c: Context, now: float) -> BlobRoot | None:
    """Drops some of what nothing names. after: the last blob that was looked at. Returns that of this call, or None at
    the end."""
    txn, held = c.engine.write(), sorted(c.blobs.all(), key=lambda held: held.root)
    rest = [one for one in held if after is None or one.root > after]
    for one in rest[:AT_ONCE]:
        if not one.pinned and one.wanted_s < now - GRACE_S and not is_named(txn, one.root):
            c.blobs.drop(one.root)
    return rest[AT_ONCE - 1].root if len(rest) > AT_ONCE else None


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
        raise CallError(
            "refused",
            f"Pictures and films take {said(used)} and this takes {said(size)}; media.max_bytes allows {said(most)}. "
            "Raise it, or drop some (`banyan media list`).",
            409,
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
    txn, here = c.engine.write(), wanted.Wanted(c)
    for one in c.blobs.all():
        if one.pinned:
            continue
        if not is_named(txn, one.root):
            if one.wanted_s < now - GRACE_S:
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
