"""Mixtures of all reasons for which an honest node does not take what another one holds, made by an attacker.

He writes logs with keys of his own, or of others that he stole: tails past a limit, branches, runs whose signature is
beside what counts, pins to all of it and to nothing, cuts, grants that end, dates in the future, writers without a
grant, checkpoints. In sets named `bait` one log has a pinned chain of which parts are signed only beside it: the first
node gets that, and the room of the others is full of branches. Else each node gets parts of it all in some order,
before and while the nodes are linked. Nodes hold all, or chosen accounts, and some have little room for strangers.

`examine` then looks at a quiet hour: what still goes over each link, whether nodes differ, and why.

    python -m tests.replica.mixtures FIRST STOP     # seeds, two sets each; the exit status is 1 if any failed
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from banyan_crdt.checkpoint import ControlRef, encode_checkpoint, make_checkpoint
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.ids import AccountId, EntryId, LogId, is_checkpoint, is_control
from banyan_crdt.ops import Close, Cut, Drop, Grant, KeptTip, Op, Pin
from banyan_crdt.realm import Realm
from banyan_crdt.run import decode_run, encode_control
from banyan_replica.replica import Replica
from banyan_replica.wire.messages import CheckpointItem, ControlItem, Item, RunItem
from tests.crdt.make import run_bytes, signer, unsigned
from tests.model.world_net import Tuning, tuned
from tests.replica.forging import BIRTH_MS, DAY_MS, NARROW, NOW_S, Forger, proof
from tests.replica.helpers import World, data

ALLOWED = 1_000_000
"""Bytes that may go over a link in an hour beside what is news."""
MEDIUM = Realm("medium", BIRTH_MS, 60, 2, 1 << 16, 1 << 12)
BUSY_S, SETTLE_S, QUIET_S, EQUAL_S = 120, 240, 3_600, 180
"""How long the attacker goes on once nodes are linked, how long nothing new comes then, and how long is looked at: if
the nodes are equal less is enough. Seconds."""
GRANTS = 3
"""Control entries of an account before any pin: the inception and two grants more are its first ones."""
Piece = tuple[list[Entry], int, int]
"""Entries first .. stop-1 of a path, of which the last is signed."""


class Attacker(Forger):
    """One account of his, with as many branches as he likes."""

    def __init__(self, rng: random.Random, realm: Realm, number: int, run: int) -> None:
        super().__init__(realm, number)
        self.rng, self.run = rng, run
        self.paths: list[list[Entry]] = []
        self.checkpoints: list[Item] = []
        self.keys = {name: signer(name, realm).key for name in ("device", "notary", "brief", "nobody")}
        until = self.at + (rng.randrange(1, 20) * DAY_MS << 16)
        self.say(Grant(self.keys["notary"], 1, 9, 4, None, None, None))
        self.say(Grant(self.keys["brief"], 1, 9, 8, None, until, None))

    def act(self) -> None:
        r = self.rng.random()
        if r < 0.72 or not self.paths:
            self.grow()
        elif r < 0.94:
            self.command()
        else:
            self.witness()

    def grow(self) -> None:
        """Writes above some entry: a run, which often has no other signature than its last."""
        rng = self.rng
        below = rng.choice(self.paths) if self.paths and rng.random() < 0.75 else []
        if rng.random() < 0.5:
            below = below[: rng.randrange(len(below) + 1)]
        if below and rng.random() < 0.4:
            kept = rng.randrange(max(1, len(below) - self.run + 1), len(below) + 1)
            below = [*below[:kept], *map(unsigned, below[kept:])]
        by = self.writer_of(below[-1]) if below else rng.choice(["device"] * 5 + ["notary", "brief", "nobody"])
        log = below[-1].header.log if below else rng.choice([1, 1, 1, 2, 3])
        open_below = next((k for k, e in enumerate(reversed(below)) if e.sig is not None), len(below))
        most = self.run - open_below
        if most > 0:
            n, pad = rng.choice([1, min(2, most), most, rng.randrange(most) + 1]), rng.choice([0, 0, 0, 20, 200, 700])
            days, every = rng.choice([0] * 9 + [1, 3, 60]), rng.choice([0, 0, 1, 3])
            self.paths.append(self.write(n, below, rng.randrange(1 << 30), pad, every, log, by, days))

    def writer_of(self, entry: Entry) -> str:
        return next(name for name, key in self.keys.items() if key == entry.header.writer)

    def some(self) -> Entry:
        path = self.rng.choice(self.paths)
        return self.rng.choice(path) if self.rng.random() < 0.3 else path[-1]

    def pins(self) -> list[Pin]:
        rng = self.rng
        if not self.paths or rng.random() < 0.3:
            return [self.pin(rng.randrange(40), EntryId(rng.randbytes(32))) for _ in range(rng.choice([1, 6]))]
        e = self.some()
        return [Pin(e.header.writer, e.header.log, e.header.seq, e.id)]

    def command(self) -> None:
        """A control entry."""
        r, ops = self.rng.random(), list[Op]()
        if r < 0.8:
            ops += self.pins()
        elif r < 0.9:
            e = self.some()
            ops.append(Cut(e.header.writer, (KeptTip(e.header.log, e.header.seq, e.id),)))
        elif r < 0.94:
            ops.append(Drop(self.device, self.rng.choice([2, 3])))
        elif r < 0.95:
            ops.append(Close())
        else:
            ops.append(Grant(self.keys["nobody"], 1, 5, 9, None, None, None))
        self.say(*ops)

    def witness(self) -> None:
        """A checkpoint with pins."""
        by, n, end = self.rng.choice(["root", "notary", "device"]), self.rng.randrange(1, 30), self.control[-1]
        pins = {(p.writer, p.log): p for p in self.pins()}
        made = make_checkpoint(
            self.realm, self.id, signer(by, self.realm), n, ControlRef(end.header.seq, end.id), list(pins.values())
        )
        self.checkpoints.append(CheckpointItem(encode_checkpoint(made)))

    def bait(self) -> list[Item]:
        """A chain up to the limit, or shorter, whose sections are often signed only beside it, and which is pinned, at
        the latest at its end, among pins to nothing. Returns its pieces in order."""
        rng, chain, out = self.rng, list[Entry](), list[Item]()
        most = self.realm.entry_burst
        wanted = rng.choice([most, rng.randrange(3, most)])
        while (at := len(chain)) < wanted:
            n = rng.randrange(1, min(self.run, wanted - at) + 1)
            path = self.write(n, chain, rng.randrange(1 << 30))
            if n < self.run and rng.random() < 0.5:
                bare = [*chain, *map(unsigned, path[at:])]
                side = self.write(rng.randrange(1, self.run - n + 1), bare, rng.randrange(1 << 30))
                chain, path = bare, side
            else:
                chain = path
            out.append(self.item((path, at, len(path))))
            if rng.random() < 0.3:
                self.say(self.pin(len(chain) - 1, chain[-1].id))
                out.append(self.controls(len(self.control)))
        end = chain[-1] if rng.random() < 0.7 else rng.choice(chain)
        nothing = [self.pin(1_000 + k, EntryId(rng.randbytes(32))) for k in range(rng.choice([0, 1, 6]))]
        self.say(*nothing, self.pin(end.header.seq, end.id))
        if rng.random() < 0.2:
            self.say(Cut(self.device, (KeptTip(1, end.header.seq, end.id),)))
        return out

    def item(self, piece: Piece, headers: Sequence[bytes] = ()) -> RunItem:
        return RunItem(run_bytes(*piece), [], list(headers))

    def controls(self, stop: int) -> ControlItem:
        some = self.control[:stop]
        return ControlItem(self.id, [encode_control(e, encode_header(e.header)) for e in some], [None] * len(some))

    def pieces(self, path: Sequence[Entry]) -> list[Item]:
        """A path as runs, some with the proof that they are below its end."""
        out, first, ends = list[Item](), 0, [k + 1 for k, e in enumerate(path) if e.sig is not None]
        while fit := [k for k in ends if first < k <= first + self.run]:
            stop = self.rng.choice(fit[-2:])
            shown = proof(path, stop - 1) if self.rng.random() < 0.3 else []
            out.append(self.item((list(path), first, stop), [encode_header(e.header) for e in shown]))
            first = stop
        return out

    def junk(self, n: int) -> list[Item]:
        """Branches that fill the room beside a log."""
        firsts = [p for p in self.paths if self.writer_of(p[0]) == "device" and p[0].header.log == 1]
        below = self.rng.choice(firsts)[: self.rng.choice([0, 1, 3])] if firsts else []
        written = [self.write(1, below, (1 << 31) + k) for k in range(n)]
        return [self.item((path, len(below), len(path))) for path in written]


@dataclass
class Outcome:
    """over: the most bytes on a link, by the hour. apart: logs in which nodes differ though none says why. hidden: logs
    of which a pinned entry counts at one node and not at another, though that one has room. honest: whether the honest
    accounts are equal. reasons: of logs that differ, each set of reasons of their account."""

    seed: str
    over: int = 0
    apart: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    honest: bool = True
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> bool:
        return bool(self.over > ALLOWED or self.apart or self.hidden or not self.honest)


class Mixture(World):
    def __init__(self, seed: str, run: int) -> None:
        rng = self.rng = random.Random(seed)
        names = ["a", "b"] if rng.random() < 0.7 else ["a", "b", "c"]
        self.ways = [*pairwise(names), *([("a", "c")] if len(names) > 2 and rng.random() < 0.5 else [])]
        super().__init__(*names, seed=rng.randrange(1 << 30), realm=rng.choice([NARROW, MEDIUM]))
        self.now = NOW_S
        self.people = {name: Forger(self.realm, 1_000 + k) for k, name in enumerate(names)}
        self.posts: dict[str, list[Entry]] = {name: [] for name in names}
        self.they = [Attacker(rng, self.realm, k, run) for k in range(rng.choice([1, 1, 2, 4]))]
        self.ours = {p.id for p in self.people.values()}
        for name, replica in self.replicas.items():
            self.around[name].wanted = self.ours
            if rng.random() < 0.5:
                chosen = [t.id for t in self.they if rng.random() < 0.9]
                replica.set_interest([*self.ours, *chosen], self.now)
            if rng.random() < 0.2:
                replica.room.set_room("", rng.choice([5_000, 40_000, 400_000]), "for the test")
            replica.ingest.control(self.people[name].id, self.people[name].control, replica.wall_ms(self.now))
            self.drain(name)

    def write_honest(self) -> None:
        """One entry of each honest account."""
        for name, replica in self.replicas.items():
            path = self.posts[name] = self.people[name].write(1, self.posts[name], days=1)
            run = decode_run(self.realm, run_bytes(path, len(path) - 1, len(path)))
            replica.ingest.run(run, replica.wall_ms(self.now))
            self.drain(name)

    def give(self, name: str, items: Sequence[Item]) -> None:
        """A stranger sends these."""
        self.rogue("x", name, realm=self.realm.id)
        for item in items:
            self.say("x", name, data(item))
        self.unlink("x", name)

    def attack(self, name: str, share: float) -> None:
        """A node gets a part of all that the attacker wrote."""
        rng = self.rng
        for t in self.they:
            known = t.controls(rng.randrange(1, len(t.control) + 1))
            items: list[Item] = [known if rng.random() < 0.5 else t.controls(GRANTS), *t.checkpoints]
            for path in rng.sample(t.paths, len(t.paths)):
                items += t.pieces(path) if rng.random() < share else []
            items += t.junk(rng.choice([5, 60])) if rng.random() < 0.3 else []
            self.give(name, [*items, known])

    def spend(self, seconds: float) -> None:
        """Time passes, and links that ended are made again."""
        end = self.now + seconds
        while self.now < end:
            for a, b in self.ways:
                if b not in self.replicas[a].links:
                    self.link(a, b)
            self.run(min(30.0, end - self.now))


def examine(seed: str) -> Outcome:
    """The same for the same seed."""
    rng = random.Random(f"tuning {seed}")
    tuning = Tuning(rng.choice([1_000, 3_000]), 1_000, rng.choice([8, 12, 16]), rng.choice([4, 12, 40]))
    with tuned(tuning):
        w = Mixture(seed, tuning.run)
        out = Outcome(seed)
        if seed.startswith("bait/"):
            for t in w.they:
                before, chain = t.controls(GRANTS + 1), t.bait()
                w.give("a", [before, *chain, t.controls(len(t.control))])
                for name in list(w.replicas)[1:]:
                    w.give(name, [before, *t.junk(60)])
        else:
            for t in w.they:
                for _ in range(w.rng.randrange(4, 40)):
                    t.act()
            for name in [*w.replicas] * w.rng.choice([1, 1, 2]):
                w.attack(name, w.rng.choice([0.2, 0.6, 1.0]))
        w.write_honest()
        for _ in range(3):
            w.spend(BUSY_S / 3)
            for t in w.they:
                for _ in range(w.rng.choice([0, 3])):
                    t.act()
            if w.rng.random() < 0.6:
                w.attack(w.rng.choice([*w.replicas]), w.rng.choice([0.1, 0.5]))
        w.spend(SETTLE_S)
        sent, look = dict(w.bytes), EQUAL_S if w.same() else QUIET_S
        for _ in range(9):
            w.write_honest()
            w.spend(look / 10)
        w.spend(look / 10)
        for a, b in w.ways:
            spent = sum(w.bytes[way] - sent.get(way, 0) for way in ((a, b), (b, a)))
            out.over = max(out.over, spent * QUIET_S // look)
            judge(w, out, a, b)
    return out


def judge(w: Mixture, out: Outcome, a: str, b: str) -> None:
    """What two linked nodes that both hold an account think of it."""
    one, two = w.replicas[a], w.replicas[b]
    for account in sorted({*one.store.accounts(), *two.store.accounts()}):
        heads = [dict(r.store.heads(account)) for r in (one, two)]
        both = all(r.room.interesting(account) for r in (one, two))
        if heads[0] == heads[1] or not both:
            continue
        if account in w.ours:
            out.honest = False
        why = reasons(one, b, account) | reasons(two, a, account)
        for log in {*heads[0], *heads[1]}:
            mine, theirs = (found.get(log) for found in heads)
            if mine == theirs:
                continue
            out.reasons["+".join(sorted(why)) or "none"] += 1
            spot = f"{a}-{b} log {log.log}: {mine and mine.length} and {theirs and theirs.length}, {sorted(why)}"
            if not why:
                out.apart.append(spot)
            granted = not (is_checkpoint(log) or is_control(log))
            if granted and "full" not in why and pinned(one, log) != pinned(two, log):
                out.hidden.append(spot)


def reasons(replica: Replica, peer: str, account: AccountId) -> set[str]:
    """Why the replica takes something of the account not from the peer."""
    notes = replica.intake.notes.items()
    full = bool(replica.room.why_not(peer, account))
    found = {str(note.reason) for (who, log), note in notes if who == peer and log.account == account}
    return found | {"full"} if full else found


def pinned(replica: Replica, log: LogId) -> list[EntryId]:
    return [e.id for e in replica.store.chain(log, 0, replica.ingest.pinned(log))]


def main(first: int, stop: int) -> int:
    found, failed, most = Counter[str](), 0, 0
    for seed in (f"{kind}/{k}" for k in range(first, stop) for kind in ("bait", "mixture")):
        out = examine(seed)
        found += out.reasons
        most = max(most, out.over)
        if out.failed:
            failed += 1
            print(out, flush=True)
    print(
        f"{2 * (stop - first)} sets, {failed} failed; the most bytes on a link {most}; logs that differ: {dict(found)}"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
