"""The newest part of the merged timelines of many accounts, kept over several states of the store.

A fresh merge (`newest` in timelines.py) looks at the last row of every timeline, for every page. Here those that were
read stay, and a later state reads only the timelines of accounts that were touched since.

Of each timeline the rows are known from its top down to one of them, its edge, unless all are. So all lines from the
highest edge upwards are known, and in their order. A page that goes below reads on at that edge, some rows at a time.
The invariant: a line is given out only if no timeline can have an unknown one above it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from banyan_crdt.ids import AccountId
from banyan_reading.answers import TimelineLine
from banyan_reading.timelines import POSTS, WITH_REPOSTS, newest, oldest
from banyan_storage.engine import ReadTxn
from banyan_storage.slots import FIRST_OP, LINE, place_in
from banyan_storage.tables import RowLayout

if TYPE_CHECKING:
    from banyan_reading.queries import Queries
    from banyan_reading.read_cache import ReadCache

MOST = 1_000
"""So many lines are known at most, but for those that come later; pages below are merged anew."""
GROWN = 10_000
"""With more lines, which came at its top, it is made anew."""
STEP = 2
"""Rows that are read of a timeline at its edge."""
_LINE = RowLayout("time 8 | account 32 | key 16 | place 8 | table 1", cursor="time key", row="key place")
LINE_BYTES, TIMELINE_BYTES = 120, 600
"""What a line and a timeline take of memory, about."""

_Name = tuple[int, AccountId]
"""A timeline: which of the tables, and whose."""
_Edge = tuple[bytes, _Name]


class MergedTimeline:
    """One thread at a time. reposts: whether those are merged, too."""

    def __init__(self, reposts: bool) -> None:
        self._tables = WITH_REPOSTS if reposts else POSTS
        self._forget()

    def _forget(self) -> None:
        self._position = -1
        """The state of the store for which it is right."""
        self._numbers: Mapping[AccountId, bytes] = {}
        self._lines: list[bytes] = []
        """`_LINE`, ascending."""
        self._of: dict[_Name, list[bytes]] = {}
        """The same by timeline, those that have any."""
        self._edges: list[_Edge] = []
        """The lowest known line of each timeline that may go on below, ascending."""

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self._lines) * LINE_BYTES + len(self._numbers) * TIMELINE_BYTES

    def lines(
        self,
        q: Queries,
        wanted: Mapping[AccountId, bytes],
        kept: ReadCache,
        before: bytes | None,
        after: bytes | None = None,
    ) -> Iterator[TimelineLine]:
        """The lines below a cursor, the newest first, or above one, the oldest first. wanted: the accounts whose
        timelines are merged, with their numbers; do not change it later. kept: knows which were touched."""
        touched = None if len(self._lines) > GROWN else kept.accounts_since(self._position)
        if touched is None:
            self._forget()
        self._update(q.reader.txn, wanted, touched or ())
        self._position = kept.position
        return self._below(q.reader.txn, before) if after is None else self._above(q.reader.txn, after)

    def _update(self, txn: ReadTxn, wanted: Mapping[AccountId, bytes], touched: Collection[bytes]) -> None:
        """Takes it to another state. touched: numbers of accounts whose timelines may have changed since."""
        if wanted is self._numbers and not touched:
            return
        if gone := self._numbers.keys() - wanted.keys():
            self._drop(gone)
        fresh = {account: wanted[account] for account in wanted.keys() - self._numbers.keys()}
        self._numbers = wanted
        for account, number in wanted.items() if touched else ():
            if number in touched and account not in fresh:
                for table in range(len(self._tables)):
                    self._read_again(txn, (table, account))
        if fresh:
            self._read_tops(txn, fresh)

    def _below(self, txn: ReadTxn, before: bytes | None) -> Iterator[TimelineLine]:
        """The lines below a cursor, the newest first. None: from the top."""
        at = before
        while True:
            end = len(self._lines) if at is None else bisect_left(self._lines, at)
            floor = self._floor()
            while end and self._lines[end - 1] >= floor:
                end -= 1
                at = self._lines[end]
                yield self._line(at)
            if not self._edges:
                return
            if self._known() >= MOST:
                break
            self._read_on(txn)
        yield from newest(txn, self._numbers, None if at is None else at[_LINE.cursor], self._tables)

    def _above(self, txn: ReadTxn, after: bytes) -> Iterator[TimelineLine]:
        """The lines above a cursor, the oldest first."""
        while self._floor() > after and self._known() < MOST:
            self._read_on(txn)
        if self._floor() > after:
            yield from oldest(txn, self._numbers, after, self._tables)
            return
        for line in self._lines[bisect_left(self._lines, after + b"\xff" * 10) :]:
            yield self._line(line)

    def _line(self, line: bytes) -> TimelineLine:
        return TimelineLine(line[_LINE.cursor], line[_LINE.place], self._tables[line[_LINE.table][0]] in POSTS)

    def _floor(self) -> bytes:
        """From this line on all are known."""
        return self._edges[-1][0] if self._edges else b""

    def _known(self) -> int:
        """How many lines there are from the highest edge upwards."""
        return len(self._lines) - bisect_left(self._lines, self._floor())

    def _drop(self, gone: Iterable[AccountId]) -> None:
        accounts = set(gone)
        self._lines = [line for line in self._lines if line[_LINE.account] not in accounts]
        self._edges = [edge for edge in self._edges if edge[1][1] not in accounts]
        for name in [name for name in self._of if name[1] in accounts]:
            del self._of[name]

    def _read_tops(self, txn: ReadTxn, fresh: Mapping[AccountId, bytes]) -> None:
        """Takes the newest row of each timeline of these accounts."""
        accounts = dict(sorted((number, account) for account, number in fresh.items()))
        for table, rows in enumerate(self._tables):
            for number, row in txn.ending(rows, [(number, None) for number in accounts]):
                name = (table, accounts[number])
                line = _line(name, row)
                self._of[name] = [line]
                self._lines.append(line)
                self._edges.append((line, name))
        self._lines.sort()
        self._edges.sort()

    def _read_again(self, txn: ReadTxn, name: _Name) -> None:
        """Takes what a timeline shows now, from its top to where it was known."""
        table, number = self._tables[name[0]], self._numbers[name[1]]
        before, now = self._of.pop(name, []), list[bytes]()
        if before:
            self._forget_edge(before[0], name)
            rows = txn.dups(table, number, before[0][_LINE.time] + before[0][_LINE.key])
            now = [_line(name, row) for row in rows]
        if not now:
            now = [_line(name, row) for _, row in txn.ending(table, [(number, None)])]
        held, shown = set(before), set(now)
        for line in held - shown:
            del self._lines[bisect_left(self._lines, line)]
        for line in shown - held:
            insort(self._lines, line)
        if now:
            self._of[name] = now
            insort(self._edges, (now[0], name))

    def _forget_edge(self, line: bytes, name: _Name) -> None:
        at = bisect_left(self._edges, (line, name))
        if at < len(self._edges) and self._edges[at] == (line, name):
            del self._edges[at]

    def _read_on(self, txn: ReadTxn) -> None:
        """Reads on at the highest edge."""
        edge, name = self._edges.pop()
        table, number = self._tables[name[0]], self._numbers[name[1]]
        below = edge[_LINE.time] + edge[_LINE.row].removesuffix(FIRST_OP)  # no row of it is less than this
        rows = txn.dups(table, number, b"", below, reverse=True)
        found = [_line(name, row) for row in islice(rows, STEP)]
        for line in found:
            insort(self._lines, line)
        self._of[name][:0] = found[::-1]
        if len(found) == STEP:
            insort(self._edges, (found[-1], name))


def _line(name: _Name, row: bytes) -> bytes:
    return row[LINE.time] + name[1] + row[LINE.key] + place_in(row) + bytes((name[0],))
