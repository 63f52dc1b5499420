"""Whole networks under attack: hundreds of machines with the node's own code, a third of all identities hostile.

One seed draws who attacks and how: a few of the attacks of `attacks/`, each with its part of the attackers. Honest
post meanwhile. At the end, while the attack goes on, every honest post must be at every honest machine within
BOUND_S, all honest machines must hold the same of honest accounts, none may have charged another, and none may have
said that it is complete while it lacked a post of honest people for more than OLD_S.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from banyan_crdt.ids import LogId, key_digest
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_node.workers.published import published
from banyan_replica.effects import Event
from banyan_replica.intake.author import EntryDraft, grant_to
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_schema import social

from .attack import named, only
from .busy import Busy
from .hostile import Crowd, Identity
from .machine import EPOCH
from .memo import remembered_signatures
from .run import no_collection
from .world import CONTACTS, World

BOOT_S, OPEN_S, ATTACK_S, WRITE_S, WRITE_END_S = 3.0, 5.0, 8.0, 10.0, 25.0
"""When all machines run, accounts are opened, the attack begins, and people begin and end to post."""
BOUND_S = 150.0
"""Every post is to be everywhere so long after it was made. Whoever has only hostile links dials a contact again after
120 s (`GossipSettings.trust_s`), and roots are compared within seconds."""
OLD_S = 20.0
"""A machine that has not heard of a post for so long must not say that it is complete: it has told and heard roots
(`Limits.root_s`) three times by then."""
LOOK_S = 2.0
"""How often that is looked at."""
KINDS = 4
"""Different attacks in one world."""
SLOW = 20.0
"""A machine is so many times slower than the core of the benches, so that the few frames that a world can afford load
it as many load a node."""


class Post(NamedTuple):
    """at: when its author asked for it. acknowledged: when it was durable there."""

    log: LogId
    seq: int
    at: float


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


class Network(World):
    """A world of honest machines and attackers."""

    machine = Busy

    def __init__(
        self, honest: int, hostile: int, seed: int, kinds: Sequence[str], writers: int, limits: Limits
    ) -> None:
        super().__init__(honest, seed, limits=limits)
        self.honestly = cast(list[Busy], self.honest)
        self.hostile: dict[str, Identity] = {}
        rng = random.Random(f"{seed}/hostile")
        self.crowds: list[Crowd] = []
        nets = [f"{11 + i // 250}.{i % 250}" for i in range(honest, honest + hostile)]
        for n, kind in enumerate(kinds):
            seats, victims = nets[n :: len(kinds)], list(self.nodes)
            rng.shuffle(victims)
            own = random.Random(f"{seed}/{kind}")
            self.crowds.append(Crowd(self, named(kind), seats, victims, own, self._admit, self._wall_ms))
        self.writers = [self._writer(i, home) for i, home in enumerate(self.rng.sample(self.honestly, writers))]
        self.delays: list[float] = []
        self.lies: list[str] = []
        self.reached: dict[str, dict[LogId, int]] = {name: {} for name in self.nodes}
        """How many entries of each honest log each machine holds."""
        self.logs: dict[LogId, Writer] = {}
        for node in self.honestly:
            node.told = partial(self._entries, node.name)

    # -- who is there

    def _admit(self, identity: Identity) -> None:
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
        r.publish_control(account, now)
        writer.log = LogId(account, writer.device.key, 1)
        self.logs[writer.log] = writer

    def _ask(self, writer: Writer) -> None:
        writer.home.feed(partial(self._post, writer, self.now))

    def _post(self, writer: Writer, asked: float, r: Replica, now: float) -> None:
        assert writer.log is not None
        writer.posts.append(asked)
        key = social.post_key(writer.salt, random.Random(f"{self.seed}/{asked}").randbytes(16))
        draft = social.write_post(key, social.Post(f"post {len(writer.posts)} of {writer.home.name}, of usual length"))
        r.publish(writer.log, writer.device, [EntryDraft((draft.op,), (draft.content,))], now)

    def _entries(self, name: str, event: Event) -> None:
        if event.name != "entries" or (writer := self.logs.get(event.fields["log"])) is None:
            return
        log, length, held = event.fields["log"], event.fields["length"], self.reached[name]
        self.delays += [self.now - at for at in writer.posts[held.get(log, 0) : length]]
        held[log] = max(held.get(log, 0), length)

    def lacks(self, name: str, before: float) -> int:
        """How many posts that were asked for before this time a machine does not hold."""
        held = self.reached[name]
        return sum(max(0, sum(at <= before for at in w.posts) - held.get(log, 0)) for log, w in self.logs.items())

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


@dataclass(frozen=True, slots=True)
class Result:
    """failed: what must not be. undelivered: pairs of a post and a machine. p50_s, p99_s, most_s: from the question of
    the author to a machine that has it. alone: honest machines without an honest neighbour at the end. surrounded: the
    share of hostile ones among the neighbours of honest machines. strangers, peers: share of a core that frames of
    attackers, and of honest machines, take from one honest machine, in the mean and at most. waiting: bytes of frames
    that waited at one machine, at most. banned: identities. slights: of honest machines against attackers."""

    seed: int
    attacks: tuple[str, ...]
    failed: tuple[str, ...]
    honest: int
    hostile: int
    posts: int
    undelivered: int
    p50_s: float
    p99_s: float
    most_s: float
    seconds: float
    alone: int
    surrounded: float
    strangers: tuple[float, float]
    peers: tuple[float, float]
    waiting: int
    banned: int
    slights: int
    identities: int
    links: int
    frames: int
    sent: int
    stored: int
    trace: str


def run(
    seed: int,
    *,
    nodes: int = 300,
    hostile: float = 0.33,
    attacks: Sequence[str] = (),
    posts: int = 30,
    writers: int = 10,
    slow: float = SLOW,
    limits: Limits | None = None,
) -> Result:
    """One world. nodes: identities at once, of which this share is hostile. attacks: names; else the seed draws. slow:
    so many times slower than the core of the benches each machine is."""
    bad = round(nodes * hostile)
    kinds = list(attacks) or drawn(seed)
    with remembered_signatures(), no_collection():
        world = Network(nodes - bad, bad, seed, kinds, writers, limits or Limits())
        for node in world.honestly:
            node.slow = slow
        world.plan_all(posts)
        world.run(WRITE_END_S)
        while world.now < WRITE_END_S + BOUND_S and not (world.everywhere() and agree(world)):
            world.run(world.now + 1.0)
        return _result(world, kinds)


def drawn(seed: int) -> list[str]:
    """Which attacks a seed has. The first goes round, so that as many seeds as there are attacks have all; the others
    are drawn."""
    every = only(())
    first = every[seed % len(every)]
    rest = [name for name in every if name != first]
    return [first, *random.Random(f"{seed}/attacks").sample(rest, KINDS - 1)]


def agree(world: Network) -> bool:
    """Whether all honest machines hold the same of honest accounts, contents included."""
    return not _differing(world)


def _differing(world: Network) -> list[str]:
    first, out = world.honestly[0], []
    for log, writer in world.logs.items():
        head = first.replica.ingest.head(log)
        for node in world.honestly:
            if node.replica.ingest.head(log) != head:
                out.append(f"{node.name} holds another state of {writer.home.name}'s log than {first.name}")
            elif any(node.replica.store.part(e.id, 0) is None for e in node.replica.store.chain(log)):
                out.append(f"{node.name} lacks content of {writer.home.name}")
    return out


def _result(world: Network, kinds: Sequence[str]) -> Result:
    honest, names = world.honestly, world.nodes
    delays = sorted(world.delays)
    lost = sum(world.lacks(n.name, world.now) for n in honest)
    failed = [f"{lost} posts are missing somewhere after {BOUND_S:.0f} s"] * bool(lost)
    failed += [f"{node} said that it is complete" for node in world.lies[:5]]
    if not lost:
        failed += _differing(world)[:5]
    for node in honest:
        failed += [f"{node.name} charged {p}: {why}" for p, why in node.rejected + node.slighted if p in names]
        failed += [
            f"{node.name} holds {points:.1f} points against {p}"
            for p in names
            if (points := node.replica.ledger.points(p, node.local())) > 0
        ]
    near = [list(n.replica.gossip.neighbours()) for n in honest]
    lasts = world.now - ATTACK_S
    tallies = [crowd.tally for crowd in world.crowds]
    bans = {p for n in honest for p in n.replica.ledger.bans(n.local())}

    def share(of: Callable[[str], bool]) -> tuple[float, float]:
        each = [sum(s for peer, s in n.worked.items() if of(peer)) / lasts for n in honest]
        return round(sum(each) / len(each), 6), round(max(each), 6)

    return Result(
        seed=world.seed,
        attacks=tuple(kinds),
        failed=tuple(failed),
        honest=len(honest),
        hostile=sum(len(c.seats) for c in world.crowds),
        posts=sum(len(w.posts) for w in world.writers),
        undelivered=lost,
        p50_s=round(delays[len(delays) // 2], 2) if delays else 0.0,
        p99_s=round(delays[int(len(delays) * 0.99)], 2) if delays else 0.0,
        most_s=round(delays[-1], 2) if delays else 0.0,
        seconds=round(world.now, 1),
        alone=sum(not any(p in names for p in them) for them in near),
        surrounded=round(sum(p not in names for them in near for p in them) / max(1, sum(map(len, near))), 3),
        strangers=share(lambda peer: peer not in names),
        peers=share(lambda peer: peer in names),
        waiting=max(n.most_waiting for n in honest),
        banned=len(bans),
        slights=sum(len(n.slighted) for n in honest),
        identities=sum(t.identities for t in tallies),
        links=sum(t.links for t in tallies),
        frames=sum(t.frames for t in tallies),
        sent=sum(t.sent for t in tallies),
        stored=max(n.replica.store.counts().accounts for n in honest),
        trace=world.trace.hex(),
    )
