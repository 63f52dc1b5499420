"""What strangers have this node work on: one after the other, and all of them together for a part of the time.

Whoever is not logged in costs nothing to make, so a bound by address alone bounds nobody who has many. After a piece of
work that took a second the next one begins when so much time has passed that the share holds; while own people work
each takes longer, so strangers get less then.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from banyan_web.refusals import Refused

SHARE = 0.15
"""Of the time, for all strangers together."""
WAITING, OF_AN_ADDRESS = 16, 4
"""Requests that wait for a turn, and those of one address: each has a body in memory."""
WAIT_S = 20.0
"""How long one waits."""


class Strangers:
    """share: of the time of this process."""

    def __init__(self, share: float = SHARE) -> None:
        self._share = share
        self._turn = anyio.Lock()
        self._waiting = Counter[str]()
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Work for who asks from there. Raises Refused where too many wait, and after WAIT_S."""
        if self._waiting[address] >= OF_AN_ADDRESS:
            raise Refused(429, "Too much comes from here at once; send one after the other.", {"retry-after": "10"})
        if self._waiting.total() >= WAITING:
            raise _busy()
        self._waiting[address] += 1
        try:
            with anyio.move_on_after(WAIT_S) as waited:
                await self._turn.acquire()
                try:
                    await anyio.sleep(max(0.0, self._free_at - time.monotonic()))
                except BaseException:
                    self._turn.release()
                    raise
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]
        if waited.cancelled_caught:
            raise _busy()
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._free_at = ended + (ended - began) * (1 / self._share - 1)
            self._turn.release()


def _busy() -> Refused:
    return Refused(503, "Many who are not logged in write at the moment; try again soon.", {"retry-after": "20"})
