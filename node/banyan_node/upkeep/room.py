"""Whether there is room for entries of others. Accounts are free, so strangers would fill any disk.

A limit on what is *taken* changes nothing of what is true: what is not taken stays a difference between two frontiers,
and is asked for once there is room. Own accounts go on until the disk is really full.
"""

import shutil

import structlog
import trio

from banyan_node.context import Context
from banyan_node.home.config import StorageSettings
from banyan_node.workers.worker import Worker
from banyan_storage.lmdb_engine import LmdbEngine

log = structlog.get_logger("banyan")
LOOK_S = 1.0
"""Seconds between two looks at the disk: a flood of entries fills some ten megabytes in that time."""
AGAIN = 20
"""There is room again once a part in so many of the reserve is free beside it, so that the answer does not flicker."""


class Watch:
    """Tells the replica why there is no room, as it is now; and once the log, when that begins and when it ends."""

    def __init__(self, worker: Worker[Context], engine: LmdbEngine, storage: StorageSettings) -> None:
        self._worker, self._engine, self._storage = worker, engine, storage
        self._full = ""

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await trio.sleep(LOOK_S)

    async def look(self) -> None:
        full = await trio.to_thread.run_sync(why_full, self._engine, self._storage, bool(self._full))
        if full == self._full:
            return
        await self._worker.call(lambda c, now: c.replica.set_room(full))
        turned, self._full = bool(full) != bool(self._full), full
        if not turned:
            return
        if full:
            log.warning("nothing of others is taken", reason=full)
        else:
            log.info("entries of others are taken again")


def why_full(engine: LmdbEngine, storage: StorageSettings, before: bool) -> str:
    """Why there is no room, a sentence without a full stop; empty if there is. before: whether there was none."""
    if storage.max_bytes and (used := engine.sizes().used) >= storage.max_bytes:
        return (
            f"the store has {said(used)}, and storage.max_bytes allows {said(storage.max_bytes)}; raise it, or make "
            "the store smaller with `banyan store compact`"
        )
    wanted = storage.reserve + (storage.reserve // AGAIN if before else 0)
    if wanted and (free := shutil.disk_usage(engine.path).free) < wanted:
        keeps = said(storage.reserve) + (f", and {said(wanted)} until others are let in again" if before else "")
        return (
            f"{said(free)} are free on the disk of {engine.path}, and storage.reserve keeps {keeps}; "
            "make room, or lower it"
        )
    return ""


def said(n: int) -> str:
    """Bytes, for people."""
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
