"""How much room there is for entries of others, and which blobs go when there is none for them. Accounts are free, so
strangers would fill any disk.

A limit on what is *taken* changes nothing of what is true: what is not taken stays a difference between two frontiers,
and is asked for once there is room. Own accounts go on until the disk is really full.
"""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
import trio

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Add, Put, decode_body
from banyan_node.context import Context
from banyan_node.home.config import StorageSettings
from banyan_node.hosting import interest
from banyan_node.media.local_blobs import is_in_draft
from banyan_node.operator_errors import conflict
from banyan_node.workers.worker import Worker
from banyan_reading.queries import Queries
from banyan_reading.search.fts_index import used
from banyan_storage import tables as t
from banyan_storage.blob_names import is_named, places
from banyan_storage.blobs import BlobStore, HeldBlob
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.slots import SHOW, shown_at, slot_of

log = structlog.get_logger("banyan")
LOOK_S = 1.0
"""Seconds between two looks at the disk while the store grows: a flood of entries fills some ten megabytes in that
time."""
IDLE_LOOK_S = 10.0
"""And while there is room and nothing is written here: other programs fill the disk too."""
AGAIN = 20
"""There is room again once the reserve and 1/AGAIN of it more are free, so that the answer does not change every
second."""
WAYS = "follow those you want, name the peers that you trust (`banyan peers add`), or raise it"
"""What to do when strangers have used up their share."""
WAYS_OF_CHOSEN = "follow those you want, stop following who follows too many, or raise it"
"""The same on a node of chosen accounts."""


class StorageQuota(NamedTuple):
    """full: why there is no room, a sentence without a full stop; empty if there is. most: bytes that strangers may
    take, None: no bound. allowance: where that comes from, without what to do."""

    full: str
    most: int | None
    allowance: str


class QuotaWatch:
    """Tells the replica how much room there is, as it is now. Writes to the log once when room ends, and
    once when there is room again."""

    def __init__(self, worker: Worker[Context], engine: LmdbEngine, index: Path, storage: StorageSettings) -> None:
        self._worker, self._engine, self._index, self._storage = worker, engine, index, storage
        self._full = self._shut = False

    async def run(self) -> None:
        """For ever."""
        while True:
            seen, again = self._engine.commits, trio.current_time() + IDLE_LOOK_S
            room = await self._look()
            self._worker.post(partial(self._tell, room))  # a call would make others wait for it, to share a commit
            await trio.sleep(LOOK_S)
            while not self._full and seen == self._engine.commits and trio.current_time() < again:
                await trio.sleep(LOOK_S)

    async def look(self) -> None:
        """Once, and the replica knows it when this returns."""
        await self._worker.call(partial(self._tell, await self._look()))

    async def _look(self) -> StorageQuota:
        return await trio.to_thread.run_sync(room_of, self._engine, self._index, self._storage, self._full)

    def _tell(self, room: StorageQuota, c: Context, now: float) -> None:
        """On the replica's thread."""
        own = c.replica.room
        way = WAYS if own.interest is None else WAYS_OF_CHOSEN
        own.set_room(room.full, room.most, f"{room.allowance}; {way}")
        if bool(room.full) != self._full:
            self._full = bool(room.full)
            if room.full:
                log.warning("nothing of others is taken", reason=room.full)
            else:
                log.info("entries of others are taken again")
        strangers = c.replica.strangers.full
        if bool(strangers) != self._shut:
            self._shut = bool(strangers)
            if strangers:
                log.warning("nothing more of strangers is taken", reason=strangers)
            else:
                log.info("accounts of strangers are taken again")


def room_of(engine: LmdbEngine, index: Path, storage: StorageSettings, before: bool) -> StorageQuota:
    """index: of the search, which is made of the store and counts as a part of it. before: whether there was none."""
    most, share = None, storage.strangers
    of = "the store and the free disk beyond storage.reserve"
    if share < 100:
        whole = max(0, shutil.disk_usage(engine.path).free - storage.reserve) + engine.sizes().used + used(index)
        if 0 < storage.max_bytes <= whole:
            whole, of = storage.max_bytes, "storage.max_bytes"
        most = whole * share // 100
    return StorageQuota(
        why_full(engine, index, storage, before), most, f"storage.strangers allows {said(most or 0)}, {share} % of {of}"
    )


def why_full(engine: LmdbEngine, index: Path, storage: StorageSettings, before: bool) -> str:
    """Why there is no room, a sentence without a full stop; empty if there is. before: whether there was none."""
    sizes = engine.sizes()
    if storage.max_bytes and (held := sizes.live + used(index)) >= storage.max_bytes:
        return (
            f"the store and its search index have {said(held)}, and storage.max_bytes allows "
            f"{said(storage.max_bytes)}; raise it, or hold less: stop following, or drop (`banyan store drop`)"
        )
    wanted = storage.reserve + (storage.reserve // AGAIN if before else 0)
    empty = min(sizes.used - sizes.live, storage.reserve // 2)  # but not all: others write to the disk beside the store
    if wanted and (free := shutil.disk_usage(engine.path).free) + empty < wanted:
        keeps = said(storage.reserve) + (f", and {said(wanted)} until others are let in again" if before else "")
        inside = f", {said(empty)} inside the store" if empty else ""
        return (
            f"{said(free)} are free on the disk of {engine.path}{inside}, and storage.reserve keeps {keeps}; "
            "make room, or lower it"
        )
    return ""


def said(n: int) -> str:
    """Bytes, for people."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"


# Which blobs stay: what is named, pinned or was just put; and what goes when there is no room.
#
# All of it runs where posts are written, so that no blob goes while a post is written that names it.
#
# - A blob that no held content and no draft of this node names goes GRACE_S after it was last wanted: who puts a
#   picture has a day to post it, and the content of a deleted post, or of a picture that a profile shows no more, is
#   erased 30 days after it, and takes its blobs with it.
# - Beyond `media.max_bytes`, blobs go that are named only by accounts that nobody here hosts or follows, first those
#   that nobody wanted for longest.
# - The preview of a picture goes at once when nothing that is shown has it: the post was deleted or edited, or the
#   picture of a profile replaced. It stays if the picture was put here again since it was last posted.
# - A pinned blob stays.

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


def why_blobs_full(c: Context, size: int) -> str | None:
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
