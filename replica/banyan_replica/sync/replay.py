"""A returning node gets, in arrival order, what a known peer received meanwhile.

Whenever two frontiers agree, each node notes the arrival number of both. If the peer has accepted much since then and
we little, we were away, and we lack nearly all of it. So logs are not asked for by name, and what is equal is not
compared. If we accepted much too, we got it from others, and a comparison is cheaper.

The note moves with what came, so a replay that is interrupted continues from there. Only the peer's statement says that
nothing was left out, so one comparison of everything follows each replay.
"""

from __future__ import annotations

from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.wire.messages import Message, Replay, Replayed
from banyan_storage.local_tables import MET
from banyan_storage.store import Store

MUCH = 4
"""A replay is asked for if we accepted less than 1/MUCH of what the peer accepted since we agreed."""
ALONE_S = 10.0
"""How long a replay stops comparisons with other peers, which would fetch the same."""
AGAIN_S = 60.0
"""From one such pause to the next: peers that claim much and send nothing must not keep us from the others."""


class ReplayPlanner:
    """Decides when to ask for a replay and keeps the notes; `out` takes the frames."""

    def __init__(
        self, store: Store, limits: Limits, links: dict[str, PeerSession], out: list[tuple[str, Message | bytes]]
    ) -> None:
        self._store, self._limits, self._links, self._out = store, limits, links, out
        self._alone_until = self._again_at = 0.0

    def under_way(self, now: float) -> bool:
        return now < self._alone_until and any(k.course.replaying for k in self._links.values())

    def ask(self, link: PeerSession, now: float) -> bool:
        """Asks for a replay if that is worth it. Returns whether it asked."""
        note = self._note(link)
        if note is None or link.course.replayed:
            return False
        theirs, ours = note
        missed, got = link.told.arrival - theirs, self._store.last_arrival - ours
        if missed <= 0 or got * MUCH > missed:
            return False
        link.course.replay()
        if now >= self._again_at:
            self._alone_until, self._again_at = now + ALONE_S, now + AGAIN_S
        self._out.append((link.peer, Replay(theirs)))
        return True

    def replayed(self, link: PeerSession, m: Replayed) -> bool:
        """The peer reported progress. Returns whether the replay is complete."""
        self._write(link, m.arrival)
        if m.done:
            link.course.end_replay()
        return bool(m.done)

    def agreed(self, link: PeerSession, now: float) -> None:
        """Frontiers are equal. This is noted only now and then, because it costs a commit."""
        if link.hello is None or now - link.course.settled_at < self._limits.root_s / 2:
            return
        link.course.settled(now)
        if self._note(link) != (link.told.arrival, self._store.last_arrival):
            self._write(link, link.told.arrival)

    def _write(self, link: PeerSession, theirs: int) -> None:
        if self._note(link) is None:
            noted = [*MET.keys(self._store)]
            for other in noted[: max(0, len(noted) + 1 - self._limits.met)]:
                MET.put(self._store, other, None)
        if link.hello is not None:
            note_agreement(self._store, link.hello.store_id, theirs)

    def _note(self, link: PeerSession) -> tuple[int, int] | None:
        """The peer's last arrival number and ours when we last agreed."""
        return None if link.hello is None else MET.get(self._store, link.hello.store_id)


def note_agreement(store: Store, peer: bytes, theirs: int) -> None:
    """Notes that `store` holds what the store `peer` held when its last arrival was `theirs`."""
    MET.put(store, peer, (theirs, store.last_arrival))
