"""What connections may use of the processor before they have proved who they are, while own people work.

Sockets cost their opener next to nothing. Together they get what strangers leave of their share and a little more, and
at least a share for accepting (and refusing) and one for handshakes. Those that are not accepted yet wait in the
system's queue. Of those accepted, who says nothing costs nothing, and the others begin their handshakes one after the
other: first those of whose group of addresses fewest wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from banyan_node.admission.gates import AdmissionTally
from banyan_node.admission.usage import LEAST, LEAST_DEEPEST_S, LONGEST_S, NEXT_S, Budget, Stage, Usage


class _Beginning:
    """A connection that may not begin its handshake yet."""

    __slots__ = ("begin", "group")

    def __init__(self, group: object) -> None:
        self.group, self.begin = group, trio.Event()


class HandshakeLimiter:
    """share: the part of one core that strangers get together; None: as much as they like. busy: whether own people
    work. strangers: what strangers have used, seconds. knocked: what was used before handshakes, and arrived: by them,
    seconds."""

    def __init__(
        self,
        share: float | None,
        clock: Callable[[], float],
        busy: Callable[[], bool],
        strangers: Callable[[], float],
        tally: AdmissionTally,
    ) -> None:
        self._clock, self._busy, self._strangers, self._tally = clock, busy, strangers, tally
        least = None if share is None else LEAST
        self._knocks, self._handshakes = (Budget(least, clock(), LEAST_DEEPEST_S) for _ in range(2))
        self._all = Budget(None if share is None else share + LEAST, clock())
        self.knocked = self.arrived = 0.0
        self._waiting: list[_Beginning] = []
        self._waits = trio.Event()

    def counts(self, usage: Usage, seconds: float) -> None:
        """A connection that arrives has used so much."""
        if usage.stage is Stage.BEGUN:
            self.arrived += seconds
        else:
            self.knocked += seconds

    def _owed(self, least: Budget, used: float) -> float:
        """How long to wait, seconds."""
        now = self._clock()
        all_used = self._strangers() + self.knocked + self.arrived
        return min(least.owed(used, now), self._all.owed(all_used, now))

    async def accepts(self) -> None:
        """Returns when one more connection may be accepted."""
        due = trio.current_time() + self._owed(self._knocks, self.knocked)
        if due <= trio.current_time() or not self._busy():
            return
        with self._tally.delay("accept", "newcomers"):
            while self._busy() and (left := due - trio.current_time()) > 0:  # what is owed then is not asked: it costs
                await trio.sleep(min(left, LONGEST_S))

    async def begins(self, usage: Usage) -> None:
        """Returns when a connection may begin its handshake."""
        usage.stage = Stage.BEGUN
        if not self._busy():
            return
        mine = _Beginning(usage.group)
        self._waiting.append(mine)
        self._waits.set()
        try:
            with self._tally.delay("handshake", usage.group.name):
                await mine.begin.wait()
        finally:
            if not mine.begin.is_set():
                self._waiting.remove(mine)

    async def run(self) -> None:
        """Lets connections begin, for ever."""
        while True:
            await self._waits.wait()
            while self._waiting:
                owed = self._owed(self._handshakes, self.arrived)
                if owed and self._busy():
                    await trio.sleep(min(owed, LONGEST_S))
                    continue
                waits = Counter(w.group for w in self._waiting)
                first = min(self._waiting, key=lambda w: waits[w.group])
                self._waiting.remove(first)
                first.begin.set()
                await trio.sleep(NEXT_S)
            self._waits = trio.Event()
