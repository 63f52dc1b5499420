"""Whose turn it is on the replica's thread: sharing its time, so that nobody can use it up.

What peers cause takes turns by time, not by number: a peer whose frame took a second waits until the others had theirs.
The turns go round in three levels:

- the peers that this node relies on (throttle.py), and all others together, so that free identities together get one
  share;
- among these, the groups of addresses (gossip/address_groups.py), so that many addresses of one network get one share;
- in a group, the peers.

A share that is not used goes to the others. The frames of one peer wait in lanes (peers/backlog.py): what its own
people wrote comes first, and what it relays, which others can flood, takes turns by time with its answers. While
strangers have used up their share (`TurnRights`), only those have turns that used little, and peers that this node
relies on while their own time lasts. The policy knows no clock and no thread: the worker says what each job took.
"""

from collections import deque
from collections.abc import Callable, Container
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from cachetools import FIFOCache

from banyan_replica.peers.backlog import Lane

RELIED_ON_S, OTHERS_S = 0.007, 0.003
"""What a round gives to the peers that this node relies on, and to all others together, seconds."""
ROUND_S = 0.002
"""What a round gives to each group, and to each peer in it, seconds."""
DEEPEST = {"class": 0.05, "group": 1.0, "peer": 60.0}
"""The most that each can owe, seconds: one dear job must not silence those beside its sender for long."""
DEBTS = 4_096
"""Peers and groups whose debt is remembered after their last frame: one that sends one dear frame at a time pays too.
Debts are forgotten in the order in which they were made."""
PAID_PER_S = 0.1
"""How much of its debt a peer or group without frames is forgiven a second, seconds: what a tenth of the thread is
worth."""


class JobOwner(NamedTuple):
    """Who caused a job: a peer and its group of addresses. Empty for the node's own events."""

    peer: str = ""
    group: str = ""


class TurnRights(NamedTuple):
    """Who may have a turn while strangers owe time. group(name): whether all of a group of addresses may. peer(name,
    own): whether a peer that this node relies on may; own: with what its own people wrote or asked."""

    group: Callable[[str], bool]
    peer: Callable[[str, bool], bool]


class QueuedJob(Protocol):
    """A job that waits. size: bytes; writes: whether it may write something that must be committed; lane: in which of
    the peer's it waits."""

    @property
    def whose(self) -> JobOwner: ...
    @property
    def size(self) -> int: ...
    @property
    def writes(self) -> bool: ...
    @property
    def lane(self) -> Lane: ...


J = TypeVar("J", bound=QueuedJob)


class _Share(Generic[J]):
    """One that takes turns with its siblings. credit: seconds that it may still use in this round; below 0: a debt, of
    `deepest` at most. lanes: its jobs; used: seconds by lane; ends: jobs of the lane LAST that wait."""

    __slots__ = ("credit", "deepest", "ends", "inner", "lanes", "name", "quantum", "used")

    def __init__(self, name: str, quantum: float, deepest: float, credit: float = 0.0) -> None:
        self.name, self.quantum, self.deepest, self.credit = name, quantum, deepest, credit
        self.inner: deque[_Share[J]] = deque()
        """Those with jobs, in the order of their turns."""
        self.lanes: tuple[deque[J], deque[J], deque[J]] = (deque(), deque(), deque())
        self.used, self.ends = [0.0, 0.0, 0.0], 0

    def put(self, job: J) -> None:
        first, gossip, rest = self.lanes
        if job.lane is Lane.LAST:
            rest.extendleft(reversed([*first, *gossip]))
            first.clear()
            gossip.clear()
            self.ends += 1
        lane = Lane.REST if self.ends else job.lane
        if not self.lanes[lane]:  # a lane saves nothing up while it is empty
            self.used[lane] = max(self.used)
        self.lanes[lane].append(job)

    def take(self, lane: Lane) -> J:
        job = self.lanes[lane].popleft()
        self.ends -= job.lane is Lane.LAST
        return job

    def lane(self, may: Callable[[str, bool], bool] | None = None) -> Lane | None:
        """The lane whose turn it is, of those that may have one; None: none has jobs and may."""
        first, gossip, rest = self.lanes
        if first and (may is None or may(self.name, True)):
            return Lane.FIRST
        if not (gossip or rest) or not (may is None or may(self.name, False)):
            return None
        if gossip and rest:
            return Lane.GOSSIP if self.used[Lane.GOSSIP] <= self.used[Lane.REST] else Lane.REST
        return Lane.GOSSIP if gossip else Lane.REST


_Path: TypeAlias = tuple[_Share[J], _Share[J], _Share[J]]
"""Of a peer: its class, its group of addresses, its own share."""


