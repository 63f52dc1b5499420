"""A part of one core, and how much of what was used of it is paid for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

SAVED_S = 0.03
"""The time that strangers may save up, seconds: what they can use at once when own people begin to work."""
DEEPEST_S = 0.65
"""The most that they can owe, seconds. With the usual share it is paid within 4.7 s: a muxer gives up a stream whose
window is not opened for five."""
LEAST = 0.05
"""The part of a core that accepting gets at least, and handshakes, and what comes from networks that used little,
whatever strangers use."""
LEAST_DEEPEST_S = 0.1
"""The most that each of these can owe, seconds, so that none waits for longer than two."""
READING, JUDGING, OWN = 1 / 2, 1 / 8, 1 / 8
"""The parts of the share of strangers that each peer which this node relies on has for itself: of the event loop, and
of the replica's thread for what it relays and answers, and for what its own people wrote and asked. There are four such
peers at most (`chosen` and `elders` of gossip/settings.py)."""
ALLOWANCE_S = 1.0
"""What such a peer may save up of each, seconds: a frame of honest news may be large."""
NEXT_S = 0.001
"""After a connection has begun or gone on, what it costs is known this much later, seconds."""
LONGEST_S = 0.1
"""How often those that wait look whether own people still work, seconds."""


class Budget:
    """A part of one core, and how much of what was used of it is paid for. share: None: no bound. deepest: the most
    that can be owed. debt: what is not paid for. Both in seconds."""

    __slots__ = ("_at", "_deepest", "_paid", "debt", "share")

    def __init__(self, share: float | None, now: float, deepest: float = DEEPEST_S) -> None:
        self.share, self.debt, self._paid, self._at, self._deepest = share, 0.0, 0.0, now, deepest

    def owed(self, used: float, now: float) -> float:
        """How long it takes to pay, seconds. used: in all."""
        if self.share is None:
            return 0.0
        paid = self._paid + (now - self._at) * self.share
        self._paid, self._at = max(used - self._deepest, min(paid, used + SAVED_S)), now
        self.debt = max(0.0, used - self._paid)
        return self.debt / self.share


class Allowance:
    """What a peer that this node relies on may use without being a stranger. It begins with nothing, so who comes again
    and again has none. share: a part of one core; None: no bound."""

    __slots__ = ("_at", "_clock", "_left", "_share")

    def __init__(self, share: float | None, clock: Callable[[], float]) -> None:
        self._share, self._clock, self._at = share, clock, clock()
        self._left = 0.0

    @property
    def left(self) -> float:
        """Seconds. Any thread."""
        if self._share is None:
            return ALLOWANCE_S
        return min(ALLOWANCE_S, self._left + (self._clock() - self._at) * self._share)

    def takes(self, seconds: float) -> bool:
        """Uses so much of it. False: nothing is left."""
        left, self._at = self.left, self._clock()
        self._left = left - seconds if left > 0 else left
        return left > 0


class Allowances(NamedTuple):
    """Of one such peer: of the event loop; of other threads for what it relays, and for what its own people wrote."""

    reading: Allowance
    relayed: Allowance
    own: Allowance

    def judging(self, own: bool) -> Allowance:
        return self.own if own else self.relayed
