"""A part of one core, and how much of what was used of it is paid for."""

from __future__ import annotations

SAVED_S = 0.03
"""The time that strangers may save up, seconds: what they can use at once when own people begin to work."""
DEEPEST_S = 0.75
"""The most that they can owe, seconds. With the usual share it is paid within three, and then one that used little is
read from: a muxer gives up a stream whose window is not opened for five."""
NEXT_S = 0.001
"""After a connection has begun or gone on, what it costs is known this much later, seconds."""
LONGEST_S = 0.1
"""How often those that wait look whether own people still work, seconds."""


class Budget:
    """A part of one core, and how much of what was used of it is paid for. share: None: no bound. debt: what is not
    paid for, seconds."""

    __slots__ = ("_at", "_paid", "debt", "share")

    def __init__(self, share: float | None, now: float) -> None:
        self.share, self.debt, self._paid, self._at = share, 0.0, 0.0, now

    def owed(self, used: float, now: float) -> float:
        """How long it takes to pay, seconds. used: in all."""
        if self.share is None:
            return 0.0
        paid = self._paid + (now - self._at) * self.share
        self._paid, self._at = max(used - DEEPEST_S, min(paid, used + SAVED_S)), now
        self.debt = max(0.0, used - self._paid)
        return self.debt / self.share
