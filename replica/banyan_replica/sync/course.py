"""The course of a session: whether two frontiers are equal, and how they are being made equal.

The states and their steps are in peers/states.py; this module has the times.
"""

from __future__ import annotations

from banyan_replica.peers.states import COURSE, CourseEvent, CourseState, step
from banyan_replica.sync.known_differences import KnownDifferences

NEVER = -1e9


class Course:
    """All times are seconds."""

    __slots__ = ("heard_at", "met", "settled_at", "state", "stuck", "told_at", "until")

    def __init__(self, now: float) -> None:
        self.state = CourseState.APART
        self.until = 0.0
        """No comparison of ours starts earlier: there is one at a time, whichever side asked for it."""
        self.told_at = now
        """When we last told the peer our root; the hello tells it too."""
        self.met = False
        """Whether the roots agreed once since the peer connected, over what is compared now."""
        self.settled_at = NEVER
        """When equal frontiers were last noted."""
        self.heard_at = NEVER
        """When the comparison began that the peer asked for, of those that are answered now and then only."""
        self.stuck = KnownDifferences(now)
        """What stands between us and the peer, and is known."""

    @property
    def live(self) -> bool:
        """Whether the roots were equal when they were last compared, and no head moved since."""
        return self.state is CourseState.LIVE

    @property
    def replaying(self) -> bool:
        """Whether the peer is sending a replay."""
        return self.state is CourseState.REPLAYING

    @property
    def replayed(self) -> bool:
        """Whether a replay has ended, and no comparison has followed."""
        return self.state is CourseState.REPLAYED

    def may_begin(self, now: float) -> bool:
        """Whether a comparison or a replay may start."""
        if now < self.until:
            return False
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)
        return self.state is not CourseState.REPLAYING

    def hears(self, now: float, every: float, within: float) -> bool:
        """Whether to answer the peer, one comparison in every so many seconds. within: how long it may take."""
        if now >= self.heard_at + every:
            self.heard_at = now
        return now < self.heard_at + within

    # -- events

    def equal(self) -> None:
        self._on(CourseEvent.EQUAL)
        self.met = True
        self.until = 0.0
        self.stuck.equal()

    def moved(self) -> None:
        self._on(CourseEvent.MOVED)

    def renew(self) -> None:
        """Other accounts are compared from now on, and nothing is known of them yet."""
        self.moved()
        self.met = False

    def compare(self, until: float) -> None:
        """We ask for a comparison, which may take until then."""
        self._on(CourseEvent.COMPARE)
        self.until = until

    def compared_with(self, until: float) -> None:
        """The peer asks for a comparison, from which we learn too; ours waits until then."""
        self.until = max(self.until, until)

    def again(self, standing: KnownDifferences) -> None:
        """The peer was linked before, and so much stood between us."""
        self.stuck = standing
        standing.want()

    def anew(self) -> None:
        """The comparison has told what it could; the next may start."""
        self.until, self.heard_at = 0.0, NEVER
        self.stuck.want()
        if self.state is CourseState.COMPARING:
            self._on(CourseEvent.LAPSED)

    def replay(self) -> None:
        """We ask for a replay."""
        self._on(CourseEvent.REPLAY)

    def end_replay(self) -> None:
        """The replay is complete."""
        self._on(CourseEvent.REPLAYED)

    def failed(self) -> None:
        """The peer failed; others are asked for what it owes us."""
        self._on(CourseEvent.FAILED)

    def told(self, now: float) -> None:
        """We told the peer our root."""
        self.told_at = now

    def settled(self, now: float) -> None:
        """Equal frontiers were noted."""
        self.settled_at = now

    def _on(self, event: CourseEvent) -> None:
        self.state = step(COURSE, self.state, event)
