"""Where a peer says that it stands. This is a claim; the sync decides what follows from it."""

from __future__ import annotations

from collections import OrderedDict

from banyan_crdt.ids import Head, LogId


class Told:
    __slots__ = ("arrival", "differences", "root")

    def __init__(self) -> None:
        self.root = b""
        """The peer's root, or that of what both hold."""
        self.arrival = 0
        """Its last arrival number."""
        self.differences: OrderedDict[LogId, Head] = OrderedDict()
        """What it last said of logs where we stood elsewhere; the oldest first."""

    def stands(self, root: bytes, arrival: int) -> None:
        self.root, self.arrival = root, arrival

    def shares(self, root: bytes) -> None:
        """In what both hold."""
        self.root = root

    def differs(self, log: LogId, head: Head, most: int) -> None:
        self.differences[log] = head
        self.differences.move_to_end(log)
        if len(self.differences) > most:
            self.differences.popitem(last=False)

    def agrees(self) -> None:
        """Nothing of it stands any more."""
        self.differences.clear()
