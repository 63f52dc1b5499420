"""Erases what peers brought of accounts that a node of chosen accounts (`interest.mode` follows) holds no longer.
People here stopped following them, or somebody whom they follow did. So the room that they took comes back.

While there is room they stay for KEPT_S: who stopped following may think again, and a thief of a device may stop
following everybody. When room ends all of them go, one after the other, so that other work comes between.

An account that leaves the chosen ones counts as a stranger's from then on, and what is counted is noted in the store.
So it is known after a restart what is to be erased; and what was imported from an archive stays. Who names an account
of this node is held further (sync/notices.py), as a stranger.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import structlog
import trio

from banyan_crdt.ids import AccountId, account_to_text, control_log, is_checkpoint
from banyan_node.context import Context
from banyan_node.hosting import dropped
from banyan_replica.intake.prices import ENTRY_PRICE, OP_PRICE, PART_PRICE

if TYPE_CHECKING:
    from banyan_node.workers.worker import Worker

log = structlog.get_logger("banyan")
LOOK_S = 2.0
"""Seconds between two looks whether something is to be erased."""
PAUSE = 1.0
"""The pause after a step, relative to the time that it took."""
KEPT_S = 86_400.0
"""Seconds for which they stay while there is room."""
AT_ONCE = 1_000
"""Accounts that leave and are counted in one step."""


async def run(worker: Worker[Context], context: Context) -> None:
    """For as long as the node runs."""
    evicting = Evicting()
    while context.settings.config.interest.mode == "follows":
        await trio.sleep(LOOK_S)
        while await worker.call(evicting.step):
            await trio.sleep(evicting.took_s * PAUSE)


class Evicting:
    """On the replica's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._interest: AbstractSet[AccountId] = frozenset()
        self._chosen: AbstractSet[AccountId] = frozenset()
        """Of those that are held, those of the last look that are not held only because they name an account here."""
        self._leaving = list[AccountId]()
        """Those that left and are not counted yet."""
        self._outside: dict[AccountId, float] = {}
        """Those that are counted and not held any longer, and since when."""
        self.took_s = 0.0
        """How long the last step took, seconds."""

    def step(self, ctx: Context, now: float) -> bool:
        """Counts some accounts that left, or erases some of one. Returns whether there is more to do now."""
        began, room = self._clock(), ctx.replica.room
        if room.interest is None:  # all, or not known while the node is being restored
            return False
        if room.interest is not self._interest:
            chosen = room.chosen
            self._leaving += (self._interest - room.interest) | (self._chosen - chosen)
            self._interest, self._chosen = room.interest, chosen
            self._look(ctx)
        for account in self._leaving[:AT_ONCE]:
            self._count(ctx, account)
        if self._leaving:
            ctx.replica.strangers.note()
        del self._leaving[:AT_ONCE]
        if room.full or ctx.replica.strangers.full:
            self._outside = dict.fromkeys(self._outside, began - KEPT_S)
        due = [account for account, since in self._outside.items() if began - since >= KEPT_S]
        if due and not self._leaving:
            self._erase(ctx, due[0], now)
        self.took_s = self._clock() - began
        return any(account in self._outside for account in due) or bool(self._leaving)

    def _look(self, ctx: Context) -> None:
        """Which counted accounts are held no longer."""
        before, now = self._outside, self._clock()
        counted = (account for account, _ in ctx.replica.strangers.accounts())
        self._outside = {account: before.get(account, now) for account in counted if self._is_outside(ctx, account)}

    def _is_outside(self, ctx: Context, account: AccountId) -> bool:
        return not dropped.is_wanted(ctx, account)

    def _count(self, ctx: Context, account: AccountId) -> None:
        """Counts an account that left, at the least that its entries cost."""
        heads = ctx.store.heads(account)  # of no account that is not held, of which there are many, is anything cached
        if control_log(account) not in heads or ctx.around.is_wanted(account):
            return
        entries = sum(head.length for log, head in heads.items() if not is_checkpoint(log))
        if not ctx.replica.strangers.of(account):
            ctx.replica.strangers.took(control_log(account), entries * (ENTRY_PRICE + OP_PRICE + PART_PRICE), new=True)
        if self._is_outside(ctx, account):
            self._outside.setdefault(account, self._clock())

    def _erase(self, ctx: Context, account: AccountId, now: float) -> None:
        """One step of it."""
        if not self._is_outside(ctx, account):
            del self._outside[account]
            return
        if account not in ctx.store.leaving():
            entries = dropped.begin(ctx, account)
            log.info(
                "erasing an account that nobody here follows any more",
                account=account_to_text(account),
                entries=entries,
            )
        if not dropped.step(ctx, account, now):
            del self._outside[account]
