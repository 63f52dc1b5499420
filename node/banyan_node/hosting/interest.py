"""Which accounts a node of chosen accounts holds (`interest.mode` follows), the most important first (reach.py).

Follows are read once, and again of accounts that were touched since (banyan_storage.views.touched): of own accounts at
each look, of others once a minute. So an account that changes its follows all the time costs little, here and at peers.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting.reach import Reach
from banyan_reading.queries import Queries, queries
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import AWAITED, DROPPED, HOSTED, RESTORING
from banyan_storage.views import touched

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

LOOK_S = 5.0
"""Seconds between two looks whom the accounts here follow."""
FAR_LOOKS = 12
"""At each look of so many, whom others follow is looked at too."""


async def follow(worker: Worker[Context], context: Context) -> None:
    """Tells the replica which accounts it holds, for as long as the node runs."""
    chosen, interest, told = context.settings.config.interest, Interest(context), object()
    while chosen.mode == "follows":
        await trio.sleep(LOOK_S)
        with suppress(ViewBuilding):  # follows are unknown until the view is built
            found = await trio.to_thread.run_sync(interest.look)
            if found is not told:
                await worker.call(partial(_hold, found, interest.near))
                told = found


def hold(ctx: Context, now: float) -> None:
    """Tells the replica which accounts it holds now. Raises ViewBuilding."""
    interest = Interest(ctx)
    _hold(None if holds_all(ctx) else interest.of(ctx.queries()), interest.near, ctx, now)


def holds_all(ctx: Context) -> bool:
    """A node that is restoring holds all, because the ids of its accounts are unknown until they arrive."""
    return ctx.settings.config.interest.mode == "all" or RESTORING.get(ctx.store) is not None


def _hold(found: tuple[AccountId, ...] | None, near: int, context: Context, now: float) -> None:
    """found: None is all. near: see `Reach`. What was dropped or is awaited since it was found counts."""
    if found is None:
        context.replica.set_interest(None, now)
        return
    gone = set(DROPPED.keys(context.store))
    first, far = (*AWAITED.keys(context.store), *found[:near]), found[near:]
    held, beyond = ([account for account in accounts if account not in gone] for accounts in (first, far))
    context.replica.set_interest(held, now, beyond)


class Interest:
    """Of one store. One thread at a time."""

    def __init__(self, ctx: Context) -> None:
        chosen = ctx.settings.config.interest
        self._ctx, self._reach = ctx, Reach(chosen.hops, chosen.max_accounts)
        self._at, self._looks = -1, 0
        self._later: set[bytes] | None = None
        """Numbers of the accounts that were touched and are read again once a minute; None: perhaps all."""

    @property
    def near(self) -> int:
        """See `Reach`, of what was found last."""
        return self._reach.near

    def look(self) -> tuple[AccountId, ...] | None:
        """The accounts, with those that were dropped, as of the last commit; the same object while they are the same.
        None: all. Any thread. Raises ViewBuilding."""
        ctx = self._ctx
        with queries(ctx.engine, ctx.realm, ctx.store.late_ids) as q:
            return None if RESTORING.get(q.reader) is not None else self.of(q)

    def of(self, q: Queries) -> tuple[AccountId, ...]:
        q.need("relations")
        last, changes = touched.last(q.reader.txn), None
        if 0 <= self._at <= last:
            changes = touched.changes(q.reader.txn, self._at)
        now = None if changes is None else {number for change in changes for number in change.accounts}
        self._at, far = last, self._looks % FAR_LOOKS == 0
        self._looks += 1
        self._later = None if now is None or self._later is None else self._later | now
        roots = {*HOSTED.keys(q.reader), *AWAITED.keys(q.reader)}
        # an account of which nothing was known may be new here
        again = [a for a, known in self._reach.known.items() if far or a in roots or not known.accounts]
        changed = self._later if far else now
        if changed is not None:
            again = [account for account in again if q.number(account) in changed]
        if far:
            self._later = set()
        return self._reach.update(sorted(roots), again, q.follows)
