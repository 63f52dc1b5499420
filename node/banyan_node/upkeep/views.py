"""Builds views that are new, changed or asked for while the node runs: a step, then a pause.

Each step notes its progress in the store (banyan_storage/views/building.py), so the next program that opens it
continues. A command without a running node finishes the views before it uses the store.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from banyan_storage.engine import Engine
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.store import Store
from banyan_storage.upgrade import Say
from banyan_storage.views import building, large_accounts
from banyan_storage.views.progress import ViewStanding, standings

if TYPE_CHECKING:
    from banyan_node.context import Context
    from banyan_node.workers.worker import Worker

log = structlog.get_logger("banyan")
LOOK_S = 1.0
"""Seconds between two looks whether a view is to be built, if something was written."""
BUSY_S = 2.0
"""How long the node counts as busy after another write."""
BUSY, IDLE = (256, 0.5), (1_024, 0.1)
"""Entries in a step, and the length of the pause after it relative to the step, while others write and while none does.
A step of 256 takes about 10 ms and a commit, and a writer waits for at most one. With 1,024 posts waited four times as
long."""
SAY_S = 10.0
"""Seconds between two progress messages."""
COMMIT_STEPS = 50
"""Steps between two commits if no caller waits."""


def step(ctx: Context, now: float, size: int) -> tuple[bool, int]:
    """Builds one step: (whether more is left, the store's count of changes, which shows whether others write)."""
    more = ctx.store.fold_again(size)
    return building.step(ctx.engine.write(), ctx.store, size) or more, ctx.store.changes


def unbuilt(engine: Engine) -> list[ViewStanding]:
    """Views that are not fully built, as of the last commit. Any thread."""
    with engine.read() as txn:
        return [view for view in standings(txn) if view.done < 1]


def folded_again(engine: Engine) -> int:
    """Large accounts that are folded again, as of the last commit. Any thread."""
    with engine.read() as txn:
        return len(large_accounts.waiting(txn))


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
            size, rest = BUSY if at < busy else IDLE
            try:
                before, (more, changes) = changes, await worker.call(partial(step, size=size))
            except StorageError as error:
                log.warning("views cannot be built now", error=str(error))
                await trio.sleep(SAY_S)
                continue
            if changes != before + 1:
                busy = at + BUSY_S
            await trio.sleep((trio.current_time() - at) * rest)
            if trio.current_time() - said > SAY_S:
                said = trio.current_time()
                log.info("building views", **{view.name: f"{int(view.done * 100)} %" for view in unbuilt(engine)})
        log.info("views are built", seconds=round(trio.current_time() - began, 1))


def finish(
    engine: Engine, store: Store, say: Say, stopped: Callable[[], bool] = lambda: False, only: tuple[str, ...] = ()
) -> None:
    """Builds all unbuilt views now. only: do nothing unless one of these is unbuilt.

    Returns early when `stopped()` is true; what was committed stays. Raises StorageError.
    """
    waiting = [view.name for view in unbuilt(engine)]
    if not (waiting or folded_again(engine)) or (only and not set(only) & set(waiting)):
        return
    after, steps, more = time.monotonic() + 1.0, 0, True
    while more and not stopped():
        more, steps = store.fold_again(building.STEP), steps + 1
        more = building.step(engine.write(), store) or more
        if steps % COMMIT_STEPS and more:
            continue
        store.commit()
        if time.monotonic() > after:
            after = time.monotonic() + SAY_S
            parts = ", ".join(f"{view.name} {int(view.done * 100)} %" for view in unbuilt(engine))
            if parts:
                say(f"Views are being built: {parts}.")
