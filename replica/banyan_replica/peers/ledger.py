"""The penalty points of each peer, by one scale and one list of offences; and what its questions and frames cost.

A lie is what no honest node sends. Points for lies add up without bound, and at `ban_at` the peer is disconnected and
banned for a while. A slight is what an honest peer on a bad line also does. Slights add up to `let_go_at` at most,
where the link ends, so they never ban. Points decrease with time.

The gossip, the sync and the node's reader (backlog.py) all charge here. The ledger is kept by peer id and outlives the
connection, so that dialling again does not clear it. It is bounded: peers with the fewest points are forgotten first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from heapq import nsmallest
from typing import Literal, NamedTuple, TypeAlias

from banyan_crdt.errors import Malformed, Reject

Outcome: TypeAlias = Literal["stays", "let go", "banned"]
FOREVER_S = 10 * 365 * 86_400.0
"""The remaining time that is shown for an operator's ban."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Points and seconds."""

    let_go_at: int = 15
    """Points at which a slight ends the link, and the most that slights add up to. Above it a peer is not trusted."""
    ban_at: int = 30
    """Points at which a lie ends the link, and the peer is banned."""
    ban_s: float = 600.0
    """How long a ban lasts."""
    heal_s: float = 60.0
    """Time after which a peer loses one point."""
    bans: int = 1_024
    """Banned peers remembered; those whose ban ends first are forgotten first. Bans by the operator do not count."""
    peers: int = 4_096
    """Peers remembered with their points. At this number the eighth with the fewest points is forgotten."""
    credit: float = 7.5
    """The most credit from news: it pays for 25 announcements that are not honoured."""


class Price(NamedTuple):
    """lie: no honest node does it. patient: it ends the link only at `ban_at`, not at `let_go_at`. sentence: what the
    peer did."""

    points: float
    lie: bool
    patient: bool
    sentence: str


class Offence(Enum):
    """What a peer can lose points for."""

    WRONG = Price(10, True, True, "sent what every node rejects: its bytes, shape, hash or signature are wrong")
    BEYOND_CREDIT = Price(10, True, True, "sent more bulk than its credit and one frame")
    UNASKED = Price(10, True, True, "sent entries that nobody asked for, beyond what is excused")
    TOO_OFTEN = Price(10, True, True, "asked one question more often than any node needs")
    PUSHED = Price(10, True, False, "pushed by gossip what every node rejects, for others to pass on")
    STALLED = Price(0, False, True, "owed something, had credit, and sent next to nothing")  # others may attack it
    UNSERVED = Price(3, False, False, "claimed heads and did not serve them")
    UNREAD = Price(3, False, False, "read out far too little of a range for what it claims")
    UNHONOURED = Price(0.3, False, False, "announced a message by gossip and did not send it when asked")


NEWS = 0.15
"""Credit for a message that was new and valid. Credit only pays for UNHONOURED."""


class Charge(NamedTuple):
    """One offence of a peer. sentence: the details."""

    offence: Offence
    sentence: str


class Breach(Malformed):
    """A Reject with an offence of its own; any other Reject is WRONG."""

    def __init__(self, offence: Offence, sentence: str) -> None:
        super().__init__(sentence)
        self.offence = offence


def charge_of(why: Reject, otherwise: Offence = Offence.WRONG) -> Charge:
    return Charge(why.offence if isinstance(why, Breach) else otherwise, str(why))


@dataclass(slots=True)
class _Account:
    """points: as of `at`. sentence: of the last offence that cost points."""

    points: float
    at: float
    sentence: str = ""
    credit: float = 0.0


