"""Keeps the index of posts (banyan_reading.search) as the store is: a running node follows its store in the background,
some posts at a time. A command without a node brings the index up to date before it searches."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import structlog
import trio

from banyan_node.context import Context
from banyan_node.workers.worker import Worker
from banyan_reading.queries import queries
from banyan_reading.search.following import Follower
from banyan_storage.errors import IndexDamaged, ViewBuilding
from banyan_storage.views import journal

log = structlog.get_logger("banyan")
LOOK_S, LOOK_BUSY_S = 0.1, 1.0
"""Seconds between two looks whether something was written, and while something is written all the time: many posts in
one step cost less than each in its own."""
STEP = 100
"""Posts of a step: about 10 ms."""
IDLE, BUSY, WORKING = 1.0, 30.0, 0.1
"""The pause after a step, relative to it, while the replica's thread has little to do and while it works, and the part
of the time from which on it does: the interpreter is shared with it. Who fetches a network first wants to have it, and
then to search it; who serves one is waited for."""
LONGEST_S = 0.1
"""What a step is taken for at most, where its pause is measured."""
TRIM_S = 30.0
"""Seconds between two removals of what was read from the journal."""


async def follow(worker: Worker[Context], context: Context) -> None:
    """Keeps the index up to date for as long as the node runs."""
    search, engine = context.search, context.engine
    search.followed = True
    follower: Follower | None = None
    seen, trimmed = -1, trio.current_time()
    while True:
        await trio.sleep(LOOK_S)
        if follower is None or follower.index.replaced:
            follower, seen = Follower(await trio.to_thread.run_sync(search.connect)), -1
        if seen != engine.commits:
            seen = engine.commits
            try:
                await _catch_up(worker, context, follower)
            except IndexDamaged as why:
                log.warning("search index", why=str(why))
                await trio.to_thread.run_sync(search.make_again, follower.index)
                follower = None
                continue
            if seen != engine.commits:
                await trio.sleep(LOOK_BUSY_S)
        if follower.index.untidy:
            await trio.to_thread.run_sync(follower.index.tidy)
        if trio.current_time() - trimmed > TRIM_S:
            trimmed = trio.current_time()
            await worker.call(partial(_trim, follower.index.read))


async def _catch_up(worker: Worker[Context], context: Context, follower: Follower) -> None:
    more = True
    while more:
        at, worked = trio.current_time(), worker.worked_s
        more = await trio.to_thread.run_sync(_step, context, follower)
        took = min(trio.current_time() - at, LONGEST_S)  # it may have waited for a lock
        await trio.sleep(took * IDLE)
        if worker.worked_s - worked > WORKING * (trio.current_time() - at):
            await trio.sleep(took * (BUSY - IDLE))


def _trim(read: int, ctx: Context, now: float) -> None:
    journal.trim(ctx.engine.write(), read)


def _step(context: Context, follower: Follower) -> bool:
    with suppress(ViewBuilding), queries(context.engine, context.realm, context.store.late_ids) as q:
        return follower.step(q, STEP)
    return False
