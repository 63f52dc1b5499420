"""The bounds on what a peer can cause (`Limits`), and the standing of each peer: its points, and bans.

Every bound on what a peer can make us keep or do is a field of `Limits`, with its reason.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from banyan_replica.peers.flow import WINDOW

SUMS_LOGS = 4
"""An honest peer asks for the sums of one prefix in 60 logs or so, and that up to fifteen times a minute."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one replica. Counts, bytes and seconds."""

    outbox: int = WINDOW
    """Bulk that waits for one peer at most, whatever credit it gave."""
    credit: int = 64 << 10
    """Bulk that is digested before we say so, to a peer that sends on: less than any usual frame."""
    piece: int = 256 << 10
    """Bytes of items in one data frame: large enough to fill the line, small enough to commit often."""
    jobs: int = 20_000
    """Logs that one peer may have asked for and not been served yet; more are dropped, it asks again."""
    asked: int = 20_000
    """Logs that we ask one peer for at a time; the others are told again."""
    bucket: int = 64
    """Heads below a prefix that are named one by one instead of summed further."""
    heads_rows: int = 8_000
    """Heads in one frame, about 900 kB."""
    root_s: float = 5.0
    """How often neighbours tell each other where they stand; bounds how long a lost gossip message stays lost."""
    session_s: float = 4.0
    """One comparison at a time with a peer, for at most so long."""
    salt_s: float = 30.0
    """How long a table under a salt waits for what may still be asked of it, and a refused question until its next."""
    salted_s: float = 600.0
    """How often a neighbour drawn at random is compared with under a fresh salt: so long may a hidden fork live."""
    parts_s: float = 1.0
    """How often missing content is asked for while some comes."""
    parts_most_s: float = 60.0
    """And at the least, where no neighbour has it: so late content may come that a neighbour got after it was asked."""
    parts_asked: int = 256
    """Pieces of content in one question."""
    work_burst: int = 100_000
    """Rows that one peer's questions may cost us at once: heads looked at, arrivals read, entries judged again."""
    work_per_s: int = 20_000
    """And per second from then on; what goes beyond is not answered, and asked again by an honest peer."""
    met: int = 1_024
    """Peers whose last arrival number is remembered on disk."""
    interest: int = 65_536
    """Accounts that a partial node names, and that a peer may: some 80 bytes each while it is linked."""
    interest_logs: int = 1 << 20
    """Logs of such accounts that a peer is compared over: 48 bytes each; of one that names more, none."""
    notes: int = 4_096
    """Remembered reasons of "not yet", for people who ask why; oldest go first."""
    differences: int = 4_096
    """Remembered claims of one peer about heads that differ from ours."""
    reject: int = 10
    """Points that a rejected item costs its sender; context never costs any."""
    ban_at: int = 30
    """Points at which a peer is let go and banned."""
    ban_s: float = 600.0
    """For how long a banned peer is refused."""
    slight: int = 3
    """Points for what a slow link may be guilty of too: stalling, crawling, a head that it does not serve."""
    excused: int = 16
    """Claims that a peer may fail to serve, one after another, because its heads moved."""
    slights: int = 15
    """Points at which a peer is let go for such things. They add up to no more, so they never ban."""
    stall_s: float = 10.0
    """A peer that owes us something, has credit, and sends slower than `crawl` over so long, has stalled."""
    crawl: int = 1_000
    """Bytes per second."""
    strays: int = 20_000
    """Entries that nobody asked for and that are taken from one peer all the same; forgiven at 100 a second."""
    heal_s: float = 60.0
    """Time in which a peer is forgiven one point."""
    bans: int = 1_024
    """Banned peers remembered."""
    sums: int = 256
    """Questions by sums that a peer may ask in a minute, beside one for each SUMS_LOGS logs that are compared."""
    witness_s: float = 60.0
    """How often a platform signs where it stands."""


class Standing:
    """Points against peers, by peer id; they outlive a connection, so that dialling again is no pardon."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._points: OrderedDict[str, tuple[float, float, str]] = OrderedDict()
        self._banned: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def slight(self, peer: str, reason: str, now: float) -> bool:
        """Notes what an honest peer on a bad line may do too. Whether it is enough to let the peer go, unbanned."""
        held = self.points(peer, now)
        self._note(peer, max(held, min(held + self._limits.slight, self._limits.slights)), reason, now)
        return held + self._limits.slight >= self._limits.slights

    def charge(self, peer: str, points: int, reason: str, now: float) -> str | None:
        """The reason to let the peer go, or None while it may stay."""
        held = self.points(peer, now) + points
        self._note(peer, held, reason, now)
        if held < self._limits.ban_at:
            return None
        self._banned[peer] = (max(now + self._limits.ban_s, self._banned.get(peer, (0.0, ""))[0]), reason)
        if len(self._banned) > self._limits.bans:  # whoever would be free first; an operator's word goes last
            del self._banned[min(self._banned, key=lambda p: self._banned[p][0])]
        return reason

    def _note(self, peer: str, points: float, reason: str, now: float) -> None:
        self._points[peer] = (points, now, reason)
        self._points.move_to_end(peer)
        if len(self._points) > self._limits.bans:
            self._points.popitem(last=False)

    def ban(self, peer: str, reason: str, now: float) -> None:
        """Refuse the peer until it is pardoned: an operator's word does not heal by itself."""
        self._banned[peer] = (float("inf"), reason)

    def points(self, peer: str, now: float) -> float:
        held, at, _ = self._points.get(peer, (0.0, now, ""))
        return max(0.0, held - (now - at) / self._limits.heal_s)

    def last_reason(self, peer: str) -> str:
        return self._points[peer][2] if peer in self._points else ""

    def banned(self, peer: str, now: float) -> str | None:
        """Why the peer is refused, or None."""
        until, reason = self._banned.get(peer, (0.0, ""))
        if until <= now:
            self._banned.pop(peer, None)
            return None
        return reason

    def pardon(self, peer: str) -> None:
        self._banned.pop(peer, None)
        self._points.pop(peer, None)

    def bans(self, now: float) -> dict[str, tuple[float, str]]:
        """peer -> (seconds left, reason); an operator's ban has 10 years left."""
        forever = 10 * 365 * 86_400.0
        return {p: (min(until - now, forever), why) for p, (until, why) in self._banned.items() if until > now}
