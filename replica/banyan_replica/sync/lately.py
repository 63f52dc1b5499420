"""The logs that people here care about whose heads moved last.

Where more differs than a sketch can tell, comparing takes as long as that is much, and strangers decide how much it is.
So both sides first tell each other where these logs stand: what honest people write does not wait for the rest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from banyan_crdt.ids import AccountId, LogId

MOST = 64
"""Logs that are remembered and told: 7 kB."""


class Lately:
    """cares(account): whether somebody here hosts or follows it."""

    __slots__ = ("_cares", "_logs")

    def __init__(self, cares: Callable[[AccountId], bool]) -> None:
        self._cares = cares
        self._logs: OrderedDict[LogId, None] = OrderedDict()

    def moved(self, log: LogId) -> None:
        """The head of the log moved."""
        if self._cares(log.account):
            self._logs[log] = None
            self._logs.move_to_end(log)
            if len(self._logs) > MOST:
                self._logs.popitem(last=False)

    def __iter__(self) -> Iterator[LogId]:
        """The logs, that which moved last first."""
        return reversed(self._logs)
