"""A peer's claims about its own frontier. The sync decides what to do about them."""

from __future__ import annotations

from collections import OrderedDict

from banyan_crdt.ids import Head, LogId
from banyan_replica.wire import NOTICES, READS_AS_IF


class Told:
    __slots__ = ("answers_notices", "arrival", "differences", "logs", "reads_as_if", "root")

    def __init__(self) -> None:
        self.root = b""
        """The peer's root, of its whole frontier or of the accounts that both hold."""
        self.logs = 0
        """How many logs its whole frontier has."""
        self.arrival = 0
        """Its last arrival number."""
        self.answers_notices = False
        """Whether it answers `want-notices`."""
        self.reads_as_if = False
        """Whether it reads answers to a sketch that claim nothing."""
        self.differences: OrderedDict[LogId, Head] = OrderedDict()
        """Its last claimed heads of logs where ours differed, oldest first."""

    def stands(self, logs: int, root: bytes, arrival: int) -> None:
        self.logs, self.root, self.arrival = logs, root, arrival

    def able(self, abilities: int) -> None:
        """Which later messages it reads."""
        self.answers_notices = bool(abilities & NOTICES)
        self.reads_as_if = bool(abilities & READS_AS_IF)

    def shares(self, root: bytes) -> None:
        """Its root of the accounts that both hold."""
        self.root = root

    def differs(self, log: LogId, head: Head, most: int) -> None:
        self.differences[log] = head
        self.differences.move_to_end(log)
        while len(self.differences) > most:
            self.differences.popitem(last=False)

    def agrees(self) -> None:
        """The frontiers are equal, so no claim differs."""
        self.differences.clear()
