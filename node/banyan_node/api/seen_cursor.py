"""What a reader of the firehose was told elsewhere, in terms of this store: frontier cursors, read and made.

The invariant: what a cursor covers here was told, or does not count there. So a node that has other entries, in another
order, misses nothing when it leaves that out; what it cannot judge it tells again, and each event has the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from threading import Lock

from cachetools import LRUCache, cached

from banyan_crdt.frontier import ID_BYTES, ROW_BYTES, CursorRow, FrontierCursor, decode_frontier_cursor
from banyan_crdt.ids import LogId, is_checkpoint
from banyan_storage.reader import StoreReader

RECENT = 8_192
"""The last arrivals, whose logs have more rows than one."""
STEP = 4
"""Between the rows of a log, from its end downwards: 1, 4, 16, ... entries. A node that lacks the last `d` tells at
most four times as many again."""
FAR = 1 << 18
"""The most arrivals behind a cursor for which rows are made: all of them are looked at."""
READ = 1_024
CURSORS_BYTES = 64 << 20
"""Memory of cursors that were read lately."""


def remembering(most_bytes: int = CURSORS_BYTES) -> Callable[[str], FrontierCursor]:
    """Reads cursors and remembers them, because every page of a reader names the same one. What was not used for
    longest goes first. Any thread. What it returns raises Malformed."""
    held: LRUCache[bytes, FrontierCursor] = LRUCache(most_bytes, lambda cursor: ROW_BYTES * cursor.count)
    return cached(held, lambda text: sha256(text.encode("utf-8", "surrogatepass")).digest(), Lock())(
        decode_frontier_cursor
    )


remembered = remembering()


class SeenFrontier:
    """One cursor at one commit."""

    def __init__(self, reader: StoreReader, cursor: FrontierCursor) -> None:
        self._reader, self._cursor = reader, cursor
        self._until: dict[LogId, int] = {}

    def until(self, log: LogId) -> int:
        """The seq up to which the log was told; -1: nothing of it."""
        found = self._until.get(log)
        if found is None:
            places = self._cursor.places(log)
            found = self._until[log] = next((seq for seq, id in places if self._is_here(log, seq, id)), -1)
        return found

    def _is_here(self, log: LogId, seq: int, id: bytes) -> bool:
        here = self._reader.id_at(log, seq)
        return here is not None and here[:ID_BYTES] == id

    def begin(self) -> int:
        """The arrival number up to which nothing that counts has to be told."""
        last = self._reader.last_arrival
        for log, head in self._reader.all_heads():
            until = -1 if is_checkpoint(log) else self.until(log)
            if not is_checkpoint(log) and until + 1 < head.length:
                last = min(last, (self._reader.first_arrival(log, until + 1) or 1) - 1)
        return last


def told_until(reader: StoreReader, n: int, wanted: Callable[[LogId], bool]) -> Iterator[CursorRow]:
    """The rows of a reader that was told everything up to arrival `n`, of the logs that it wants. Of a log whose
    entries came in another order than they stand in, less is said than is true."""
    after = _lowest_after(reader, n)
    lately = {row.log for row in reader.arrivals(max(0, n - RECENT), min(n, RECENT))}
    for log, head in reader.all_heads():
        last = min(head.length, after.get(log, head.length)) - 1
        if last < 0 or is_checkpoint(log) or not wanted(log):
            continue
        back = 0
        while back <= last:
            id = reader.id_at(log, last - back)
            if id is not None:
                yield CursorRow(log, last - back, id)
            back = STEP * back or 1
            if log not in lately:
                break


def _lowest_after(reader: StoreReader, n: int) -> dict[LogId, int]:
    """The lowest seq of each log that came after an arrival."""
    found = dict[LogId, int]()
    all_count = not reader.any_loose()
    while rows := reader.arrivals(n, READ):
        for row in rows:
            if row.seq < found.get(row.log, row.seq + 1) and (all_count or reader.is_counted(row.id)):
                found[row.log] = row.seq
        n = rows[-1].n
    return found
