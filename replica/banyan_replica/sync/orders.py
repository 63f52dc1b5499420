"""What one peer asked for and has not got yet: logs by name, then a replay, then a range of accounts.

A message (`answered`, `replayed`, `scanned`) follows the last data of every answer. The states are in peers/states.py
(`TurnState`); bulk_sender.py decides what is sent when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from banyan_replica.peers.states import TURN, TurnEvent, TurnState, step
from banyan_replica.wire.messages import CANNOT, Answered, Item, Message, Replayed, Scanned


class RangeForPeer:
    """A range that is read to a peer. at: the last account that was read. stop: the end, which may be moved nearer."""

    __slots__ = ("at", "items", "number", "said", "stop")

    def __init__(self, number: int, at: bytes, stop: bytes) -> None:
        self.number, self.at, self.stop = number, at, stop
        self.said = at
        """The last position that was reported."""
        self.items: Iterator[Item | None] = iter(())
        """None between accounts."""

    def reads(self, items: Iterator[Item | None]) -> None:
        self.items = items

    def reached(self, account: bytes) -> None:
        self.at = account

    def nearer(self, stop: bytes) -> None:
        self.stop = min(self.stop, stop)

    def report(self, done: bool) -> Scanned | None:
        """The report to send after this frame, or None."""
        if not done and self.at == self.said:
            return None
        self.said = self.at
        return Scanned(self.number, self.at, int(done))


class ReplayForPeer:
    """A replay for a peer. at: the last arrival that was read."""

    __slots__ = ("at", "items", "said")

    def __init__(self, at: int) -> None:
        self.at = self.said = at
        self.items: Iterator[Item | None] = iter(())
        """None after each block, when `at` has moved."""

    def reads(self, items: Iterator[Item | None]) -> None:
        self.items = items

    def reached(self, arrival: int) -> None:
        self.at = arrival

    def report(self, done: bool) -> Replayed | None:
        """The report to send after this frame, or None."""
        if not done and self.at == self.said:
            return None
        self.said = self.at
        return Replayed(self.at, int(done))


class Orders:
    """The orders of one peer."""

    __slots__ = ("_first", "aloud", "answered", "named", "number", "retold", "state")

    def __init__(self) -> None:
        self.named: deque[bytes] = deque()
        """Logs that it asked for by name, each as the few bytes from which its items are read when its turn comes."""
        self._first: Iterator[Item] | None = None
        """What is left of the first of them, once its turn has come."""
        self.answered = 0
        """How many of all logs that it ever asked for by name are finished."""
        self.state = TurnState.IDLE
        self.retold: ReplayForPeer | None = None
        self.aloud: RangeForPeer | None = None
        self.number: int | None = None
        """Of the last range that was begun."""

    @property
    def any(self) -> bool:
        """Whether we owe the peer bulk, or the message that ends an answer."""
        return bool(self.named) or self.state is not TurnState.IDLE

    @property
    def reading(self) -> bool:
        """Whether it gets a replay or a range; then a comparison would fetch the same twice."""
        return self.state is not TurnState.IDLE

    # -- the peer asks

    def name(self, log: bytes) -> None:
        self.named.append(log)

    def retell(self, arrival: int) -> ReplayForPeer:
        """Starts a replay, in place of an earlier one."""
        self.state = step(TURN, self.state, TurnEvent.REPLAY)
        _end(self.retold)
        self.retold = ReplayForPeer(arrival)
        return self.retold

    def read(self, number: int, cursor: bytes, stop: bytes) -> RangeForPeer:
        """Starts a range, in place of an earlier one."""
        self.state = step(TURN, self.state, TurnEvent.SCAN)
        _end(self.aloud)
        self.aloud, self.number = RangeForPeer(number, cursor, stop), number
        return self.aloud

    # -- we send

    def next(self, read: Callable[[bytes], Iterator[Item]]) -> Item | None:
        """The next item for the peer, or None if there is none now. read: begins with a log that was asked for."""
        while self.named:
            if self._first is None:
                self._first = read(self.named[0])
            if (item := next(self._first, None)) is not None:
                return item
            self._first = None
            self.named.popleft()
            self.answered += 1
        telling = self.retold or self.aloud
        if telling is not None:
            for item in telling.items:
                if item is not None:
                    return item
        return None

    def report(self, done: bool) -> Message | None:
        """The report about the current replay or range, to send after a frame. done: it has no more items."""
        if self.retold is not None:
            said: Message | None = self.retold.report(done)
            if done:
                _end(self.retold)
                self.state, self.retold = step(TURN, self.state, TurnEvent.RETOLD), None
            return said
        if self.aloud is not None:
            said = self.aloud.report(done)
            if done:
                _end(self.aloud)
                self.state, self.aloud = step(TURN, self.state, TurnEvent.READ), None
            return said
        return None

    def drop(self) -> list[Message]:
        """Drops all orders, because the store was rolled back. Returns the messages that end them."""
        words: list[Message] = []
        if self.named:
            self.answered += len(self.named)
            words.append(Answered(self.answered))
        if self.retold is not None:
            words.append(Replayed(self.retold.said, 1))
        if self.aloud is not None:
            words.append(Scanned(self.aloud.number, self.aloud.said, CANNOT))
        self.state = step(TURN, self.state, TurnEvent.DROPPED)
        self.gone()
        return words

    def gone(self) -> None:
        """Nothing more is read to the peer."""
        self.named.clear()
        self._first = None
        _end(self.retold)
        _end(self.aloud)
        self.retold = self.aloud = None


def _end(telling: ReplayForPeer | RangeForPeer | None) -> None:
    """What it reads refers to it, and it to what it reads. Both would stay until a collection of garbage, with what was
    read ahead: a peer that begins anew two hundred times a second would take a hundred megabytes."""
    if telling is not None:
        telling.reads(iter(()))
