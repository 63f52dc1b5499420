"""Whether somebody here hosts or follows an account."""

from __future__ import annotations

import time
from collections.abc import Callable

from banyan_crdt.ids import AccountId
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_reading.followed import is_followed, numbers_of
from banyan_storage.errors import ViewBuilding
from banyan_storage.local_tables import AWAITED

NUMBERS_S = 5.0
"""How long the numbers of the accounts that are hosted here are kept: another one, or one that says its first words, is
among the followers so much later."""


class Wanted:
    """Asked on the store's thread, for every account that strangers name."""

    def __init__(self, ctx: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._ctx, self._clock = ctx, clock
        self._numbers = list[bytes]()
        self._until = clock()

    def __call__(self, account: AccountId) -> bool:
        """While the views are built, nobody is known to follow anybody."""
        if hosted.is_hosted(self._ctx.store, account) or AWAITED.has(self._ctx.store, account):
            return True
        txn, now = self._ctx.engine.write(), self._clock()
        if now >= self._until:
            self._numbers, self._until = numbers_of(txn, hosted.ids(self._ctx)), now + NUMBERS_S
        try:
            return is_followed(txn, account, self._numbers)
        except ViewBuilding:
            return False
