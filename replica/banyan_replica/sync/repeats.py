"""Logs that came from a peer in vain: it was asked for them, and what it sent was held already or could not be taken.

A node that cannot take what another node holds differs from it for as long as that lasts, and would fetch the same
after every comparison. Attackers can make such differences, of as many logs and accounts as they like. So, for each
peer:

- What is news is asked for at once: a log that did not come in vain the last time.
- A log that brought nothing again is asked for ever more seldom, up to once in MOST_S. It need not wait if the peer
  claims another head, or if something of its account was taken here since.
- All that comes again stays within REPEATED bytes an hour, whatever moves. What one log costs the next time is taken to
  be what it cost the last time; what is more than that is news.

This outlasts the link, or whoever ends links would begin it anew.
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.ids import AccountId, Head, LogId
from banyan_replica.peers.load import Leak

REPEATED = 300_000
"""Bytes that a peer is asked for again in an hour, and at once. A log that costs more by itself is asked for once
nothing is left of what came again before. With comparisons (`Limits.stuck_s`) it is below a megabyte an hour."""
FIRST_S, MOST_S = 4.0, 3_600.0
"""The pause before a log is asked for again that twice brought nothing, and the longest; it doubles each time."""


class Vain(NamedTuple):
    """cost: bytes that came in vain the last time, with the question. times: answers in a row without anything new.
    due: it is not asked for earlier, unless the peer claims another head than `head`."""

    cost: int
    times: int
    due: float
    head: Head | None


class Repeats:
    """Those of one peer. The times are seconds."""

    def __init__(self) -> None:
        self._accounts: dict[AccountId, dict[LogId, Vain]] = {}
        self._bytes = Leak()
        self.logs = 0
        """How many logs are remembered."""

    def may_ask(self, log: LogId, head: Head | None, now: float) -> bool:
        """Whether the log may be asked for now. head: what the peer claims."""
        vain = self._accounts.get(log.account, {}).get(log)
        if vain is None:
            return True
        if now < vain.due and head == vain.head:
            return False
        level = self._bytes.sink(REPEATED / 3_600, now)
        return not level or level + vain.cost <= REPEATED

    def asked(self, log: LogId) -> None:
        """The peer is asked for the log. What it cost the last time counts at once: one comparison asks for many before
        the first answer comes."""
        vain = self._accounts.get(log.account, {}).get(log)
        if vain is not None:
            self._bytes.rise(vain.cost)

    def answered(self, log: LogId, head: Head | None, wasted: int, news: bool, most: int, now: float) -> None:
        """The peer answered. head: what it claimed. wasted: bytes that were held or not taken, with the question. news:
        whether it sent anything else. most: how many logs to remember; those go first whose account came first."""
        mine = self._accounts.get(log.account, {})
        before = mine.pop(log, None)
        self.logs -= before is not None
        if before is not None:
            self._bytes.rise(min(wasted - before.cost, 0))
        if wasted:
            times = 0 if news else 1 if before is None else before.times + 1
            pause = min(FIRST_S * 2 ** min(times - 2, 20), MOST_S) if times > 1 else 0.0
            while self.logs >= most:
                oldest = self._accounts.pop(next(iter(self._accounts)))
                self.logs -= len(oldest)
            self._accounts.setdefault(log.account, {})[log] = Vain(wasted, times, now + pause, head)
            self.logs += 1
        elif not mine:
            self._accounts.pop(log.account, None)

    def moved(self, account: AccountId) -> None:
        """Something of the account was taken here: what came in vain before may be taken now."""
        mine = self._accounts.get(account)
        for log, vain in mine.items() if mine else ():
            self._accounts[account][log] = vain._replace(times=0, due=0.0)
