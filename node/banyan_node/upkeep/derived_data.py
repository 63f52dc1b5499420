"""Keeps what is made of the store as the store is: views that are new, changed or asked for, and the index of posts. A
step, then a pause. Long runs are folded on account of the peers that sent them (links/queues.py) while own people rest;
here what is left, slowly while others write.

Each step notes its progress in the store (banyan_storage/views/builder.py), so the next program that opens it
continues. A command without a running node finishes the views before it uses the store (context.py).
"""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from banyan_node.context import SAY_S, Context, folded_again, unbuilt
from banyan_node.workers.worker import Worker
from banyan_reading.queries import queries
from banyan_reading.search.indexer import Indexer
from banyan_storage.errors import IndexDamaged, StorageError, ViewBuilding
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.views import builder, journal

if TYPE_CHECKING:
    from banyan_node.context import Context
    from banyan_node.workers.worker import Worker

log = structlog.get_logger("banyan")
LOOK_S = 1.0
"""Seconds between two looks whether a view is to be built, if something was written."""
BUSY_S = 2.0
"""How long the node counts as busy after another write."""
BEHIND = 4.0
"""The pause, relative to the step, while others write and only long runs are left: own people and news go first."""
BUSY, IDLE = (256, 0.5), (1_024, 0.1)
"""Entries in a step, and the length of the pause after it relative to the step, while others write and while none does.
A step of 256 takes about 10 ms and a commit, and a writer waits for at most one. With 1,024 posts waited four times as
long."""


def step(ctx: Context, now: float, size: int) -> tuple[bool, int]:
    """Builds one step: (whether more is left, the store's count of changes, which shows whether others write)."""
    more = ctx.store.fold_again(size)
    return builder.step(ctx.engine.write(), ctx.store, size) or more, ctx.store.changes


async def build(worker: Worker[Context], engine: LmdbEngine) -> None:
    """Builds views that need it, for as long as the node runs."""
    seen = -1
    while True:
        await trio.sleep(LOOK_S)
        if seen == engine.commits:
            continue
        seen = engine.commits
        waiting, accounts = unbuilt(engine), folded_again(engine)
        if not (waiting or accounts):
            continue
        began = said = trio.current_time()
        log.info("building views", views=[view.name for view in waiting], accounts=accounts)
        more, changes, busy = True, 0, 0.0
        while more:
            at = trio.current_time()
            runs_only = not (unbuilt(engine) or folded_again(engine, runs=False))
            size, rest = BUSY if at < busy or runs_only else IDLE
            try:
                before, (more, changes) = changes, await worker.call(partial(step, size=size))
            except StorageError as error:
                log.warning("views cannot be built now", error=str(error))
                await trio.sleep(SAY_S)
                continue
            if changes != before + 1:
                busy = at + BUSY_S
            rest = BEHIND if at < busy and runs_only else rest
            await trio.sleep((trio.current_time() - at) * rest)
            if trio.current_time() - said > SAY_S:
                said = trio.current_time()
                log.info("building views", **{view.name: f"{int(view.done * 100)} %" for view in unbuilt(engine)})
        log.info("views are built", seconds=round(trio.current_time() - began, 1))


# The index of posts follows the store in the background, some posts at a time. A command without a node brings it up to
# date before it searches.

INDEX_LOOK_S, LOOK_BUSY_S = 0.1, 1.0
"""Seconds between two looks whether something was written, and while something is written all the time: many posts in
one step cost less than each in its own."""
STEP = 100
"""Posts of a step: about 10 ms."""
INDEX_IDLE, INDEX_BUSY, WORKING = 1.0, 30.0, 0.1
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
    follower: Indexer | None = None
    seen, trimmed = -1, trio.current_time()
    while True:
        await trio.sleep(INDEX_LOOK_S)
        if follower is None or follower.index.replaced:
            follower, seen = Indexer(await trio.to_thread.run_sync(search.connect)), -1
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


async def _catch_up(worker: Worker[Context], context: Context, follower: Indexer) -> None:
    more = True
    while more:
        at, worked = trio.current_time(), worker.worked_s
        more = await trio.to_thread.run_sync(_step, context, follower)
        took = min(trio.current_time() - at, LONGEST_S)  # it may have waited for a lock
        await trio.sleep(took * INDEX_IDLE)
        if worker.worked_s - worked > WORKING * (trio.current_time() - at):
            await trio.sleep(took * (INDEX_BUSY - INDEX_IDLE))


def _trim(read: int, ctx: Context, now: float) -> None:
    journal.trim(ctx.engine.write(), min(read, ctx.compared))


def _step(context: Context, follower: Indexer) -> bool:
    with suppress(ViewBuilding), queries(context.engine, context.realm, context.store.late_ids) as q:
        return follower.step(q, STEP)
    return False
