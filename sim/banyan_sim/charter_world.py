"""An alliance in a simulated network: members vote at their machines, some of them against every rule.

Each member has a machine, and there are machines of nobody beside them. Members vote as `banyan_charter.ballots` says;
those of a coalition sign everything in every ballot, and show each of two halves of the network other acts. What must
hold is in `AllianceRun`. Meanwhile the network is in two halves for a while, and has the faults of other worlds.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations

from banyan_charter.acts import (
    Act,
    CharterId,
    Content,
    ContentId,
    Expel,
    Founding,
    Proposal,
    Remark,
    encode_act,
    founding_body,
    id_of,
)
from banyan_charter.ballots import Promise, commit, favourite, vote
from banyan_charter.keytree import KeyTree
from banyan_charter.ledger import ActLedger
from banyan_charter.rules import Epoch
from banyan_charter.seat_signer import SeatSigner
from banyan_charter.values import Kind, Parameters, Seat
from banyan_crdt.errors import Refused
from banyan_crdt.ids import AccountId, H
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_sim.machine import Machine, drawn
from banyan_sim.runner import BOOT_S, FAULTS_AT, no_collection
from banyan_sim.world import KINDS, Fault, World, draw

NUMBERS = 32
"""Keys of a seat."""
LOOK_S = 2.0
"""So often a member looks whether there is something to sign."""
PROPOSE = 0.05
"""How probable it is that a member proposes something when it looks and nothing is proposed."""
WAYS = ("honest", "coalition", "expelled")
"""coalition: these cheat from the start. expelled: the others expel these, which sign nothing before, keep copies
of their old keys, and cheat from then on."""
APART_S = 25.0


class MemberNode:
    """A seat, and what is kept of it on paper: power cuts of its machine take nothing of it. old: copies of its keys
    that it should have destroyed."""

    def __init__(self, number: int, machine: Machine, seed: int, likes: Callable[[Content], bool]) -> None:
        self.machine, self.likes, self.cheats = machine, likes, False
        self.account = AccountId(H("sim/member", b"%d" % number))
        self.domain = b"m%d.example" % number
        grown = H("sim/seat", b"%d %d" % (seed, number))
        self.keys, self.old = KeyTree.grown(TEST, grown, NUMBERS), KeyTree.grown(TEST, grown, NUMBERS)
        self.spare = Signer(TEST, H("sim/spare", grown)).key
        self.promise = Promise(1)
        self.given: list[Act] = []
        """What it signed of the open number."""

    @property
    def seat(self) -> Seat:
        return Seat(self.account, self.domain, Kind.HOST, True, self.keys.root, 0, self.spare)

    def signs(self, charter: CharterId, old: bool = False) -> SeatSigner:
        return SeatSigner(TEST, charter, self.account, self.old if old else self.keys)

    def looks(self, rng: random.Random, goal: Sequence[Proposal], r: Replica, now: float) -> None:
        """An honest member votes and commits by what its machine holds. It proposes the goal, or at times a note."""
        held = r.charter.ledger
        if held is None or not held.epochs or self.account not in held.epochs[-1].seats:
            return
        number = len(held.epochs)
        if number > self.promise.number:
            self.keys.destroy_below(number)
            self.promise, self.given = Promise(number), []
        signer = self.signs(held.charter)
        found = self._choice(held) if number in held.counts else None
        if found is None and (goal or rng.random() < PROPOSE) and not any(isinstance(a, Content) for a in self.given):
            try:
                self.given.append(signer.content(held.epochs[-1], goal or [Remark(self.domain)])[0])
            except Refused:
                pass  # somebody expelled them already
        elif found is not None:
            self._votes(held, signer, found)
        for act in self.given:
            r.charter.offer(encode_act(act))

    def _choice(self, held: ActLedger) -> ContentId | None:
        """What this owner votes for: as the convention says, if nobody is expelled by it who cheated nobody."""
        good = [c.id for c in held.contents(self.promise.number) if c.id in held.counts[c.number].who and self.likes(c)]
        liked = favourite(held, self.promise)
        return liked if liked in good else min(good, default=None)

    def _votes(self, held: ActLedger, signer: SeatSigner, content: ContentId) -> None:
        if (made := commit(held, self.promise, signer)) is not None:
            self.given.append(made[0])
            self.promise = made[1]
            return
        try:
            act, self.promise = vote(held, self.promise, signer, content)
        except Refused:
            return
        self.given.append(act)


@dataclass(frozen=True, slots=True)
class AllianceRun:
    """forks: looks, of one a second, at which honest machines had two epochs of one number: none may be while less than
    a third cheats. agreed: in the end all honest machines have one digest of all numbers that stand, one chain, and the
    same struck. alone: epochs that stand and no honest member voted for: none may be while less than two thirds cheat.
    epochs: they go on after the first if less than a third cheats. seconds: virtual, from the end of faults and
    cheating to agreement."""

    way: str
    seed: int
    members: int
    cheats: int
    epochs: int
    agreed: bool
    forks: int
    alone: int
    struck: int
    seconds: float
    bytes: int

    @property
    def holds(self) -> bool:
        third = self.cheats * 3 >= self.members and self.way == "coalition"
        return self.agreed and not self.alone and (third or (not self.forks and self.epochs > 1))


class _Alliance:
    def __init__(self, world: World, members: int, cheats: int, seed: int, way: str) -> None:
        self.world, self.way, self.rng = world, way, random.Random(f"{seed}/alliance")
        homes = self.rng.sample(world.honest, members)
        made = sorted((MemberNode(k, m, seed, self._likes) for k, m in enumerate(homes)), key=lambda m: m.account)
        self.members, self.bad = made, self.rng.sample(made, cheats)
        seats = tuple(m.seat for m in made)
        body = founding_body(b"Simulated", seats, Parameters())
        self.founding = Founding(ContentId(id_of(TEST, body)), b"Simulated", seats, Parameters())
        self.charter = CharterId(self.founding.id)
        self.sides = dict(zip(world.nodes, self.rng.choices((0, 1), k=len(world.nodes)), strict=True))
        self.cheating, self.forks = True, 0
        self.goal: list[Proposal] = [Expel(m.account) for m in self.bad] if way == "expelled" else []
        for member in self.bad:
            member.cheats = way == "coalition"

    def _likes(self, content: Content) -> bool:
        """An owner reads what it votes for: it expels no honest member."""
        bad = {m.account for m in self.bad}
        return all(p.member in bad for p in content.proposals if isinstance(p, Expel))

    def begin(self, start: float) -> None:
        founded: list[Act | Founding] = [self.founding]
        founded += [m.signs(self.charter).commit(0, 1, self.founding.id) for m in self.members]
        for machine in self.world.nodes.values():
            self.world.at(start, machine.feed, partial(follow, [encode_act(a) for a in founded]))
        for member in self.members:
            self.world.at(start + LOOK_S * self.rng.random(), self._look, member)
        self.world.at(start + LOOK_S, self._compare)

    def _look(self, member: MemberNode) -> None:
        held = _ledger(member.machine)
        if self.goal and member in self.bad and held is not None and len(held.epochs) > 1:
            member.cheats = member.account not in held.epochs[-1].seats
        if member not in self.bad:
            goal = self.goal if held is not None and len(held.epochs) == 1 else []
            member.machine.feed(partial(member.looks, self.rng, goal))
        elif member.cheats and self.cheating:
            self._cheat(member)
        self.world.at(self.world.now + LOOK_S * self.rng.uniform(0.5, 1.5), self._look, member)

    def _cheat(self, member: MemberNode) -> None:
        """Another content for each half, and a vote and a commit for what a machine of that half would vote for."""
        machine = self.rng.choice([m for m in self.world.honest if m.up] or [member.machine])
        held = _ledger(machine)
        if held is None or not held.epochs:
            return
        number = self.rng.randint(1, len(held.epochs)) if self.way == "expelled" else len(held.epochs)
        signer, acts = member.signs(self.charter, old=True), list[Act]()
        if signer.member in held.epochs[number - 1].seats and self.rng.random() < 0.3:
            acts.append(self._content(signer, held.epochs[number - 1], self.sides[machine.name]))
        liked = favourite(held, Promise(number)) if number == len(held.epochs) and number in held.counts else None
        ids = [a.id for a in (*held.contents(number), *acts) if isinstance(a, Content)]
        ballot = held.joint(number) + self.rng.randint(0, 1) or 1
        for content in {liked or self.rng.choice(ids)} if ids else ():
            acts += signer.vote(number, ballot, content), signer.commit(number, ballot, content)
        for act in acts:
            machine.feed(partial(offer, encode_act(act)))

    def _content(self, signer: SeatSigner, epoch: Epoch, side: int) -> Content:
        others = [m.account for m in self.members if m not in self.bad and m.account in epoch.seats]
        return signer.content(epoch, [Expel(others[side % len(others)]) if others else Remark(b"%d" % side)])[0]

    def _compare(self) -> None:
        """Notes whether any two honest machines have two epochs of one number now."""
        chains = {tuple(e.id for e in held.epochs) for m in self.world.honest if (held := _ledger(m)) is not None}
        self.forks += any(a[: len(b)] != b[: len(a)] for a, b in combinations(sorted(chains), 2))
        self.world.at(self.world.now + 1.0, self._compare)

    def agreed(self) -> bool:
        found = set()
        for machine in self.world.honest:
            held = _ledger(machine)
            if held is None:
                return False
            done = tuple(held.digest_of(n) for n in range(len(held.epochs)))
            found.add((done, tuple(e.id for e in held.epochs), tuple(sorted(held.struck.items()))))
        return len(found) == 1

    def alone(self, held: ActLedger) -> int:
        """Epochs that no honest member voted for."""
        honest = {m.account for m in self.members if m not in self.bad}
        acts = [a for e in held.epochs[1:] for a in held.acts(e.number) if not isinstance(a, Content)]
        voted = {a.content for a in acts if a.member in honest}
        return sum(e.id not in voted for e in held.epochs[1:])


def _ledger(machine: Machine) -> ActLedger | None:
    return machine.replica.charter.ledger if machine.up else None


def follow(acts: Sequence[bytes], r: Replica, now: float) -> None:
    r.charter.follow(acts[0])
    for act in acts[1:]:
        r.charter.offer(act)


def offer(act: bytes, r: Replica, now: float) -> None:
    r.charter.offer(act)


def run_alliance(
    way: str, seed: int, members: int = 12, cheats: int = 0, nodes: int = 24, wait_s: float = 300.0
) -> AllianceRun:
    """One alliance under faults for a minute; then it has `wait_s` virtual seconds to agree. Half of the machines hold
    chosen accounts if the seed is odd."""
    rng = random.Random(f"{seed}/alliance plan")
    with no_collection():
        world = World(nodes, seed, people=4, chosen=drawn(seed, nodes), limits=Limits())
        made = _Alliance(world, members, cheats, seed, way)
        stop = FAULTS_AT + 60.0
        world.boot(BOOT_S)
        made.begin(BOOT_S + 1.0)
        half = tuple(name for name in world.nodes if made.sides[name])
        world.plan([Fault(stop - 2 * APART_S, "partition", APART_S, half, 2.0)])
        world.plan(draw(rng, list(world.nodes), FAULTS_AT, stop, KINDS))
        world.run(stop)
        world.heal()
        made.cheating = False
        agreed, before = False, stop + wait_s
        while world.now < before and not agreed:
            world.run(world.now + 1.0)
            agreed = all(m.up for m in world.honest) and made.agreed()
        held = _ledger(world.honest[0])
        assert held is not None
        struck = len({m for some in held.struck.values() for m in some})
        sent = sum(world.network.sent.values())
        took = world.now - stop
        return AllianceRun(
            way, seed, members, cheats, len(held.epochs), agreed, made.forks, made.alone(held), struck, took, sent
        )


def main() -> None:
    """The command: a line of JSON for each seed; exit status 1 if one does not hold."""
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--way", choices=WAYS, default="honest")
    args.add_argument("--members", type=int, default=12)
    args.add_argument("--cheats", type=int, default=0)
    args.add_argument("--nodes", type=int, default=24)
    args.add_argument("--seeds", type=int, default=1)
    given = args.parse_args()
    bad = 0
    for seed in range(1, given.seeds + 1):
        found = run_alliance(given.way, seed, given.members, given.cheats, given.nodes)
        bad += not found.holds
        print(json.dumps(asdict(found) | {"holds": found.holds}), flush=True)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
