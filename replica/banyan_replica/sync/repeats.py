"""Logs that came from a peer in vain: it was asked for them, and what it sent was held already or could not be taken.

A node that cannot take what another node holds differs from it for as long as that lasts, and would fetch the same
after every comparison. Attackers can make such differences, of as many logs and accounts as they like. So, for each
peer:

- What is news is asked for at once: a log that did not come in vain the last time.
- A log that brought nothing again is asked for ever more seldom, up to once in MOST_S. It need not wait if the peer
  claims another head, or if something of its account was taken here since.
- Where there is no room to remember a log, one that costs much less is forgotten, or of this one only some bits are
  kept: it is asked for again after a day, or if the peer claims another length. It is then not compared as if it were
  held either (`UnacceptedLogs`), and stands (known_differences.py). If the oldest went each time, all would be found,
  asked for and forgotten in turn.
- All that comes again stays within REPEATED bytes an hour, whatever moves. What one log costs the next time is taken to
  be what it cost the last time; what is more than that is news.

This outlasts the link, or whoever ends links would begin it anew.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

import numpy as np

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.frontier.rows import id_words, name_words
from banyan_replica.frontier.sketch import Key, Numbers, P, add, add_one, empty, place, submod, weight
from banyan_replica.frontier.sums import is_head
from banyan_replica.peers.ledger import Leak
from banyan_replica.sync.peer_debt import OwedLogs

# What a peer holds of logs of which we took nothing that it sent, for a "not yet" that may last (fetcher.py, SOON).
#
# Attackers can make such differences, as many as they like. We know them, so we compare with this peer as if we held
# them: in our questions, and in our answers if the peer knows that such an answer claims nothing. Then neither side
# finds them, and they are not told again. We ask for them again ourselves, in turn: nobody else will remind us.
#
# Invariant: only what the peer needs nothing of is here. Our head of the log has no flag, nothing is beside it, and the
# peer's head is above it. Otherwise the peer must hear of ours.
#
# If the peer's head moves, or ours, the difference shows again, and what is here of the log goes.


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


REPEATED = 100_000
"""Bytes that a peer is asked for again in an hour; half of them at once. A log that costs more by itself is asked for
once nothing is left of what came again before. Both ways, and with comparing (known_differences.py), it is less than a
megabyte in the first hour."""
BITS, DAY_S = 1 << 20, 86_400.0
"""Bits of a peer for the logs that there is no room to remember, and how long they are kept: of 20,000 such logs, one
in 700 others looks as if it were among them."""
SOME = 64
"""So many logs of an account are asked for again at once because something of it was taken."""
FIRST_S, MOST_S = 4.0, 3_600.0
"""The pause before a log is asked for again that twice brought nothing, and the longest; it doubles each time."""


class Vain(NamedTuple):
    """cost: bytes that came in vain the last time, with the question. times: answers in a row without anything new.
    due: it is not asked for earlier, unless the peer claims another head than `head`. n: how often anything was taken
    before."""

    cost: int
    times: int
    due: float
    head: Head | None
    n: int


class Repeats:
    """Those of one peer. The times are seconds. key: of the public table."""

    def __init__(self, key: Key) -> None:
        self.refused = UnacceptedLogs(key)
        self._accounts: dict[AccountId, dict[LogId, Vain]] = {}
        self._moved: dict[AccountId, int] = {}
        """When something of an account of these was last taken here, as a number."""
        self._moves = 0
        self._forgot = False
        """Whether there was no room for some."""
        self._bits, self._bits_until = bytearray(), 0.0
        self._bytes = Leak()
        self.logs = 0
        """How many logs are remembered."""

    def may_ask(self, log: LogId, head: Head | None, now: float) -> bool:
        """Whether the log may be asked for now. head: what the peer claims."""
        vain = self._accounts.get(log.account, {}).get(log)
        if vain is None:
            return now >= self._bits_until or not all(self._bits[at] & bit for at, bit in _places(log, head))
        if now < vain.due and head == vain.head and not self._new_since(log, vain):
            return False
        level = self._bytes.sink(REPEATED / 3_600, now)
        return not level or level + vain.cost <= REPEATED / 2

    def asked(self, log: LogId) -> None:
        """The peer is asked for the log. What it cost the last time counts at once: one comparison asks for many before
        the first answer comes."""
        vain = self._accounts.get(log.account, {}).get(log)
        if vain is not None:
            self._bytes.rise(vain.cost)

    def answered(self, log: LogId, head: Head | None, wasted: int, news: bool, most: int, now: float) -> int:
        """The peer answered. head: what it claimed. wasted: bytes that were held or not taken, with the question. news:
        whether it sent anything else. most: how many logs to remember. Returns how many bytes may have come before
        although that is not remembered."""
        mine = self._accounts.get(log.account, {})
        before = mine.pop(log, None)
        self.logs -= before is not None
        if before is not None:
            self._bytes.rise(min(wasted - before.cost, 0))
        if wasted and (before is not None or self.room(most, wasted)):
            fresh = before is None or self._new_since(log, before)
            times = 0 if news else 1 if fresh or before is None else before.times + 1
            pause = min(FIRST_S * 2 ** min(times - 2, 20), MOST_S) if times > 1 else 0.0
            self._accounts.setdefault(log.account, {})[log] = Vain(wasted, times, now + pause, head, self._moves)
            self.logs += 1
        elif wasted and not news:
            if now >= self._bits_until:
                self._bits, self._bits_until = bytearray(BITS // 8), now + DAY_S
            for at, bit in _places(log, head):
                self._bits[at] |= bit
        elif not mine:
            self._accounts.pop(log.account, None)
            self._moved.pop(log.account, None)
        return wasted if before is None and self._forgot else 0

    def room(self, most: int, cost: int) -> bool:
        """Whether another log can be remembered, which came in vain at this cost. For a dear one a cheap one goes."""
        if self.logs < most:
            return True
        self._forgot = True
        account, mine = next(iter(self._accounts.items()))
        log, vain = next(iter(mine.items()))
        if 2 * vain.cost >= cost:  # it is looked at again after all others
            mine[log] = mine.pop(log)
            self._accounts[account] = self._accounts.pop(account)
            return False
        self.refused.end(log)
        del mine[log]
        self.logs -= 1
        if not mine:
            del self._accounts[account]
            self._moved.pop(account, None)
        return True

    def knows(self, log: LogId) -> bool:
        """Whether it is remembered that the log came in vain."""
        return log in self._accounts.get(log.account, {})

    def came(self, log: LogId, head: Head, cost: int, most: int, now: float) -> None:
        """Something of the log came in vain that was not asked for by name."""
        if not self.knows(log):
            self.answered(log, head, cost, False, most, now)

    def _new_since(self, log: LogId, vain: Vain) -> bool:
        """Whether something of the account was taken here since the answer: the log may be taken now."""
        return self._moved.get(log.account, 0) > vain.n

    def moved(self, log: LogId) -> bool:
        """A head moved here. Returns whether anything of its account came in vain before."""
        self.refused.end(log)
        account = log.account
        if account not in self._accounts:
            return False
        self._moves += 1
        self._moved[account] = self._moves
        return True

    def turn(self, n: int, owed: OwedLogs) -> dict[LogId, Head]:
        """The peer's heads of some refused logs whose turn it is. Those that there was no room to remember go."""
        heads = self.refused.next(n)
        for log in [x for x in heads if not self.knows(x) and x not in owed]:
            self.refused.end(log)
        return {log: head for log, head in heads.items() if self.knows(log)}

    def claimed(self, account: AccountId) -> dict[LogId, Head]:
        """What the peer claims of some logs that came in vain, those first that were asked for least lately."""
        mine = islice(self._accounts.get(account, {}).items(), SOME)
        return {log: vain.head for log, vain in mine if vain.head is not None}


def _places(log: LogId, head: Head | None) -> list[tuple[int, int]]:
    """Two bits for a log with a claimed length: byte and bit. Others cannot aim at them: Python's hash has a secret of
    the process."""
    n = hash((log, -1 if head is None else head.length))
    return [(at >> 3, 1 << (at & 7)) for at in (n % BITS, (n >> 20) % BITS)]
