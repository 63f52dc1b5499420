"""Views that are new, changed or asked for are built while the node serves and syncs: a step, then a pause.

What is done is noted in the store with each step (banyan_storage/views/building.py), so whoever opens it next goes on.
A store that no node has open is finished before it is used: nobody else would build it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog
import trio

from banyan_storage.engine import Engine
from banyan_storage.errors import StorageError
from banyan_storage.store import Store
from banyan_storage.upgrade import Say
from banyan_storage.views import building
from banyan_storage.views.standing import Standing, standings

if TYPE_CHECKING:
    from banyan_node.context import Context
    from banyan_node.worker import Worker

log = structlog.get_logger("banyan")
LOOK_S = 1.0
"""How often it is looked whether anything is to be built."""
BUSY_S = 2.0
"""How long the node counts as busy after somebody else wrote."""
LEAST, MOST = 256, 1_024
"""Entries in a step: the least while others write, the most while nobody does. 256 take some 12 ms, and a writer waits
for one step at most. On a slow disk a step may take as long as the commit after it, for which a writer waits anyway."""
REST_BUSY, REST_IDLE = 0.4, 0.1
"""How long the pause after a step is, in steps."""
SAY_S = 10.0
"""How often it is said how far a long build is."""
COMMIT_STEPS = 50
"""Steps between two commits where nobody waits."""


class Step(NamedTuple):
    """`more`: whether more is left. `changes`: how much was ever written, which tells whether others write too."""

    more: bool
    changes: int
    seconds: float


def step(ctx: Context, now: float, size: int) -> Step:
    """Builds a little."""
    began = time.perf_counter()
    ctx.store.changes += 1
    more = building.step(ctx.engine.write(), ctx.store, size)
    return Step(more, ctx.store.changes, time.perf_counter() - began)


def unbuilt(engine: Engine) -> list[Standing]:
    """Views of which something is to be built, by the last commit. Any thread."""
    with engine.read() as txn:
        return [view for view in standings(txn) if view.done < 1]


async def build(worker: Worker[Context], engine: Engine) -> None:
    """Builds whatever is to be built, for as long as the node runs."""
    while True:
        await trio.sleep(LOOK_S)
        waiting = unbuilt(engine)
        if not waiting:
            continue
        began = said = trio.current_time()
        log.info("building views", views=[view.name for view in waiting])
        last, size, busy = Step(True, 0, 0.0), LEAST, 0.0
        while last.more:
            at = trio.current_time()
            try:
                before, last = last, await worker.call(partial(step, size=size if at < busy else MOST))
            except StorageError as error:
                log.warning("views cannot be built now", error=str(error))
                await trio.sleep(SAY_S)
                continue
            took = trio.current_time() - at
            if last.changes != before.changes + 1:
                busy = at + BUSY_S
            size = min(MOST, size * 5 // 4) if last.seconds < took / 2 else max(LEAST, size * 4 // 5)
            await trio.sleep(took * (REST_BUSY if at < busy else REST_IDLE))
            if trio.current_time() - said > SAY_S:
                said = trio.current_time()
                log.info("building views", **{view.name: f"{int(view.done * 100)} %" for view in unbuilt(engine)})
        log.info("views are built", seconds=round(trio.current_time() - began, 1))


def finish(
    engine: Engine, store: Store, say: Say, stopped: Callable[[], bool] = lambda: False, only: tuple[str, ...] = ()
) -> None:
    """Builds all that is to be built, now; with `only`, where one of these views is among it.

    Returns early where it is stopped; what was committed stays. Raises StorageError.
    """
    waiting = [view.name for view in unbuilt(engine)]
    if not waiting or (only and not set(only) & set(waiting)):
        return
    after, steps, more = time.monotonic() + 1.0, 0, True
    while more and not stopped():
        more, steps = building.step(engine.write(), store), steps + 1
        if steps % COMMIT_STEPS and more:
            continue
        store.commit()
        if time.monotonic() > after:
            after = time.monotonic() + SAY_S
            parts = ", ".join(f"{view.name} {int(view.done * 100)} %" for view in unbuilt(engine))
            if parts:
                say(f"Views are being built: {parts}.")
