"""Which accounts a node of chosen accounts holds (`interest.mode` follows): its own and those within some follows.

All follows are read once. Then only those of accounts that were touched since (banyan_storage.views.touched) are read
again, and counted: an account is within n + 1 follows while an account within n follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import trio

from banyan_crdt.ids import AccountId
from banyan_node.context import RESTORING, Context
from banyan_node.hosting import awaited, dropped, hosted
from banyan_storage.errors import ViewBuilding
from banyan_storage.queries import Queries, queries
from banyan_storage.views import touched

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

LOOK_S = 5.0
"""Seconds between two looks whom the accounts here follow."""


async def follow(worker: Worker[Context], context: Context) -> None:
    """Tells the replica which accounts it holds, for as long as the node runs."""
    chosen = context.settings.config.interest
    interest, told = Interest(chosen.hops), object()
    while chosen.mode == "follows":
        await trio.sleep(LOOK_S)
        with suppress(ViewBuilding):  # follows are unknown until the view is built
            found = await trio.to_thread.run_sync(interest.of, context)
            if found is not told:
                await worker.call(partial(_hold, found))
                told = found


def _hold(found: frozenset[AccountId] | None, context: Context, now: float) -> None:
    """found: None is all. What was dropped or is awaited since it was found counts."""
    if found is not None:
        found = (found | awaited.accounts(context.store)).difference(dropped.dropped(context.store))
    context.replica.set_interest(found, now)


class Interest:
    """Of one store. One thread at a time."""

    def __init__(self, hops: int) -> None:
        self._hops = hops
        self._within = Within(hops)
        self._at = -1

    def of(self, ctx: Context) -> frozenset[AccountId] | None:
        """The accounts, with those that were dropped, as of the last commit; the same object while they are the same.
        None: all. Any thread. Raises ViewBuilding."""
        with queries(ctx.engine, ctx.realm, ctx.store.late_ids) as q:
            if q.reader.note(RESTORING) is not None:
                return None
            q.need("relations")
            return self.after(q, {*hosted.ids_in(q.reader), *awaited.accounts(q.reader)})

    def after(self, q: Queries, roots: set[AccountId]) -> frozenset[AccountId]:
        """Those within the follows of these accounts."""
        txn = q.reader.txn
        now = touched.last(txn)
        changes = touched.changes(txn, self._at) if 0 <= self._at <= now else None
        if changes is None:
            self._within = Within(self._hops)
        accounts = set[bytes]().union(*(change.accounts for change in changes or ()))
        self._at = now
        return self._within.update(roots, accounts, q.number, q.follows)


class Within:
    """Who is within so many follows of some accounts."""

    def __init__(self, hops: int) -> None:
        self._sets = [set[AccountId]() for _ in range(hops + 1)]
        """By number of follows, each with those before."""
        self._counts = [dict[AccountId, int]() for _ in range(hops)]
        """By number of follows: how many accounts within it follow an account."""
        self._follows: dict[AccountId, list[AccountId]] = {}
        """Of the accounts of which it is known."""
        self._known: dict[bytes, AccountId] = {}
        """Those of them that have a number, by number."""
        self._unknown: set[AccountId] = set()
        self._whole: frozenset[AccountId] | None = None

    def update(
        self,
        roots: set[AccountId],
        changed: Iterable[bytes],
        number_of: Callable[[AccountId], bytes | None],
        follows_of: Callable[[AccountId], list[AccountId]],
    ) -> frozenset[AccountId]:
        """The accounts within `hops` follows of the roots. changed: numbers of accounts that may follow others now."""
        again = {self._known[number] for number in changed if number in self._known}
        again |= {account for account in self._unknown if number_of(account) is not None}
        before = {account: self._follows[account] for account in again}
        for account in again:
            self._read(account, number_of, follows_of)
        came, gone = roots - self._sets[0], self._sets[0] - roots
        self._sets[0] = set(roots)
        moved = bool(came or gone)
        for n, counts in enumerate(self._counts):
            within, beyond = self._sets[n], self._sets[n + 1]
            seen = came | gone
            for account in came:
                if account not in self._follows:
                    self._read(account, number_of, follows_of)
                seen.update(_count(counts, self._follows[account], 1))
            for account in gone:
                seen.update(_count(counts, before.get(account, self._follows[account]), -1))
            for account in again & within - came:
                seen.update(_count(counts, before[account], -1), _count(counts, self._follows[account], 1))
            here = {account for account in seen if account in counts or account in within}
            came, gone = here - beyond, (seen - here) & beyond
            beyond |= came
            beyond -= gone
            moved = moved or bool(came or gone)
        for account in [*self._follows] if moved or again else ():
            if account not in (self._sets[-2] if self._counts else ()):
                self._forget(account, number_of)
        if moved or self._whole is None:
            self._whole = frozenset(self._sets[-1])
        return self._whole

    def _read(
        self,
        account: AccountId,
        number_of: Callable[[AccountId], bytes | None],
        follows_of: Callable[[AccountId], list[AccountId]],
    ) -> None:
        self._follows[account] = follows_of(account)
        number = number_of(account)
        if number is None:
            self._unknown.add(account)
        else:
            self._known[number] = account
            self._unknown.discard(account)

    def _forget(self, account: AccountId, number_of: Callable[[AccountId], bytes | None]) -> None:
        del self._follows[account]
        self._unknown.discard(account)
        number = number_of(account)
        if number is not None:
            self._known.pop(number, None)


def _count(counts: dict[AccountId, int], accounts: Iterable[AccountId], by: int) -> Iterable[AccountId]:
    """Counts these accounts once more, or once less. Returns them."""
    for account in accounts:
        count = counts.get(account, 0) + by
        if count:
            counts[account] = count
        else:
            counts.pop(account, None)
    return accounts
