"""The logs of this node's own accounts whose heads moved last.

Where more differs than a sketch can tell, comparing takes as long as that is much, and strangers decide how much it is.
So neighbours first tell each other where these logs stand: what their people write does not wait for the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from banyan_crdt.ids import AccountId, LogId

MOST = 64
"""Logs that are remembered and told: 7 kB."""


class RecentOwnHeads:
    """ours(account): whether it is one of this node's own."""

    __slots__ = ("_logs", "_ours")

    def __init__(self, ours: Callable[[AccountId], bool]) -> None:
        self._ours = ours
        self._logs: OrderedDict[LogId, None] = OrderedDict()

    def moved(self, log: LogId) -> None:
        """The head of the log moved."""
        if self._ours(log.account):
            self._logs[log] = None
            self._logs.move_to_end(log)
            if len(self._logs) > MOST:
                self._logs.popitem(last=False)

    def __iter__(self) -> Iterator[LogId]:
        """The logs, that which moved last first."""
        return reversed(self._logs)