class Ledger:
    def __init__(self, scale: Scale | None = None) -> None:
        self.scale = scale or Scale()
        self._accounts: dict[str, _Account] = {}
        self._banned: dict[str, tuple[float, str]] = {}

    # -- what peers did

    def charge(self, peer: str, charge: Charge, now: float) -> Outcome:
        """Adds the points. Returns what to do with the peer."""
        price, scale = charge.offence.value, self.scale
        account = self._account(peer, now)
        held, points = self.points(peer, now), price.points
        if charge.offence is Offence.UNHONOURED:
            paid = min(points, account.credit)
            account.credit -= paid
            points -= paid
            if not points:
                return "stays"
        total = held + points
        kept = total if price.lie else max(held, min(total, scale.let_go_at))
        account.points, account.at, account.sentence = kept, now, charge.sentence
        reached = round(total)  # as people read it: three lies of ten points are 30, though seconds healed a little
        if price.lie and reached >= scale.ban_at:
            until = max(now + scale.ban_s, self._banned.get(peer, (0.0, ""))[0])
            self._refuse(peer, until, charge.sentence)
            return "banned"
        return "let go" if not price.patient and reached >= scale.let_go_at else "stays"

    def news(self, peer: str, now: float) -> None:
        """The peer sent a message that was new and valid."""
        account = self._account(peer, now)
        account.credit = min(self.scale.credit, account.credit + NEWS)

    def _account(self, peer: str, now: float) -> _Account:
        account = self._accounts.get(peer)
        if account is None:
            if len(self._accounts) >= self.scale.peers:
                # an eighth at once: strangers with ever new names must not cost a search each
                for old in nsmallest(self.scale.peers // 8 or 1, self._accounts, key=self._healed_at):
                    del self._accounts[old]
            account = self._accounts[peer] = _Account(0.0, now)
        return account

    def _healed_at(self, peer: str) -> float:
        """When the peer's points reach 0. This order is that of the points at any time."""
        account = self._accounts[peer]
        return account.at + account.points * self.scale.heal_s

    # -- bans

    def ban(self, peer: str, reason: str) -> None:
        """Bans the peer until it is pardoned: an operator's ban does not end by itself."""
        self._refuse(peer, float("inf"), reason)

    def _refuse(self, peer: str, until: float, why: str) -> None:
        self._banned[peer] = (until, why)
        ending = [p for p, (until, _) in self._banned.items() if until < float("inf")]
        if len(ending) > self.scale.bans:
            del self._banned[min(ending, key=lambda p: self._banned[p][0])]

    def pardon(self, peer: str) -> None:
        self._banned.pop(peer, None)
        self._accounts.pop(peer, None)

    # -- queries

    def points(self, peer: str, now: float) -> float:
        """The peer's points now; 0 for an unknown peer."""
        account = self._accounts.get(peer)
        return 0.0 if account is None else max(0.0, account.points - (now - account.at) / self.scale.heal_s)

    def trusted(self, peer: str, now: float) -> bool:
        """Whether the gossip may have it as a neighbour: it has no more points than slights alone can give."""
        return self.points(peer, now) <= self.scale.let_go_at

    def last_sentence(self, peer: str) -> str:
        """Its last offence that cost points, or an empty string."""
        return self._accounts[peer].sentence if peer in self._accounts else ""

    def banned(self, peer: str, now: float) -> str | None:
        """Why the peer is banned, or None."""
        until, why = self._banned.get(peer, (0.0, ""))
        if until <= now:
            self._banned.pop(peer, None)
            return None
        return why

    def bans(self, now: float) -> dict[str, tuple[float, str]]:
        """peer -> (seconds left, why); an operator's ban has 10 years left."""
        return {p: (min(until - now, FOREVER_S), why) for p, (until, why) in self._banned.items() if until > now}


# A few bytes must not cause unlimited work, even if it was of use. A peer's questions and judging what it sends are
# counted apart: an honest peer passes on what others wrote, and whoever writes what is dear to judge would otherwise
# keep honest peers from comparing.


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
    """The load of one peer. served_at: when it last sent an entry that was new here. stops: how often peers were
    stopped, by (gate, peer); the driver has a list of the gates."""

    __slots__ = ("_judged", "_peer", "_stops", "_sums", "_work", "served_at")

    def __init__(self, peer: str = "", stops: Counter[tuple[str, str]] | None = None) -> None:
        self._peer, self._stops = peer, Counter[tuple[str, str]]() if stops is None else stops
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

    def stopped(self, gate: str) -> None:
        self._stops[gate, self._peer] += 1

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
