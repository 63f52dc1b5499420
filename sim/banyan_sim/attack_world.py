"""A network under attack in virtual time: honest machines whose people post, and attackers of several kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from banyan_crdt.ids import AccountId, LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_node.admission.fair_queue import FairQueue, JobOwner
from banyan_node.workers.publisher import published
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.outbox import Event
from banyan_replica.peers.backlog import Backlog, Lane
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.wire import messages as wire
from banyan_replica.wire.message_table import opens_as
from banyan_replica.wire.messages import Message
from banyan_schema import social
from banyan_sim.attack import named
from banyan_sim.hostile import AttackIdentity, Crowd
from banyan_sim.machine import EPOCH, Job, Machine, Outside, choose
from banyan_sim.world import CONTACTS, World

# A machine whose processor takes time, and shares it out as a node does: calls and timers first, then peers in turns.
#
# Virtual time has no processor, so each frame takes what frames of its kind and length took a real node (bench/attack).

US, NS = 1e-6, 1e-9
WORK: Sequence[tuple[tuple[type[Message], ...], float, float]] = (
    ((wire.GossipFrame,), 50 * US, 400 * NS),
    ((wire.DataItems,), 100 * US, 400 * NS),
    ((wire.Sketch, wire.SketchCells), 200 * US, 20 * NS),
    ((wire.Scan, wire.Replay), 1_000 * US, 0.0),
    ((wire.SketchNames, wire.Heads), 100 * US, 20 * NS),
    ((wire.Wants, wire.WantParts), 100 * US, 500 * NS),
    ((wire.Root,), 50 * US, 0.0),
)
"""Seconds of a core for each frame of these kinds, and for each of its bytes: as measured at machines of a world, or
at the victims of bench/attack where that is more (`graft_storm`, `dear_names`, `want_parts`)."""
OTHER = 20 * US, 40 * NS
"""Any other frame: a statement of a platform, or what is read and ignored (`not_yet`, `unasked_parts`)."""
SHARE_S = 0.005
"""How long frames share a commit, seconds of the processor."""


def work_s(frame: bytes) -> float:
    """What a core needs for a frame, seconds."""
    each, byte = next(((each, byte) for kinds, each, byte in WORK if opens_as(frame, *kinds)), OTHER)
    return each + byte * len(frame)


class Waits(NamedTuple):
    """What waits for its turn: a frame, or that a link came up or went. takes: seconds of a core."""

    whose: JobOwner
    do: Job
    takes: float = 0.0
    size: int = 0
    lane: Lane = Lane.REST
    writes: bool = False


class Busy(Machine):
    """slow: so many times slower than the core of the benches it is. worked: seconds of that core for what each
    peer sent. on_event: called with its events."""

    slow = 1.0

    def __init__(self, name: str, index: int, world: Outside, limits: Limits) -> None:
        super().__init__(name, index, world, limits)
        self.worked: dict[str, float] = {}
        self.most_waiting = 0
        """Bytes of frames that waited at once."""
        self.on_event: Callable[[Event], None] = lambda event: None
        self._turns: FairQueue[Waits]
        self._whose: dict[str, JobOwner] = {}

    def boot(self) -> None:
        self._turns = FairQueue({contact for contact, _ in self.contacts}.__contains__)
        super().boot()

    def unread(self, peer: str) -> int:
        return self.backlogs[peer].waiting if peer in self.backlogs else 0

    def met(self, peer: str, group: str, job: Job) -> None:
        """A link came up."""
        self._whose[peer] = JobOwner(peer, group)
        self.backlogs[peer] = Backlog()
        self._put(Waits(self._whose[peer], job))

    def parted(self, peer: str, job: Job) -> None:
        self._put(Waits(self._whose[peer], job, lane=Lane.LAST))

    def receive(self, peer: str, data: bytes) -> None:
        backlog, whose = self.backlogs[peer], self._whose[peer]
        why = backlog.put(data)
        if why is not None:
            self._put(Waits(whose, lambda r, now: r.peers.overran(peer, why, now)))
        else:
            job = partial(_receive, peer, data, backlog)
            self._put(Waits(whose, job, work_s(data), len(data), backlog.lane(data)))

    def _put(self, job: Waits) -> None:
        self._turns.put(job, self._core_s())
        self.most_waiting = max(self.most_waiting, self._turns.size)
        self._next()

    def _core_s(self) -> float:
        """The time as its processor counts it."""
        return self.world.now / self.slow

    def _next(self) -> None:
        super()._next()
        if self._busy or not self.up or not self._turns.count:
            return
        spent, now = 0.0, self._core_s()
        while spent < SHARE_S and (job := self._turns.next()) is not None:
            self._do(job.do)
            self._turns.took(job, job.takes, now)
            self.worked[job.whose.peer] = self.worked.get(job.whose.peer, 0.0) + job.takes
            spent += job.takes
        self._busy = True
        self.world.at(self.world.now + spent * self.slow, self._worked, self.life)

    def _worked(self, life: int) -> None:
        if life == self.life:
            self._busy = False
            self._settle()
            self._next()

    def _told(self, event: Event) -> None:
        super()._told(event)
        self.on_event(event)


def _receive(peer: str, frame: bytes, backlog: Backlog, r: Replica, now: float) -> None:
    backlog.took(frame)
    r.receive(peer, frame, now)


BOOT_S, OPEN_S, ATTACK_S, WRITE_S, WRITE_END_S = 3.0, 5.0, 6.0, 8.0, 25.0
"""When all machines run, accounts are opened, the attack begins, and people begin and end to post."""
OLD_S = 20.0
"""A machine that has not heard of a post for so long must not say that it is complete: it has told and heard roots
(`Limits.root_s`) three times by then."""
LOOK_S = 2.0
"""How often that is looked at."""


@dataclass(slots=True)
class Writer:
    """An honest person with one machine."""

    home: Busy
    root: Signer
    device: Signer
    salt: bytes
    log: LogId | None = None
    posts: list[float] = field(default_factory=list)
    """When each was asked for."""

    @property
    def account(self) -> AccountId | None:
        return None if self.log is None else self.log.account

    @property
    def homes(self) -> list[Busy]:
        return [self.home]


class AttackWorld(World):
    """A world of honest machines and attackers. chosen: how many honest machines hold chosen accounts."""

    machine = Busy

    def __init__(
        self, honest: int, hostile: int, seed: int, kinds: Sequence[str], writers: int, limits: Limits, chosen: int = 0
    ) -> None:
        super().__init__(honest, seed, limits=limits)
        self.honestly = cast(list[Busy], self.honest)
        self.hostile: dict[str, AttackIdentity] = {}
        rng = random.Random(f"{seed}/hostile")
        self.kinds, self.crowds = kinds, list[Crowd]()
        nets = [f"{11 + i // 250}.{i % 250}" for i in range(honest, honest + hostile)]
        for n, kind in enumerate(kinds[:hostile]):  # each has a seat
            seats, victims = nets[n :: len(kinds)], list(self.nodes)
            rng.shuffle(victims)
            own = random.Random(f"{seed}/{kind}")
            self.crowds.append(Crowd(self, named(kind), seats, victims, own, self._admit, self._wall_ms))
        self.writers = [
            self._writer(i, home) for i, home in enumerate(self.rng.sample(self.honestly, min(writers, honest)))
        ]
        choose(self.honest, chosen, self.writers, random.Random(f"{seed}/chosen"))
        self.delays: list[float] = []
        self.lies: list[str] = []
        self.reached: dict[str, dict[LogId, int]] = {name: {} for name in self.nodes}
        """How many entries of each honest log each machine holds."""
        self.logs: dict[LogId, Writer] = {}
        for node in self.honestly:
            node.on_event = partial(self._entries, node.name)

    # -- who is there

    def _admit(self, identity: AttackIdentity) -> None:
        self.hostile[identity.name] = self.network.machines[identity.name] = identity

    def _wall_ms(self) -> int:
        return int((EPOCH + self.now) * 1000)

    def _peer_up(self, at: str, peer: str, outbound: bool) -> None:
        if at in self.hostile:
            self.hostile[at].peer_up(peer)
            return
        other = self.network.machines[peer]
        self._busy(at).met(
            peer,
            other.group,
            lambda r, now: r.peer_up(
                peer,
                group=other.group,
                outbound=outbound,
                addrs=(other.addr,) if outbound else (),
                now=now,
                address=other.addr,
            ),
        )

    def _peer_down(self, at: str, peer: str) -> None:
        if at in self.hostile:
            self.hostile[at].peer_down(peer)
        else:
            self._busy(at).parted(peer, lambda r, now: r.peer_down(peer, now))

    def _dial_failed(self, at: str, peer: str) -> None:
        if at in self.hostile:
            self.hostile[at].dial_failed(peer)
        else:
            super()._dial_failed(at, peer)

    def _busy(self, name: str) -> Busy:
        return cast(Busy, self.nodes[name])

    # -- what happens

    def contacts(self, earlier: Sequence[str]) -> list[str]:
        """Any that started before, because one that all know would be too slow a machine for so many."""
        return self.rng.sample(earlier, min(CONTACTS, len(earlier)))

    def plan_all(self, posts: int) -> None:
        self.boot(BOOT_S)
        for writer in self.writers:
            self.at(OPEN_S, writer.home.feed, partial(self._open, writer))
        for crowd in self.crowds:
            self.at(ATTACK_S, self._begin_attack, crowd)
        for when in sorted(self.rng.uniform(WRITE_S, WRITE_END_S) for _ in range(posts)):
            writer = self.writers[self.rng.randrange(len(self.writers))]
            self.at(when, self._ask, writer)
        self.at(WRITE_S, self._look)

    def _begin_attack(self, crowd: Crowd) -> None:
        logs = list(self.logs)
        followed = tuple(log.account for log in logs)
        crowd.victim = crowd.victim._replace(account=followed[0], followed=followed)
        crowd.begin()

    def _writer(self, i: int, home: Busy) -> Writer:
        keys = random.Random(f"{self.seed}/writer {i}")
        root, device = (Signer(TEST, keys.randbytes(32)) for _ in range(2))
        return Writer(home, root, device, keys.randbytes(16))

    def _open(self, writer: Writer, r: Replica, now: float) -> None:
        slots = [(writer.root, key_digest(Signer(TEST, writer.salt * 2).key))]
        account, _ = r.author.open_account(slots, writer.salt, [grant_to(writer.device.key, 4)], writer.home.wall_ms())
        r.writes.publish_control(account, now)
        writer.log = LogId(account, writer.device.key, 1)
        self.logs[writer.log] = writer

    def _ask(self, writer: Writer) -> None:
        writer.home.feed(partial(self._post, writer, self.now))

    def _post(self, writer: Writer, asked: float, r: Replica, now: float) -> None:
        assert writer.log is not None
        writer.posts.append(asked)
        key = social.post_key(writer.salt, random.Random(f"{self.seed}/{asked}").randbytes(16))
        draft = social.write_post(key, social.Post(f"post {len(writer.posts)} of {writer.home.name}, of usual length"))
        r.writes.publish(writer.log, writer.device, [EntryDraft((draft.op,), (draft.content,))], now)

    def _entries(self, name: str, event: Event) -> None:
        if event.name != "entries" or (writer := self.logs.get(event.fields["log"])) is None:
            return
        log, length, held = event.fields["log"], event.fields["length"], self.reached[name]
        self.delays += [self.now - at for at in writer.posts[held.get(log, 0) : length]]
        held[log] = max(held.get(log, 0), length)

    def lacks(self, name: str, before: float) -> int:
        """How many posts that were asked for before this time a machine should hold and does not."""
        held, logs = self.reached[name], self.due(self.nodes[name])
        return sum(max(0, sum(at <= before for at in w.posts) - held.get(log, 0)) for log, w in logs.items())

    def due(self, node: Machine) -> dict[LogId, Writer]:
        """The honest logs that a machine should hold."""
        if node.chosen is None:
            return self.logs
        roots = node.chosen.roots()
        return {log: writer for log, writer in self.logs.items() if log.account in roots}

    def _look(self) -> None:
        for node in self.honestly:
            if self.lacks(node.name, self.now - OLD_S) and says_complete(node):
                self.lies.append(f"{node.name} at {self.now:.0f} s")
        self.at(self.now + LOOK_S, self._look)

    # -- the end

    def everywhere(self) -> bool:
        return all(not self.lacks(name, self.now) for name in self.nodes)


def says_complete(node: Busy) -> bool:
    """Whether a node with this replica tells its people that nothing is missing."""
    seen = published(cast(Any, SimpleNamespace(replica=node.replica)), node.local())
    store, claims = node.replica.store, seen.claims()
    behind = any(store.head(log).length < length for log, length in claims.items())
    asked = seen.reading or any(link.asked for link in seen.links if link.greeted)
    doubted = seen.wrong_clock is not None or seen.full or not (seen.compared and seen.grounds)
    return not (doubted or behind or asked or store.counts().lacking)
