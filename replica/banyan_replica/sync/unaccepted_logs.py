"""What a peer holds of logs of which we took nothing that it sent, for a "not yet" that may last (fetcher.py, SOON).

Attackers can make such differences, as many as they like. We know them, so we compare with this peer as if we held
them: in our questions, and in our answers if the peer knows that such an answer claims nothing. Then neither side finds
them, and they are not told again. We ask for them again ourselves (repeats.py), in turn: nobody else will remind us.

Invariant: only what the peer needs nothing of is here. Our head of the log has no flag, nothing is beside it, and the
peer's head is above it. Otherwise the peer must hear of ours.

If the peer's head moves, or ours, the difference shows again, and what is here of the log goes.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

import numpy as np

from banyan_crdt.ids import Head, LogId
from banyan_replica.frontier.rows import id_words, name_words
from banyan_replica.frontier.sketch import Key, Numbers, P, add, add_one, empty, place, submod, weight
from banyan_replica.frontier.sums import is_head


class UnacceptedLogs:
    """That of one peer. key: of the public table."""

    def __init__(self, key: Key) -> None:
        self._key = key
        self._heads: OrderedDict[LogId, tuple[Head, Head]] = OrderedDict()
        """The peer's head and ours, by log; those first that were asked for least lately."""
        self._at: dict[int, LogId] = {}
        """The logs by their places under the public key."""
        self._cells: Numbers | None = None
        """Our weights minus the peer's under the public key; None: not summed."""
        self.changes = 0
        """How often anything changed."""

    def __len__(self) -> int:
        return len(self._heads)

    def theirs(self, log: LogId) -> Head | None:
        """The peer's head, if it is known."""
        found = self._heads.get(log)
        return None if found is None else found[0]

    def put(self, log: LogId, theirs: Head, mine: Head, most: int) -> None:
        """Nothing of the log was taken. most: how many to remember; the oldest go first."""
        if self._heads.get(log) == (theirs, mine):
            return
        self.end(log)
        at = place(self._key, *name_words(log))
        if at in self._at:  # a log that was ground to have the place of another
            self.end(self._at[at])
        while len(self._heads) >= most:
            self.end(next(iter(self._heads)))
        self._heads[log], self._at[at] = (theirs, mine), log
        self._count(log, theirs, mine, 1)

    def end(self, log: LogId) -> None:
        """It is compared again."""
        found = self._heads.pop(log, None)
        if found is not None:
            self._count(log, *found, -1)
            del self._at[place(self._key, *name_words(log))]

    def real(self, h: int, w: int) -> int:
        """A comparison found this item, or the peer asks what is here (0): it is not as we thought. Returns the item of
        what is held; 0 if the peer holds the same, or it was found before it was refused, and stands
        (known_differences.py)."""
        log = self._at.get(h)
        if log is None:
            return w
        real = (w + difference(self._key, log, *self._heads[log])[1]) % P
        if real:
            self.end(log)
        return real

    def shown(self, cells: Numbers, key: Key) -> Numbers:
        """Our cells under a key, as if we held what the peer holds."""
        if not self._heads:
            return cells
        if key != self._key:
            return submod(cells, self._sum(key))
        if self._cells is None:
            self._cells = self._sum(key)
        return submod(cells, self._cells)

    def next(self, n: int) -> dict[LogId, Head]:
        """The peer's heads of some logs whose turn it is to be asked for again."""
        out = {log: theirs for log, (theirs, _) in islice(self._heads.items(), n)}
        for log in out:
            self._heads.move_to_end(log)
        return out

    def gone(self) -> None:
        """The link is down: the cells, 100 kB, can be summed again."""
        self._cells = None

    def _sum(self, key: Key) -> Numbers:
        items = [difference(key, log, *heads) for log, heads in self._heads.items()]
        out, numbers = empty(), np.array(items, np.uint64)
        add(out, numbers[:, 0], numbers[:, 1])
        return out

    def _count(self, log: LogId, theirs: Head, mine: Head, sign: int) -> None:
        h, w = difference(self._key, log, theirs, mine)
        self.changes += 1
        if self._cells is not None:
            add_one(self._cells, h, w * sign % P)


def difference(key: Key, log: LogId, theirs: Head, mine: Head) -> tuple[int, int]:
    """The place of the log, and the weight of `mine` minus that of `theirs`."""
    a, b = (weight(key, *id_words(x), x.length, x.flag) if is_head(x) else 0 for x in (mine, theirs))
    return place(key, *name_words(log)), (a - b) % P
