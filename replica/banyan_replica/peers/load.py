"""The cost of a peer's questions and of judging what it sends, and their limits: a few bytes must not cause unlimited
work. Also when it was of use.

They are counted apart. An honest peer passes on what others wrote; were that counted with its questions, whoever writes
what is dear to judge would keep honest peers from comparing.
"""

from __future__ import annotations

from banyan_replica.peers.ledger import Breach, Offence


class Leak:
    """A leaky bucket: its level rises with what a peer does and falls with time."""

    __slots__ = ("_at", "level")

    def __init__(self) -> None:
        self.level = self._at = 0.0

    def sink(self, per_s: float, now: float) -> float:
        """Lets the level fall until now, and returns it."""
        self.level = max(0.0, self.level - per_s * (now - self._at))
        self._at = now
        return self.level

    def rise(self, much: float) -> None:
        self.level += much


class Load:
    """The load of one peer. served_at: when it last sent an entry that was new here."""

    __slots__ = ("_judged", "_sums", "_work", "served_at")

    def __init__(self) -> None:
        self.served_at: float | None = None
        self._work, self._judged, self._sums = Leak(), Leak(), Leak()

    @property
    def work(self) -> float:
        """Rows that its questions cost, as of the last update."""
        return self._work.level

    @property
    def judged(self) -> float:
        """Rows that judging what it sent cost, as of the last update."""
        return self._judged.level

    def served(self, now: float) -> None:
        self.served_at = now

    def may(self, rows: int, burst: int, per_s: int, now: float) -> bool:
        """Whether a question of the peer may cost so many rows more; if so, they are added."""
        return _room(self._work, rows, burst, per_s, now)

    def may_judge(self, rows: int, burst: int, per_s: int, now: float) -> bool:
        """The same of what it sends."""
        return _room(self._judged, rows, burst, per_s, now)

    def cost(self, rows: float) -> None:
        """Adds cost of a question that was not known before the answer."""
        self._work.rise(rows)

    def sums(self, most: int, now: float) -> None:
        """A question by sums came; `most` are allowed in a minute. Raises Breach."""
        self._sums.sink(most / 60, now)
        self._sums.rise(1)
        if self._sums.level > most:
            raise Breach(Offence.TOO_OFTEN, f"asks for sums more than {most} times a minute")


def _room(leak: Leak, rows: int, burst: int, per_s: int, now: float) -> bool:
    if leak.sink(per_s, now) >= burst:
        return False
    leak.rise(rows)
    return True
