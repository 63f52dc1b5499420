"""One simulated machine: a real `Replica` over a store in memory, on a disk that takes time and can lose power.

A `Commit` takes virtual fsync time. Meanwhile the replica's thread does nothing else: what arrives waits and then
shares the next commit, as in a real node. A crash loses what is pending, every link, and all that the replica kept
beside its store; the machine restarts from what was durable.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from banyan_crdt.ids import AccountId
from banyan_crdt.realm import TEST
from banyan_node.hosting.reach import Reach
from banyan_reading.queries import Queries
from banyan_replica.host import ReplicaHost
from banyan_replica.outbox import Commit, Connect, Disconnect, Event, Send
from banyan_replica.peers.backlog import Backlog
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.replica import PeerIdentity, Replica
from banyan_storage import tables
from banyan_storage.account_references import naming
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.views import VIEW_TABLES, SocialViews

# Machines that hold chosen accounts, as a hobbyist's node does: those of its people, some that they named, and those
# within two follows of these.
#
# Which accounts that are finds the node's own `Reach`, at the start and at each look. Such a machine is judged by these
# accounts alone, and by those whose entries name its people: of them it must hold what a machine that holds everything
# holds.

LOOK_S = 5.0
"""So often it looks whom the accounts follow, as a node does."""
HOPS, MOST = 2, 65_536
"""`interest.hops` and `interest.max_accounts` of a node without settings."""


def drawn(seed: int, machines: int) -> int:
    """How many of so many machines hold chosen accounts: half if the seed is odd, none if it is even."""
    return machines // 2 if seed % 2 else 0


class SimChoice:
    """The choice of one machine. own: the accounts of its people that are open. named: others that they chose."""

    def __init__(self, own: Callable[[], Sequence[AccountId]], named: Callable[[], Sequence[AccountId]]) -> None:
        self.own, self._named = own, named
        self._told: tuple[AccountId, ...] | None = None

    def begin(self, r: Replica, now: float) -> None:
        """The machine starts, and knows of its choice what its store has."""
        self._reach, self._told = Reach(HOPS, MOST), None
        self.look(r, now)

    def look(self, r: Replica, now: float) -> None:
        """Tells the replica which accounts it holds, if they are others than before."""
        found = self._found(self._reach, r)
        if found is not self._told:
            near = self._reach.near
            r.set_interest(found[:near], now, found[near:])
            self._told = found

    def roots(self) -> list[AccountId]:
        """The accounts that are chosen whomever anybody follows."""
        return sorted({*self.own(), *self._named()})

    def _found(self, reach: Reach, r: Replica) -> tuple[AccountId, ...]:
        return reach.update(self.roots(), list(reach.known), queries(r).follows)

    def wanting(self, r: Replica, whole: Replica) -> Iterator[str]:
        """What the replica of this machine should hold and does not. whole: one that holds everything."""
        held = {*(r.room.interest or ())}
        due = {*self._found(Reach(HOPS, MOST), whole)}
        due.update(one.author for one in naming(whole.store.txn, self.own(), b""))
        for account in sorted(due | held):
            name = account.hex()[:8]
            if account not in held:
                yield f"does not hold the account {name}"
            elif r.store.heads(account) != (heads := whole.store.heads(account)):
                yield f"holds another state of the account {name}: {r.store.heads(account)} and {heads}"
            elif queries(r).views_digest(account) != queries(whole).views_digest(account):
                yield f"shows something else of the account {name}"


def queries(r: Replica) -> Queries:
    return Queries(r.store.txn, r.store, lambda: 0)


TABLES = (*tables.STORE_TABLES, *VIEW_TABLES)
EPOCH = TEST.birth_ms / 1000 + 30 * 86_400
"""Wall-clock time at virtual time 0, seconds since 1970."""

Job: TypeAlias = Callable[[Replica, float], object]


class Outside(Protocol):
    """What a machine sees of the world."""

    now: float
    seed: int

    def at(self, when: float, do: Callable[..., None], *args: object) -> None: ...

    def dial(self, src: str, dst: str) -> None: ...

    def send(self, src: str, dst: str, data: bytes) -> None: ...

    def close(self, src: str, dst: str) -> None: ...


class Adversary(Protocol):
    """How a Byzantine machine changes the frames that its honest software sends and receives."""

    def outgoing(self, peer: str, data: bytes) -> Iterable[bytes]: ...

    def heard(self, peer: str, data: bytes) -> bool: ...


class Machine(ReplicaHost):
    """`skew`: how far its wall clock is ahead, seconds. `slow_disk`: multiplies fsync time."""

    def __init__(self, name: str, index: int, world: Outside, limits: Limits) -> None:
        self.name, self.world, self.limits = name, world, limits
        self.addr = f"/ip4/{11 + index // 250}.{index % 250}.0.1/tcp/4001/p2p/{name}"
        self.group = f"{11 + index // 250}.{index % 250}"
        self.rng = random.Random(f"{world.seed}/{name}/machine")
        self.engine = MemoryEngine(TABLES)
        self.skew, self.slow_disk = 0.0, 1.0
        self.adversary: Adversary | None = None
        self.chosen: SimChoice | None = None
        """Which accounts it holds; None: all."""
        self.contacts: list[tuple[str, str]] = []
        self.life = 0
        self.up = False
        self.seen: Counter[str] = Counter()
        self.rejected: list[tuple[str, str]] = []
        """The peers that this machine charged with a lie, and why."""
        self.slighted: list[tuple[str, str]] = []
        """The peers that it charged with serving badly, and why."""
        self.backlogs: dict[str, Backlog] = {}
        """The frames that wait for the replica while the disk is busy, by linked peer."""
        self._busy = False
        self._inbox: deque[Job] = deque()
        self._wake = float("inf")
        self.replica: Replica

    # -- life and death

    def boot(self) -> None:
        """Start from what is durable."""
        self.life += 1
        self.up, self._busy, self._wake = True, False, float("inf")
        self._inbox.clear()
        rng = random.Random(f"{self.world.seed}/{self.name}/{self.life}")
        store = Store(self.engine, TEST, new_store_id=rng.randbytes(16), views=SocialViews())
        self.replica = Replica(
            store,
            TEST,
            PeerIdentity(self.name, (self.addr,)),
            rng,
            rng.randbytes,
            self.limits,
            named=OperatorTrust(contact for contact, _ in self.contacts),
            around=self,
        )
        if self.chosen is not None:
            self.feed(self.chosen.begin)
            self.world.at(self.world.now + LOOK_S, self._look, self.life)
        for contact, addr in self.contacts:
            self.feed(partial(_join, contact, addr))

    def crash(self) -> None:
        """The power fails: after it only what was committed is there."""
        self._count()
        self.up = False
        self.life += 1
        self.engine = self.engine.crash()

    def _look(self, life: int) -> None:
        if self.chosen is not None and life == self.life:
            self.feed(self.chosen.look)
            self.world.at(self.world.now + LOOK_S, self._look, life)

    def local(self) -> float:
        """The time that the replica is given: it is steady, even if the wall clock jumps."""
        return EPOCH + self.world.now

    def wall_ms(self) -> int:
        return int((self.local() + self.skew) * 1000)

    def hosted(self) -> Iterable[AccountId]:
        return () if self.chosen is None else self.chosen.own()

    # -- work

    def feed(self, job: Job) -> None:
        """Lets the replica's thread do something: now, or when the disk is free."""
        if not self.up:
            return
        if self._busy:
            self._inbox.append(job)
        else:
            self._do(job)
            self._settle()

    def receive(self, peer: str, data: bytes) -> None:
        if self.adversary is not None and not self.adversary.heard(peer, data):
            return
        backlog = self.backlogs[peer]
        why = backlog.put(data)
        if why is None:
            self.feed(lambda r, now: _receive(r, peer, data, backlog, now))
        else:
            self.feed(lambda r, now: r.peers.overran(peer, why, now))

    def _do(self, job: Job) -> None:
        self.replica.set_clock(self.skew)
        job(self.replica, self.local())

    def _settle(self) -> None:
        """Carries out effects until there are none, or until it must wait for the disk."""
        while (effect := self.replica.next_effect()) is not None:
            if isinstance(effect, Send):
                self._send(effect.peer, effect.data)
            elif isinstance(effect, Commit):
                self._busy = True
                fsync = self.slow_disk * self.rng.uniform(0.002, 0.008)
                self.world.at(self.world.now + fsync, self._durable, self.life)
                return
            elif isinstance(effect, Connect):
                self.world.dial(self.name, effect.peer)
            elif isinstance(effect, Disconnect):
                self.world.close(self.name, effect.peer)
            elif isinstance(effect, Event):
                self._told(effect)
        self._set_timer()

    def _told(self, event: Event) -> None:
        self.seen[event.name] += 1
        if event.name == "rejected":
            self.rejected.append((event.fields["peer"], event.fields["reason"]))
        elif event.name == "slighted":
            self.slighted.append((event.fields["peer"], event.fields["reason"]))

    def _send(self, peer: str, data: bytes) -> None:
        if self.adversary is None:
            self.world.send(self.name, peer, data)
            return
        for frame in self.adversary.outgoing(peer, data):
            self.world.send(self.name, peer, frame)

    def _durable(self, life: int) -> None:
        if life != self.life:
            return
        self.replica.store.commit()
        self._busy = False
        self._settle()
        self._next()

    def _next(self) -> None:
        """Does what waited for the disk."""
        if not self._busy and self._inbox:
            jobs, self._inbox = self._inbox, deque()
            for job in jobs:
                self._do(job)
            self._settle()

    def _set_timer(self) -> None:
        timer = self.replica.get_timer()
        when = float("inf") if timer is None else max(self.world.now, timer - EPOCH)
        if when < self._wake:
            self._wake = when
            self.world.at(when, self._timer, self.life, when)

    def _timer(self, life: int, when: float) -> None:
        if life != self.life or when != self._wake:
            return
        self._wake = float("inf")
        due = self.replica.get_timer()
        if due is not None and due <= self.local() + 1e-6:
            self.feed(lambda r, now: r.handle_timer(now))
        elif not self._busy:
            self._set_timer()

    # -- figures

    def _count(self) -> None:
        stats = self.replica.gossip.stats()
        for name in ("accepted", "duplicates", "learned", "published"):
            self.seen["gossip " + name] += stats[name]

    def figures(self) -> Counter[str]:
        """Over all lives; call once, at the end."""
        if self.up:
            self._count()
        return self.seen


def _join(contact: str, addr: str, r: Replica, now: float) -> None:
    r.gossip.join(contact, (addr,), now)


def _receive(r: Replica, peer: str, frame: bytes, backlog: Backlog, now: float) -> None:
    backlog.took(frame)
    r.receive(peer, frame, now)


class Resident(Protocol):
    """Somebody with an account, once it is open, on some machines."""

    @property
    def account(self) -> AccountId | None: ...

    @property
    def homes(self) -> Sequence[Machine]: ...


def choose(machines: Sequence[Machine], count: int, people: Sequence[Resident], rng: random.Random) -> None:
    """So many of the machines hold chosen accounts, but never the first, with which they are compared."""
    for machine in rng.sample(machines[1:], min(count, len(machines) - 1)):
        own = [p for p in people if machine in p.homes]
        named = rng.sample(people, rng.randint(1, (len(people) + 1) // 2)) if people else []
        machine.chosen = SimChoice(partial(_open, own), partial(_open, named))


def _open(people: Sequence[Resident]) -> list[AccountId]:
    return [p.account for p in people if p.account is not None]
