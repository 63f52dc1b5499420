"""What strangers have the node work on: one after the other, and all of them together for a part of the time.

Whoever is not logged in costs nothing to make, so a bound by address alone bounds nobody who has many. After a piece of
work that took a second the next one begins when so much time has passed that the share holds; while own people work
each takes longer, so strangers get less then.

Strangers wait in two lines, whose turns alternate while somebody waits in both: accounts that the node knows, each of
which proved with the request that it is one, and newcomers. In each line the turn is of who had none for longest:
of the accounts, or of the networks that newcomers ask from (a /16 of IPv4 or /32 of IPv6, and within it a /24 or /48).
Where no more may wait, those make room who would have been the last. So a flood takes turns of its own network, and not
of others.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from cachetools import FIFOCache

from banyan_replica.gossip.address_groups import nets_of
from banyan_web.refusals import HttpRefusal

SHARE = 0.15
"""Of the time, for all strangers together."""
WAITING, OF_ONE = 16, 4
"""Requests that wait in a line, and those of one account or near network in it: each has a body in memory."""
WAIT_S = 20.0
"""How long one waits."""
REMEMBERED = 8_192
"""Accounts and networks of which it is remembered when they had their last turn."""


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    """A request. who: an account; or networks, the wider one first."""

    known: bool
    who: tuple[str, ...]
    called: anyio.Event = field(default_factory=anyio.Event)
    sent_away: bool = False


class AnonymousQueue:
    """share: of the time of this process."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._waiting: list[_QueuedRequest] = []
        self._served: FIFOCache[tuple[bool, str], int] = FIFOCache(REMEMBERED)
        self._turns = 0
        self._working = self._of_known = False
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self, address: str, account: str | None = None) -> AsyncIterator[None]:
        """Work for who asks from there. account: one that the node knows, and that surely asks; None: a newcomer.
        Raises HttpRefusal where too many wait, and after WAIT_S."""
        mine = self._enter(address, account)
        try:
            with anyio.move_on_after(WAIT_S) as waited:
                await mine.called.wait()
                if not mine.sent_away:
                    await anyio.sleep(max(0.0, self._free_at - time.monotonic()))
        except BaseException:
            self._leave(mine)
            raise
        if mine.sent_away or waited.cancelled_caught:
            self._leave(mine)
            raise _busy()
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._free_at = ended + (ended - began) * (1 / self._share - 1)
            self._next()

    def _enter(self, address: str, account: str | None) -> _QueuedRequest:
        """Raises HttpRefusal."""
        nets = nets_of(address.partition("/")[0])
        who = (nets.wide or address, nets.near or address) if account is None else (account,)
        mine = _QueuedRequest(account is not None, who)
        line = [one for one in self._waiting if one.known == mine.known]
        if sum(one.who == who for one in line) >= OF_ONE:
            raise HttpRefusal(
                429, "Too much comes from here at once; send one after the other.", {"retry-after": "10"}, gate="queue"
            )
        self._waiting.append(mine)
        if len(line) >= WAITING:
            last = max((mine, *reversed(line)), key=self._rank)
            self._waiting.remove(last)
            if last is mine:
                raise _busy()
            last.sent_away = True
            last.called.set()
        if not self._working:
            self._next()
        return mine

    def _leave(self, mine: _QueuedRequest) -> None:
        """It waits no more. If the turn was its own, it is somebody else's."""
        if mine in self._waiting:
            self._waiting.remove(mine)
        elif not mine.sent_away:
            self._next()

    def _next(self) -> None:
        """Gives the turn to whose it is."""
        lines = {one.known for one in self._waiting}
        self._working = bool(lines)
        if not lines:
            return
        self._of_known = not self._of_known if len(lines) == 2 else lines.pop()
        mine = min((one for one in self._waiting if one.known == self._of_known), key=self._rank)
        self._waiting.remove(mine)
        self._turns += 1
        for name in mine.who:
            self._served[mine.known, name] = self._turns
        mine.called.set()

    def _rank(self, one: _QueuedRequest) -> tuple[int, ...]:
        """The least is the first: who waits but once, then who had no turn for longest."""
        before = self._waiting[: self._waiting.index(one)]
        same = sum(other.known == one.known and other.who[0] == one.who[0] for other in before)
        return (same, *(self._served.get((one.known, name), 0) for name in one.who))


def _busy() -> HttpRefusal:
    return HttpRefusal(
        503, "Many who are not logged in write at the moment; try again soon.", {"retry-after": "20"}, gate="queue"
    )