class FairQueue(Generic[J]):
    """relied_on(peer): whether its turns are among those of the peers that this node relies on; asked when its first
    waiting job comes."""

    def __init__(self, relied_on: Callable[[str], bool]) -> None:
        self._relied_on = relied_on
        self._whole: _Share[J] = _Share("", 0.0, 0.0)
        self._paths: dict[JobOwner, _Path[J]] = {}
        """Of each peer with jobs."""
        self._classes: tuple[_Share[J], _Share[J]] = (
            _Share("relied on", RELIED_ON_S, DEEPEST["class"]),
            _Share("others", OTHERS_S, DEEPEST["class"]),
        )
        self._groups: dict[tuple[str, str], _Share[J]] = {}
        self._debts: FIFOCache[tuple[str, str], tuple[float, float]] = FIFOCache(DEBTS)
        """(class or group, name) -> (debt, when)."""
        self._last: _Path[J] | None = None
        self._lane = Lane.REST
        self.count = self.size = self.writing = self.first = 0
        """Jobs that wait, their bytes, how many of them may write, and how many wait in first lanes."""

    def put(self, job: J, now: float) -> None:
        whose = job.whose
        path = self._paths.get(whose) or self._begin(whose, now)
        path[2].put(job)
        self.first += job.lane is Lane.FIRST
        self.count += 1
        self.size += job.size
        self.writing += job.writes

    @property
    def oldest(self) -> JobOwner:
        """Whose jobs wait longest without a pause."""
        return next(iter(self._paths), JobOwner())

    def can_run(self, may: TurnRights | None) -> bool:
        """Whether there is a next job. may: see `next`."""
        return bool(self._whole.inner if may is None else self._open(may))

    def next(self, may: TurnRights | None = None) -> J | None:
        """The job whose turn it is, or None. Call `took` before the next call. may: who may have one; None: all."""
        among = None if may is None else self._open(may)
        if not (self._whole.inner if among is None else among):
            return None
        kind = _first(self._whole, among)
        group = _first(kind, among and among[kind])
        peer = _first(group, among and among[kind][group])
        lane = among[kind][group][peer] if among else peer.lane()
        assert lane is not None
        self._last, self._lane = (kind, group, peer), lane
        job = peer.take(lane)
        self.first -= job.lane is Lane.FIRST
        self.count -= 1
        self.size -= job.size
        self.writing -= job.writes
        return job

    def took(self, job: J, seconds: float, now: float) -> None:
        """What the job that `next` gave took. Its peer's next jobs wait accordingly."""
        assert self._last is not None
        kind, group, peer = self._last
        for share in self._last:
            share.credit = max(share.credit - seconds, -share.deepest)
        peer.used[self._lane] += seconds
        if any(peer.lanes):
            return
        del self._paths[job.whose]
        self._end(group, peer, (group.name, peer.name), now)
        if not group.inner:
            del self._groups[kind.name, group.name]
            self._end(kind, group, (kind.name, group.name), now)
            if not kind.inner:
                self._whole.inner.remove(kind)

    # -- inside

    def _open(self, may: TurnRights) -> dict[_Share[J], dict[_Share[J], dict[_Share[J], Lane]]]:
        """By class and group, the peers that may have a turn, each with its lane. Asked once, because other threads
        change the answer."""
        found: dict[_Share[J], dict[_Share[J], dict[_Share[J], Lane]]] = {}
        for kind in self._whole.inner:
            for group in kind.inner:
                all_may = may.group(group.name)
                if all_may or kind is self._classes[0]:
                    lanes = ((peer, peer.lane(None if all_may else may.peer)) for peer in group.inner)
                    peers = {peer: lane for peer, lane in lanes if lane is not None}
                    if peers:
                        found.setdefault(kind, {})[group] = peers
        return found

    def _begin(self, whose: JobOwner, now: float) -> _Path[J]:
        kind = self._classes[0 if not whose.peer or self._relied_on(whose.peer) else 1]
        group = self._groups.get((kind.name, whose.group))
        if group is None:
            group = self._groups[kind.name, whose.group] = _Share(
                whose.group, ROUND_S, DEEPEST["group"], self._credit((kind.name, whose.group), now)
            )
            if not kind.inner:
                self._whole.inner.append(kind)
            kind.inner.append(group)
        peer: _Share[J] = _Share(whose.peer, ROUND_S, DEEPEST["peer"], self._credit((whose.group, whose.peer), now))
        group.inner.append(peer)
        path = self._paths[whose] = kind, group, peer
        return path

    def _end(self, above: _Share[J], share: _Share[J], name: tuple[str, str], now: float) -> None:
        above.inner.remove(share)
        if share.credit < 0:
            self._debts[name] = -share.credit, now

    def _credit(self, name: tuple[str, str], now: float) -> float:
        """What it begins with: 0, or less if it still owes."""
        debt, at = self._debts.pop(name, (0.0, now))
        return min(0.0, (now - at) * PAID_PER_S - debt)


def _first(share: _Share[J], among: Container[_Share[J]] | None) -> _Share[J]:
    """The one in it whose turn it is, of those that may have one; None: all."""
    while True:
        first = share.inner[0]
        if among is None or first in among:
            if first.credit > 0:
                return first
            first.credit += first.quantum
        share.inner.rotate(-1)
