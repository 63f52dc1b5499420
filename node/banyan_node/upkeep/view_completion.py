"""Builds all views that need it, before a command without a running node uses the store."""

from __future__ import annotations

import time
from collections.abc import Callable

from banyan_storage.engine import Engine
from banyan_storage.store import Store
from banyan_storage.upgrade import Say
from banyan_storage.views import builder, large_accounts
from banyan_storage.views.registry import ViewProgress, standings

SAY_S = 10.0
"""Seconds between two progress messages."""
COMMIT_STEPS = 50
"""Steps between two commits if no caller waits."""


def unbuilt(engine: Engine) -> list[ViewProgress]:
    """Views that are not fully built, as of the last commit. Any thread."""
    with engine.read() as txn:
        return [view for view in standings(txn) if view.done < 1]


def folded_again(engine: Engine, runs: bool = True) -> int:
    """Accounts that are folded in steps, as of the last commit. runs: also those of which only runs are. Any thread."""
    with engine.read() as txn:
        return len(large_accounts.waiting(txn, runs))


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
        more, steps = store.fold_again(builder.BUILD_STEP), steps + 1
        more = builder.step(engine.write(), store) or more
        if steps % COMMIT_STEPS and more:
            continue
        store.commit()
        if time.monotonic() > after:
            after = time.monotonic() + SAY_S
            parts = ", ".join(f"{view.name} {int(view.done * 100)} %" for view in unbuilt(engine))
            if parts:
                say(f"Views are being built: {parts}.")
