"""What stands between the frontiers of two nodes, and is known: one of them cannot take what the other holds.

Attackers can make such differences, as many as they like. Comparing would find and tell them all each time, or would
have to become rare, and what else differs would come late. So:

- A difference that two comparisons found unchanged stands. The next question is asked as if we held what the peer holds
  there, so the answer has cells only for what moved since. If too much differs for cells, all cells of the peer are
  fetched before sums are compared, and what differed then stands.
- Everything is compared again, what stands too, within COMPARED bytes an hour: a frame may have been lost, and what
  could not be taken may be taken now. Comparisons under a salt, and by sums, use the same budget. News pays for them.
- Heads that move though nothing was stored for them, at once or before, pay nothing: one checkpoint moves as many as it
  has pins, and the next moves them back. Of more than a few an hour we compare, and answer, as if they had not moved;
  those that did not move back are shown later, as few an hour. What they follow from was stored, so that is compared;
  the peer counts as we do.

Invariant: our cells minus what stands are the peer's as of some earlier comparison. Whatever moves is a difference to
that. So what stands may be out of date or made up, and comparing is right all the same; but it names no heads.

This outlasts the link, or whoever ends links would begin it anew.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from banyan_replica.frontier.sketch import CELL_BYTES, Numbers, P, add, add_one, decode, empty, submod
from banyan_replica.peers.ledger import Leak
from banyan_replica.wire.messages import Heads, Message, SketchCells, SketchNames, Sums

COMPARED = 100_000
"""Bytes of comparing that bring nothing, in an hour and on a link; half of them at once."""
MOST = 24 * COMPARED
"""What costs more waits no longer than what costs so much: a day."""
WHOLE_S = 20.0
"""The pause between two comparisons of everything while something stands."""
FORCED_S = 3_600.0
"""If there is a reason for one, such as more that moved than cells can tell, one in this time needs no bytes left."""
MOVED = 500
"""Bytes of comparing for each head that moves here: until the peer has it too, comparisons find it."""
FEW = 64
"""With fewer logs under way what differs is no bulk that comes."""


class KnownDifferences:
    """What stands with one peer. The times are seconds."""

    __slots__ = (
        "_before",
        "_budget",
        "_earlier",
        "_forced_at",
        "_recounted",
        "_wanted",
        "_whole_at",
        "cells",
        "changes",
        "unshown",
    )

    def __init__(self, now: float) -> None:
        self.cells: Numbers | None = None
        """What stands, as our cells minus the peer's under the public key; None: nothing."""
        self._wanted = False
        """Whether there is a reason to compare everything."""
        self._before: dict[int, int] = {}
        self._earlier: Numbers | None = None
        """Our cells minus the peer's, of before sums were compared the last time."""
        self._budget = Leak()
        self._budget.sink(0.0, now)
        self._whole_at = self._forced_at = -FORCED_S
        self.unshown: Numbers | None = None
        """Our cells minus those that we show, because of heads that moved though nothing was stored; None: the same."""
        self.changes = 0
        """How often that changed."""
        self._recounted = Leak()
        """What the heads that moved so and are shown may cost."""

    def steady(self, cells: Numbers) -> Numbers:
        """Our cells, without what is not shown."""
        return cells if self.unshown is None else submod(cells, self.unshown)

    def shown(self, cells: Numbers) -> Numbers:
        """Our cells, as if we held what the peer holds where a difference stands."""
        return cells if self.cells is None else submod(cells, self.cells)

    def found(self, items: dict[int, int], under_way: int, now: float) -> dict[int, int]:
        """A comparison found these beside what stands. under_way: how many logs one side owes the other. Returns those
        that should be told."""
        self._earlier = None
        spent, same = self.spent(now), {h: w for h, w in items.items() if self._before.get(h) == w}
        if len(same) > under_way or (same and spent):
            self.cells = empty() if self.cells is None else self.cells
            add(self.cells, np.array(list(same), np.uint64), np.array(list(same.values()), np.uint64))
        else:
            same = {}
        self._before = {h: w for h, w in items.items() if h not in same}
        return self._before if spent else items

    def differed(self, cells: Numbers) -> None:
        """Our cells minus the peer's when a comparison by sums began."""
        self._earlier = cells

    def beyond(self, under_way: int, now: float) -> bool:
        """More differs than cells can tell. Whether to compare by sums."""
        self._wanted = True
        if not self.spent(now) or self._earlier is None:
            return self.whole(now)
        if under_way < FEW:
            self.cells, self._earlier, self._before, self._wanted = self._earlier, None, {}, False
        return False

    def want(self) -> None:
        """What stands may be gone: everything should be compared."""
        self._wanted = True

    def whole(self, now: float) -> bool:
        """Whether to compare everything now."""
        if self.spent(now):
            if not self._wanted or now < self._forced_at + FORCED_S:
                return False
            self._forced_at = now
        elif not self._wanted and now < self._whole_at + WHOLE_S:
            return False
        self._wanted, self._whole_at = False, now
        return True

    def recounted(self, at: int, w: int, now: float) -> None:
        """A head moved here though nothing was stored for it. at: the place of its log. w: its weight minus that of the
        one before."""
        if self._recounted.sink(COMPARED / 3_600, now) <= COMPARED / 2:
            self._recounted.rise(MOVED)
            return
        self.unshown = empty() if self.unshown is None else self.unshown
        add_one(self.unshown, at, w)
        self.changes += 1

    def show(self, now: float) -> None:
        """Shows some of the heads that moved so and did not move back. If they are too many to tell which they are, all
        are shown once the bytes for that are there."""
        if self.unshown is None or self._recounted.sink(COMPARED / 3_600, now) > COMPARED / 4:
            return
        hidden = decode(self.unshown)
        if hidden.left and self.spent(now):
            return
        for at, w in islice(hidden.items.items(), COMPARED // 4 // MOVED):
            add_one(self.unshown, at, P - w)
            self._recounted.rise(MOVED)
        if hidden.left or not self.unshown.any():
            self.unshown = None
        self.changes += 1

    def spent(self, now: float) -> bool:
        """Whether so much was compared in vain lately that it must wait."""
        return self._budget.sink(COMPARED / 3_600, now) > COMPARED / 2

    def passed(self, m: Message, size: int) -> None:
        """A message went over the link, in one of the two directions."""
        if isinstance(m, Heads | Sums | SketchNames):
            self.again(size)
        elif isinstance(m, SketchCells):
            self.again(len(m.cells) - CELL_BYTES if m.cells else 0)

    def again(self, size: int) -> None:
        """So many bytes went over the link that may have done so before."""
        self._budget.rise(min(size, MOST - self._budget.level))

    def news(self, size: float) -> None:
        """So many bytes of news went over the link."""
        self._budget.rise(-min(size, self._budget.level))

    def equal(self) -> None:
        """The frontiers are equal."""
        if self.unshown is None:  # else the peer may not show all either
            self.cells = self._earlier = None
            self._before = {}
