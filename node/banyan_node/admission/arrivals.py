"""What connections may use of the processor before they have proved who they are, while own people work.

Sockets cost their opener next to nothing. Together they get what strangers leave of their share and a little more, and
at least a share for accepting (and refusing) and one for handshakes. Those that are not accepted yet wait in the
system's queue. Of those accepted, who says nothing costs nothing, and the others begin their handshakes one after the
other: first those of whose group of addresses fewest wait.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import trio
from cachetools import FIFOCache

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


# Pauses for peers whose links end soon after they began: one per peer id, longer each time.
#
# A node that was expelled and dials again at once costs both ends a handshake each time. So do two nodes with one key
# (a copied home): each link takes the place of the other one. Both ends pause: the one that dials, and the one that is
# dialled, since the dialler may be of any make.
#
# This class is sans-I/O. It remembers at most `peers` peers; those that came longest ago are forgotten first.


@dataclass(frozen=True, slots=True)
class PauseSettings:
    """Counts and seconds.

    quick_s: a link that ended sooner after its start counts. It is less than the half minute after which a node closes
      links that it does not need.
    free: so many count without a pause: a node that is restarted some times must be let in at once.
    first_s, most_s: the first pause, and the longest; each is twice the one before. At the longest, a peer costs one
      handshake a minute.
    fade_s: after so much time without another, one less counts.
    peers: peers that are remembered.
    """

    quick_s: float = 20.0
    free: int = 3
    first_s: float = 2.0
    most_s: float = 60.0
    fade_s: float = 60.0
    peers: int = 1024


class _Quick:
    """How often a peer came and went. until: when its pause ends."""

    def __init__(self, now: float) -> None:
        self.until = self._last = now
        self._times = 0.0

    def again(self, s: PauseSettings, now: float) -> None:
        idle = max(0.0, now - max(self._last, self.until))  # a pause is no merit: the peer had to wait
        self._times = max(0.0, self._times - idle / s.fade_s) + 1
        self._last = now
        over = int(self._times) - s.free
        if over > 0:
            self.until = now + min(s.most_s, s.first_s * 2.0 ** min(over - 1, 30))


class Pauses:
    def __init__(self, settings: PauseSettings) -> None:
        self.s = settings
        self._peers: FIFOCache[str, _Quick] = FIFOCache(settings.peers)

    def count(self, peer: str, now: float) -> None:
        """A link of the peer has ended soon after it began, or the peer replaced it by another."""
        quick = self._peers.get(peer) or _Quick(now)
        quick.again(self.s, now)
        self._peers[peer] = quick

    def left(self, peer: str, now: float) -> float:
        """Seconds until the peer may come or be dialled again; 0 without a pause."""
        quick = self._peers.get(peer)
        return 0.0 if quick is None else max(0.0, quick.until - now)

    def forget(self, peer: str) -> None:
        self._peers.pop(peer, None)
