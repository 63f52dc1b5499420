"""How much room there is for entries of others. Accounts are free, so strangers would fill any disk.

A limit on what is *taken* changes nothing of what is true: what is not taken stays a difference between two frontiers,
and is asked for once there is room. Own accounts go on until the disk is really full.
"""

import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
import trio

from banyan_node.context import Context
from banyan_node.home.config import StorageSettings
from banyan_node.workers.worker import Worker
from banyan_reading.search.fts_index import used
from banyan_storage.lmdb_engine import LmdbEngine

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
        why_full(engine, index, storage, before),
        most,
        f"storage.strangers allows {said(most or 0)}, {share} % of {of}",
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
