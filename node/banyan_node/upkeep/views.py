"""Builds views that are new, changed or asked for while the node runs: a step, then a pause. Long runs are folded on
account of the peers that sent them (links/incoming.py) while own people rest; here what is left, slowly while others
write.

Each step notes its progress in the store (banyan_storage/views/building.py), so the next program that opens it
continues. A command without a running node finishes the views before it uses the store (finishing.py).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from banyan_node.upkeep.finishing import SAY_S, folded_again, unbuilt
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.views import building

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
    return building.step(ctx.engine.write(), ctx.store, size) or more, ctx.store.changes


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
