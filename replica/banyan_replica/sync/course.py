"""The course of a session: whether two frontiers are equal, and in which way they are being made equal.

The states and their steps are in peers/states.py; this module has their times.
"""

from __future__ import annotations

from banyan_replica.peers.states import COURSE, CourseEvent, CourseState, step

NEVER = -1e9


class Course:
    """`now` and all times: seconds."""

    __slots__ = ("met", "replay_at", "settled_at", "state", "told_at", "until")

    def __init__(self, now: float) -> None:
        self.state = CourseState.APART
        self.until = 0.0
        """No comparison of ours begins before: one at a time, whoever asked for it."""
        self.replay_at = NEVER
        """When a replay was asked for last."""
        self.told_at = now
        """When we last told the peer our root; the hello does."""
        self.met = False
        """Whether the roots agreed once since the peer came, over what is compared now."""
        self.settled_at = NEVER
        """When it was last noted where we met."""

    @property
    def live(self) -> bool:
        """Whether the roots agreed when they were last compared, and nothing moved since."""
        return self.state is CourseState.LIVE

    @property
    def replaying(self) -> bool:
        """Whether the peer is sending us what came since we were there."""
        return self.state is CourseState.REPLAYING

    @property
    def replayed(self) -> bool:
        """Whether it did, and was not compared with since."""
        return self.state is CourseState.REPLAYED

    def may_begin(self, now: float) -> bool:
        """Whether nothing is under way, so that a comparison or a replay may begin."""
        if now < self.until:
            return False
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)
        return self.state is not CourseState.REPLAYING

    # -- what happens

    def equal(self) -> None:
        self._on(CourseEvent.EQUAL)
        self.met = True
        self.until = 0.0

    def moved(self) -> None:
        self._on(CourseEvent.MOVED)

    def renew(self) -> None:
        """Other accounts are compared from now on, and nothing is known of them yet."""
        self.moved()
        self.met = False

    def compare(self, until: float) -> None:
        """We ask for a comparison, which has time until then."""
        self._on(CourseEvent.COMPARE)
        self.until = until

    def compared_with(self, until: float) -> None:
        """The peer asks for a comparison: it will tell us, too, so ours waits until then."""
        self.until = max(self.until, until)

    def anew(self) -> None:
        """The comparison under way told what it could; the next may begin."""
        self.until = 0.0
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)

    def replay(self, now: float) -> None:
        """We ask for what came since we were there."""
        self._on(CourseEvent.REPLAY)
        self.replay_at = now

    def end_replay(self) -> None:
        """All of it was sent."""
        self._on(CourseEvent.REPLAYED)

    def failed(self) -> None:
        """What the peer owes us is asked of others."""
        self._on(CourseEvent.FAILED)

    def told(self, now: float) -> None:
        """We told the peer our root."""
        self.told_at = now

    def settled(self, now: float) -> None:
        """Where we met was noted."""
        self.settled_at = now

    def _on(self, event: CourseEvent) -> None:
        self.state = step(COURSE, self.state, event)
