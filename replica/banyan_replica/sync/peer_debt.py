"""What one peer owes us: logs asked for by name, ranges that it reads to us, and whether it sends them.

This module only keeps what was asked and what came. fetcher.py decides what to ask of which peer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.peers.ledger import Leak
from banyan_replica.sync.catchup import Span, covers
from banyan_replica.wire.messages import Scan, Scanned

STRAYS_PER_S = 100
"""Entries that nobody asked for, forgiven each second."""


class AskedLog(NamedTuple):
    """A log asked for by name. `n`: its position among those asked for on this link. `head`: what the peer claims."""

    n: int
    head: Head | None
    root: bytes
    """The peer's root when it claimed that."""
    came: bool
    """An item of it came."""
    unready: bool
    """An item came that could not be accepted yet."""
    size: int
    """Bytes of the question."""
    wasted: int
    """Bytes of the items that brought nothing new, and of the question."""
    news: bool
    """An item brought something new."""


class OwedLogs:
    """The logs that the peer owes us, in the order in which they were asked for."""

    __slots__ = ("_excused", "_held", "_unserved", "count", "full")

    def __init__(self) -> None:
        self._held: OrderedDict[LogId, AskedLog] = OrderedDict()
        self.count = 0
        """How many were ever asked for on this link."""
        self.full = False
        """Whether the peer claims logs that were not asked for, because there was no room."""
        self._unserved: list[tuple[LogId, bytes]] = []
        """Claims that it did not serve, each with its root at the time; judged at its next root."""
        self._excused = 0
        """How many claims in a row were excused because its root had moved."""

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, log: LogId) -> bool:
        return log in self._held

    def __iter__(self) -> Iterator[LogId]:
        return iter(self._held)

    def items(self) -> Iterator[tuple[LogId, AskedLog]]:
        return iter(self._held.items())

    def ask(self, log: LogId, head: Head | None, root: bytes, most: int, size: int = 0) -> bool:
        """Adds a log. Returns whether there was room. size: bytes of the question."""
        if len(self._held) >= most:
            self.full = True
            return False
        self.count += 1
        self._held[log] = AskedLog(self.count, head, root, False, False, size, size, False)
        return True

    def came(self, log: LogId, ready: bool, wasted: int) -> bool:
        """An item of a log came. Returns whether the log was asked for. wasted: its bytes if it brought nothing new."""
        asked = self._held.get(log)
        if asked is None:
            return False
        news, unready = asked.news or not wasted, asked.unready or not ready
        self._held[log] = asked._replace(came=True, unready=unready, wasted=asked.wasted + wasted, news=news)
        return True

    def through(self, count: int) -> Iterator[tuple[LogId, AskedLog]]:
        """Takes out answered logs. count: how many of all that were ever asked for the peer has answered, by its own
        report. Raises Malformed."""
        if count > self.count:
            raise Malformed(f"answered {count} questions for logs, and was asked {self.count}")
        while self._held and next(iter(self._held.values())).n <= count:
            yield self._held.popitem(last=False)

    def room_again(self) -> bool:
        """Whether there was no room, and there is again."""
        again = self.full and not self._held
        self.full = self.full and not again
        return again

    def served(self) -> None:
        """The peer served a claim."""
        self._excused = 0

    def unserved(self, log: LogId, root: bytes) -> None:
        """The peer reports that it answered, but what it claimed when its root was `root` did not come."""
        self._unserved.append((log, root))

    def excuse(self) -> None:
        """A commit of ours failed, so entries that came are lost: what is owed now and not held later is no lie."""
        self._unserved = []
        for log, asked in self._held.items():
            self._held[log] = asked._replace(unready=True)

    def false(self, root: bytes, most: int) -> list[LogId]:
        """Unserved claims that were false, now that the peer told this root. A claim under another root is excused,
        because its head may have moved, but at most `most` times in a row."""
        unserved, self._unserved = self._unserved, []
        found = []
        for log, before in unserved:
            if before == root or self._excused >= most:
                found.append(log)
            else:
                self._excused += 1
        return found


class OwedRanges:
    """The ranges that the peer reads to us and has not ended, by number."""

    __slots__ = ("_spans", "last")

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}
        self.last = 0
        """The number of the last range."""

    def __bool__(self) -> bool:
        return bool(self._spans)

    def ask(self, scan: Scan) -> None:
        """Adds a range. One that was only shortened stays as it was: the peer may have sent more already."""
        if scan.reading > self.last:
            self.last = scan.reading
            self._spans[scan.reading] = Span(scan.cursor, scan.stop)

    def scanned(self, m: Scanned) -> None:
        """The peer reported progress. The stream is ordered, so earlier ranges have ended."""
        for number in [n for n in self._spans if n < m.reading or (n == m.reading and m.done)]:
            del self._spans[number]

    def cover(self, account: AccountId) -> bool:
        return bool(self._spans) and any(covers(span, account) for span in self._spans.values())

    def __str__(self) -> str:
        return " and ".join(f"{s.cursor.hex()[:8] or 'the first'} .. {s.stop.hex()[:8]}" for s in self._spans.values())


class LaterHeads(NamedTuple):
    """Heads that a peer claimed, and its root at the time."""

    heads: dict[LogId, Head]
    root: bytes


class Later:
    """Claimed heads that wait for the account's control log."""

    __slots__ = ("accounts", "heads")

    def __init__(self) -> None:
        self.accounts: OrderedDict[AccountId, LaterHeads] = OrderedDict()
        self.heads = 0
        """The number of heads."""

    def __len__(self) -> int:
        """The number of accounts and heads."""
        return len(self.accounts) + self.heads

    def put(self, account: AccountId, heads: dict[LogId, Head], root: bytes, most: int) -> None:
        """Beyond `most` the oldest are forgotten; the peer tells them again."""
        later = self.accounts.setdefault(account, LaterHeads({}, root))
        self.heads -= len(later.heads)
        later.heads.update(heads)
        self.heads += len(later.heads)
        while len(self) > most:
            self.heads -= len(self.accounts.popitem(last=False)[1].heads)

    def take(self, account: AccountId) -> LaterHeads | None:
        later = self.accounts.pop(account, None)
        if later is not None:
            self.heads -= len(later.heads)
        return later


class Pace:
    """How fast owed data comes, and how many unasked entries came."""

    __slots__ = ("_came", "_since", "_strays")

    def __init__(self) -> None:
        self._since, self._came = 0.0, 0
        """When the measurement started (0: the peer owes nothing), and the bytes received until then."""
        self._strays = Leak()

    def look(self, owes: bool, waits: bool, came: int, least_s: float, now: float) -> tuple[int, float] | None:
        """(bytes, seconds) of a measurement that took at least `least_s`, or None.

        owes: the peer owes us something. waits: it has no credit to send it. came: all bytes that ever came.
        """
        if not owes or waits or not self._since:
            self._since, self._came = (now if owes else 0.0), came
            return None
        if now - self._since < least_s:
            return None
        size, seconds = max(0, came - self._came), now - self._since
        self._since, self._came = now, came
        return size, seconds

    def stray(self, entries: int, now: float) -> float:
        """Unasked entries came. Returns the level of unasked entries, which falls with time."""
        self._strays.sink(STRAYS_PER_S, now)
        self._strays.rise(entries)
        return self._strays.level


class PeerDebt:
    __slots__ = ("later", "logs", "pace", "ranges")

    def __init__(self) -> None:
        self.logs = OwedLogs()
        self.ranges = OwedRanges()
        self.later = Later()
        self.pace = Pace()
