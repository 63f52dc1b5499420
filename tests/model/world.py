"""Real replicas that each get a part of a set are linked and run, and all must end in the same state.

That is the state of the union of what they were given (world_union.py). A failing seed is a bug report:

    python -m tests.model.nightly --world --only SEED
"""

from __future__ import annotations

import gc
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from banyan_crdt.checkpoint import Checkpoint, decode_checkpoint
from banyan_crdt.entry import Entry, decode_header
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, EntryId, Head, LogId
from banyan_replica.intake.ingest import Ingest
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import Replica
from banyan_replica.sync.item_builder import checkpoint_items, control_items, log_items, pin_of
from banyan_sim.runner import remembered_signatures
from banyan_storage.check import verify
from banyan_storage.tables import BRANCH
from tests.model.world_net import Net, Tuning, decode_run_once, read_control_once, shared, tuned
from tests.model.world_sets import WorldSet, world_set
from tests.model.world_union import Union
from tests.replica.helpers import memory_store

CHECKS = {
    "0 model": "model and implementation judge the union alike",
    "1 agree": "all nodes have one digest",
    "2 union": "it is that of the union of all that was given",
    "3 again": "giving every node everything again moves nothing",
    "4 fresh": "a fresh node that is linked to one of them gets there",
    "5 store": "no store has a problem",
    "6 honest": "no honest node is charged or banned by another, nor whoever says what is authentic",
    "7 quiet": "once all agree, no data flows",
    "8 bounded": "what is kept is bounded, and giving again grows nothing",
    "9 content": "what one node has of the content that counts, all have",
    "10 month": "when nodes forget after 30 days nothing moves, and a late entry ends in one state",
    "slight": "no honest node is slighted by another (a few points that never ban)",
    "crash": "nothing raises",
}
STUCK_S = 120.0
"""Virtual time without any change after which nodes that disagree are given up."""
QUIET_S = 6.0
"""Longer than neighbours take to tell each other where they stand. In one of QUIETER sets it is LONG_QUIET_S."""
QUIETER, LONG_QUIET_S = 10, 60.0
FRESH_S = 10_000.0
"""Links that are let go for a fresh node come back when it is gone."""
CONTENT_QUESTIONS = 20
"""For content that a node lacks, each to a neighbour drawn at random."""
DAYS_S = 31 * 86_400.0
"""After so long a node forgets what does not count."""


@dataclass
class Outcome:
    """failed: check -> details. seen: situations that occurred."""

    seed: str
    theme: str
    failed: dict[str, str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    tuning: Tuning = field(default_factory=Tuning)

    def note(self, check: str, sentence: str) -> None:
        self.failed.setdefault(check, sentence)


def examine(seed: str, alive: Iterable[int] | None = None, theme: str = "") -> Outcome:
    """One set and its run, both from the seed. alive: leave out the other entries (for shrinking)."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _examined(seed, alive, theme)
    finally:  # the set and its run are gone by now, except reference cycles, so a collection is short
        if collecting:
            gc.enable()


def _examined(seed: str, alive: Iterable[int] | None, theme: str) -> Outcome:
    s = world_set(random.Random(f"{seed}/set"), theme)
    out = Outcome(seed, s.theme)
    rng = random.Random(f"{seed}/run")
    short = rng.random() < 0.3 and s.theme in ("branches", "pins", "control", "notary", "cuts", "flood")
    piece = rng.choice([300, 1_000, 256 << 10] if s.theme != "flood" else [300, 300, 1_000])
    few = s.theme == "flood" and rng.random() < 0.7
    beside = rng.randrange(6, 21) if few else 4_096
    tuning = Tuning(piece, rng.choice([100, 32 << 10]), 8 if short else 1_024, beside)
    run = _Run(s, rng, out, tuning, set(range(len(s.real)) if alive is None else alive))
    try:
        with tuned(tuning), remembered_signatures():
            run.whole()
            if run.slights:
                out.note("slight", run.slights[0])
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        out.note(
            "crash", f"{type(error).__name__} in {last.name} ({last.filename.split('/')[-1]}:{last.lineno}): {error}"
        )
    return out


def forget(replica: Replica, now: float) -> int:
    """Runs the product's daily forgetting. Returns how many entries were forgotten. Raises if it missed something."""
    gone, more = 0, True
    while more:
        number, more = replica.ingest.expire_due(replica.wall_ms(now))
        gone += number
    for account in list(replica.store.accounts()):
        for log in replica.store.logs(account):
            if missed := replica.ingest.expire(log, replica.wall_ms(now)):
                raise AssertionError(f"the daily work missed {missed} entries of log {log.log}")
    return gone


def short(head: Head | None) -> str:
    """The length, with f if it is forked or frozen."""
    return "nothing" if head is None else f"{head.length}{'f' * head.flag}"


class _Run:
    def __init__(self, s: WorldSet, rng: random.Random, out: Outcome, tuning: Tuning, alive: set[int]) -> None:
        self.s, self.rng, self.out, self.alive = s, rng, out, alive
        self.names = list("abcdef")[: rng.choice([2, 2, 2, 3, 3, 3, 4, 5, 6])]
        self.net = Net(s, rng.randrange(1 << 30), Limits(piece=min(tuning.piece, 256 << 10)))
        self.union = Union(s)
        self.slights: list[str] = []
        shares = [rng.choice([0.15, 0.3, 0.5, 0.8]) for _ in self.names]
        self.parts = {n: shared(s, rng, p, tuning.run) for n, p in zip(self.names, shares, strict=True)}
        self.words = {
            n: [k for k in range(len(s.said)) if rng.random() < p] for n, p in zip(self.names, shares, strict=True)
        }
        """The checkpoints that each node is given."""
        self.cap = tuning.run
        self.longest = max(len(s.path(i)) for i in range(len(s.real)))
        self.withhold = {n: rng.random() < (0.5 if s.theme == "content" else 0.15) for n in self.names}
        out.seen[f"{len(self.names)} nodes"] += 1
        out.seen["short runs"] += tuning.run == 8
        out.seen["few are held beside"] += tuning.beside < 4_096
        out.tuning = tuning
        self.beside = tuning.beside
        self.late = self.withheld()
        out.seen["small pieces"] += tuning.piece < 1 << 17

    def whole(self) -> None:
        rng, names = self.rng, self.names
        second: list[tuple[str, tuple[int, ...]]] = []
        for name in names:
            self.net.add(name)
        if self.beside < 4_096:  # one holds what is pinned before the flood comes
            self.first(names[0], self.items({*self.s.pinned(), *self.s.of_control()}))
        for name in names:
            first = self.parts[name]
            if rng.random() < 0.4 and len(first) > 2:
                at = rng.randrange(len(first) // 2, len(first))
                first, rest = first[:at], first[at:]
                second += [(name, item) for item in rest]
            if self.s.said:
                self.first_with_checkpoints(name, first)
            else:
                self.first(name, first)
        self.connect()
        for name in names:
            for k in self.words[name]:
                if rng.random() < 0.3:
                    self.tell(name, k, rng.choice(["data", "gossip", "ingest"]))
                    self.net.pass_time(rng.choice([0.0, 0.0, 0.1, 1.0]))
        self.trouble()
        if not self.settle("first"):
            return
        if second:
            self.out.seen["given while linked"] += 1
            for name, item in second:
                self.linked(name, [item], rng.choice(["data", "gossip", "ingest"]))
                self.net.pass_time(rng.choice([0.0, 0.1, 2.0]))
            if not self.settle("second"):
                return
        self.check_all()

    # -- giving

    def withheld(self) -> frozenset[int]:
        """In half of the sets, the end of a control log, which is delivered only after 30 days."""
        parents = set(self.s.prev)
        ends = [i for i, e in enumerate(self.s.real) if not e.header.log and e.header.seq and i not in parents]
        return frozenset([self.rng.choice(ends)] if ends and self.rng.random() < 0.5 else [])

    def cropped(self, item: Sequence[int]) -> tuple[int, ...]:
        """The rest of an item without some entries (for shrinking)."""
        if not self.s.real[item[0]].header.log:
            return tuple(i for i in item if i in self.alive and i not in self.late)
        end = next((k for k, i in enumerate(item) if i not in self.alive), len(item))
        return tuple(item[:end])

    def first(self, name: str, items: Sequence[tuple[int, ...]]) -> None:
        """Delivers to a node before it is linked, until neither it nor the union takes more."""
        how, rogue = self.rng.choice(["ingest", "ingest", "data", "gossip"]), f"rogue {name}"
        cropped = [c for c in map(self.cropped, items) if c]
        if how != "ingest":
            self.net.rogue(rogue, name, realm=self.s.realm.id)
        store, left = self.net.replicas[name].store, cropped
        before: object = None
        for _ in range(8):
            for some in self.together(left, how == "gossip"):
                self.net.give(name, rogue, how, some, not self.withhold[name])
                for item in some:
                    self.union.give(name, item, room=self.room(name, item))
                if how == "gossip":
                    self.net.run(0.01)
            taken = self.union.at.get(name, set())
            after = (store.digest(), len(taken))
            if after == before:
                break
            before = after
            left = [c for c in left if not taken.issuperset(c) or not all(store.has(self.s.real[i].id) for i in c)]
        if how != "ingest":
            self.net.unlink(rogue, name)

    def first_with_checkpoints(self, name: str, items: Sequence[tuple[int, ...]]) -> None:
        """The same one item at a time, because the node's own control log decides who may write."""
        how = self.rng.choice(["ingest", "ingest", "data", "gossip"])
        given: list[tuple[int, ...] | int] = [*items, *(k for k in self.words[name] if self.rng.random() < 0.7)]
        before: object = None
        for _ in range(8):
            if self.rng.random() < 0.7:
                self.rng.shuffle(given)
            for one in given:
                if isinstance(one, int):
                    self.tell(name, one, how)
                else:
                    self.linked(name, [one], how)
            after = self.net.digest(name), len(self.union.at.get(name, ()))
            if after == before:
                break
            before = after

    def tell(self, name: str, k: int, how: str) -> None:
        """Gives a node a checkpoint."""
        rogue = f"rogue {name}"
        if how != "ingest":
            self.net.rogue(rogue, name, realm=self.s.realm.id)
        self.net.tell(name, rogue, how, self.s.said[k].real)
        self.union.words.add(k)
        if how == "gossip":
            self.net.run(0.01)
        if how != "ingest":
            self.net.unlink(rogue, name)

    def unheard(self) -> list[int]:
        """Checkpoints that stand in the union and that no node holds: each was dropped where the path did not entitle
        its writer, and its writer's own node would sign again."""
        held = {c.id for n in self.names for a in self.s.accounts for c in self.net.replicas[n].store.checkpoints(a)}
        want = {c.id for found in self.union.states() for c in found.checkpoints.values()}
        return [k for k in sorted(self.union.words) if self.s.said[k].real.id in want - held]

    def together(self, items: Sequence[tuple[int, ...]], apart: bool) -> Iterator[Sequence[tuple[int, ...]]]:
        """Some at a time, one where the store is asked about each. `apart`: no two that gossip names alike: of these
        a node looks at one."""
        at = 0
        while at < len(items):
            some = items[at : at + (self.rng.choice([1, 2, 4, 8]) if self.beside == 4_096 else 1)]
            ends = [item[-1] for item in some]
            twice = next((k for k, end in enumerate(ends) if end in ends[:k]), len(some))
            some = some[:twice] if apart else some
            yield some
            at += len(some)

    def room(self, name: str, item: Sequence[int]) -> Callable[[EntryId], bool]:
        """Where few branches are held, the store says what there was room for, once the log is near its budget."""
        store, log = self.net.replicas[name].store, self.s.real[item[0]].log_id
        if self.beside == 4_096 or not log.log:
            return lambda entry: True
        full = len([r for r in store.loose_rows(log) if r.kind == BRANCH]) + len(item) > self.beside
        return store.has if full else lambda entry: True

    def linked(self, name: str, items: Sequence[tuple[int, ...]], how: str) -> None:
        """Delivers while the node hears of others: its own control log decides what it may take."""
        rogue, replica = f"rogue {name}", self.net.replicas[name]
        if how != "ingest":
            self.net.rogue(rogue, name, realm=self.s.realm.id)
        for item in (c for c in map(self.cropped, items) if c):
            account = AccountId(self.s.real[item[0]].account)
            known, held = replica.ingest.control_of(account), {i for i in item if replica.store.has(self.s.real[i].id)}
            prev = self.s.prev[item[0]]
            near = prev is not None and replica.store.has(self.s.real[prev].id)
            ids = {self.s.real[i].id for i in held} | ({self.s.real[prev].id} if near and prev is not None else set())
            self.net.give(name, rogue, how, [item], not self.withhold[name])
            self.union.give(name, item, ids.__contains__, known, self.room(name, item))
        if how != "ingest":
            self.net.unlink(rogue, name)

    def again(self) -> bool:
        """Delivers again what could not be accepted then and can be now. Returns whether there was any."""
        late, unheard = self.union.late(), self.unheard()
        for k in unheard:
            self.tell(self.rng.choice(self.names), k, self.rng.choice(["data", "ingest"]))
        self.out.seen["checkpoint given again"] += bool(unheard)
        for name in self.names:
            mine = {i for item in self.parts[name] for i in item} & late
            if mine:
                self.linked(name, self.items(mine), "data")
                self.union.at[name] |= mine & self.union.given
                self.union.taken |= mine
        self.out.seen["given again"] += bool(late)
        return bool(late or unheard)

    def items(self, entries: Iterable[int]) -> list[tuple[int, ...]]:
        """These entries with all below them as items; control logs whole."""
        wanted = sorted({x for i in entries for x in self.s.path(i)})
        items = []
        for account in self.s.accounts:
            control = tuple(i for i in wanted if self.s.real[i].account == account and not self.s.real[i].header.log)
            items += [control] if control else []
        logs = [i for i in wanted if self.s.real[i].header.log]
        parents, done = {self.s.prev[i] for i in logs}, set[int]()
        for leaf in (i for i in logs if i not in parents):
            run: list[int] = []
            for i in self.s.path(leaf):
                if i not in done:
                    run.append(i)
                    if i in self.s.signed or i == leaf or len(run) == self.cap:
                        items.append(tuple(run))
                        done.update(run)
                        run = []
        return [item for item in map(self.cropped, items) if item]

    # -- the network

    def connect(self) -> None:
        rng, order = self.rng, self.rng.sample(self.names, len(self.names))
        edges = {frozenset((order[k], rng.choice(order[:k]))) for k in range(1, len(order))}
        for _ in range(rng.randrange(len(order))):
            edges.add(frozenset(rng.sample(order, 2)))
        self.edges = sorted(tuple(sorted(e)) for e in edges)
        for a, b in self.edges:
            self.net.link(*((a, b) if rng.random() < 0.5 else (b, a)))
            if rng.random() < 0.3:
                self.net.pass_time(rng.choice([0.1, 1.0, 6.0]))

    def trouble(self) -> None:
        """Breaks links and restarts nodes."""
        rng = self.rng
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            self.net.pass_time(rng.choice([0.03, 0.1, 0.5, 2.0, 5.0]), 0.5)
            a, b = rng.choice(self.edges)
            if rng.random() < 0.3:
                self.net.restart(rng.choice(self.names))
                self.out.seen["restart"] += 1
            elif b in self.net.replicas[a].links:
                if rng.random() < 0.5:
                    self.net.dark.add(frozenset((a, b)))
                    self.net.pass_time(rng.choice([0.1, 1.0, 4.0]))
                self.net.break_link(a, b, rng.choice([0.1, 1.0, 8.0]))
                self.out.seen["broken link"] += 1

    def calm(self, names: Sequence[str], want: bytes | None = None, linked: bool = True) -> bool:
        """Runs until these nodes agree and no data flows. Returns whether that happened in time."""
        net, moved, before = self.net, self.net.now, list[bytes]()
        while net.now - moved < STUCK_S:
            net.pass_time(1.0)
            digests = [net.digest(n) for n in names]
            if digests != before:
                moved, before = net.now, digests
            one = len(set(digests)) == 1 and want in (None, digests[0])
            if one and not (linked and net.down) and net.now - max(net.last_bulk, moved) > 1.5:
                return True
        return False

    def settle(self, wave: str) -> bool:
        """Runs until it is calm, and again after late items. Returns whether the nodes agree with the union."""
        for _ in range(6):
            if not self.calm(self.names) or not self.again():
                break
        want, heads = self.union.digest(), self.union.heads()
        digests = {n: self.net.replicas[n].store.digest() for n in self.names}
        agreed = len(set(digests.values())) == 1
        if not agreed:
            self.out.note("1 agree", f"{wave}: {self.differences(heads)}")
        elif digests[self.names[0]] != want:
            self.out.note("2 union", f"{wave}: {self.differences(heads)}")
        if self.net.raised:
            self.out.note("6 honest", self.net.raised[0])
        if self.out.failed:
            self.check_nodes()
        return not self.out.failed

    def differences(self, heads: dict[LogId, Head]) -> str:
        """The first log that differs from the union, its head at each node, and which of its entries no node holds."""
        stores = {n: self.net.replicas[n].store for n in self.names}
        for log in sorted({*heads, *(log for st in stores.values() for log, _ in st.all_heads())}):
            want = heads.get(log)
            at = {n: st.head(log) for n, st in stores.items()}
            if any((h if h.length or h.flag else None) != want for h in at.values()):
                mine = [i for i in sorted(self.union.taken) if self.s.real[i].log_id == log]
                nowhere = [i for i in mine if not any(st.has(self.s.real[i].id) for st in stores.values())]
                name = self.s.symbolic[mine[0]].name if mine else "?"
                shown, w = ", ".join(f"{n} {short(h)}" for n, h in at.items()), short(want)
                return f"log {name}: union {w}; {shown}; held by nobody: entries {nowhere}"
        return "nothing differs"

    # -- the checks

    def check_all(self) -> None:
        net, rng, out, want = self.net, self.rng, self.out, self.union.digest()
        models = self.union.model()
        out.seen += self.union.situations(models)
        out.entries = len(self.union.taken)
        if not self.union.model_agrees(models):
            out.note("0 model", "heads of the union differ")
        net.pass_time(2.0)
        self.check_quiet("7 quiet", QUIET_S if rng.randrange(QUIETER) else LONG_QUIET_S)
        self.check_content()
        self.check_fresh(want)
        if rng.random() < 0.5:
            self.check_nodes()
            self.check_again(want)
        else:  # it looks into the nodes as well
            self.check_month(want)

    def check_quiet(self, check: str, seconds: float) -> None:
        net = self.net
        flowed = net.bulk
        net.pass_time(seconds, 10.0)
        if net.bulk != flowed:
            self.out.note(check, f"{net.bulk - flowed} data frames in {seconds:.0f} s")
        if len({net.digest(n) for n in self.names}) != 1:
            self.out.note(check, "the digests parted again")

    def check_month(self, want: bytes) -> None:
        """31 days later some nodes forget what does not count. No head moves, and a late entry leads to one state."""
        net, rng, out = self.net, self.rng, self.out
        net.now += DAYS_S
        forgot = 0
        trims = rng.sample(self.names, rng.randrange(1, len(self.names) + 1))
        for name in trims:
            replica = net.replicas[name]
            forgot += forget(replica, net.now)
            net.drain(name)
            if net.digest(name) != want:
                out.note("10 month", f"{name} moved when it forgot")
        out.seen["forgot"] += forgot > 0
        out.seen["all forgot"] += forgot > 0 and len(trims) == len(self.names)
        for name in rng.sample(self.names, rng.choice([0, 0, 1, 2])):
            net.restart(name)
        if not self.calm(self.names, want):
            out.note("10 month", f"not quiet, or moved: {self.differences(self.union.heads())}")
        self.check_quiet("10 month", QUIET_S)
        self.check_nodes()
        self.check_served(want)
        if self.late and self.late <= self.alive and not out.failed:
            i, name = next(iter(self.late)), rng.choice(self.names)
            self.late = frozenset()
            self.linked(name, [self.s.path(i)], rng.choice(["data", "gossip", "ingest"]))
            out.seen["late entry"] += 1
            if not self.calm(self.names):
                out.note("10 month", f"apart after entry {i} came late: {self.differences({})}")
            self.check_quiet("10 month", QUIET_S)
            self.check_nodes()
            self.check_served(net.digest(name))

    def check_nodes(self) -> None:
        for name in self.names:
            replica = self.net.replicas[name]
            for problem in verify(replica.store, lambda account, n: None)[:1]:
                self.out.note("5 store", f"{name}: {problem.where}: {problem.sentence}")
            self.check_events(name)
            for other in self.names:
                if replica.ledger.banned(other, self.net.now):
                    self.out.note("6 honest", f"{name} banned {other}")
                points = replica.ledger.points(other, self.net.now)  # what was announced may stop counting: a few
                if points >= replica.ledger.scale.let_go_at / 3:
                    why = replica.ledger.last_sentence(other)
                    self.slights.append(f"{name} holds {points:.1f} points against {other}: {why}")
            self.check_bounds(name)

    def check_bounds(self, name: str) -> None:
        """Of what never counted so much is held as there is room for; and what comes without a question for room: one
        run where the log is forked lower, where it is cut, and with a pinned entry."""
        store = self.net.replicas[name].store
        for account in store.accounts():
            for log in store.logs(account):
                never = [row for row in store.loose_rows(log) if row.kind == BRANCH]
                if len(never) > self.beside + 3 * self.longest:
                    self.out.note("8 bounded", f"{name} holds {len(never)} entries of a log that never counted")

    def check_events(self, name: str) -> None:
        for event in self.net.events[name]:
            peer, reason = str(event.fields.get("peer")), event.fields.get("reason")
            if event.name == "rejected":
                self.out.note("6 honest", f"{name} rejects what {peer} says: {reason}")
            elif event.name == "slighted" and peer in (*self.names, "fresh"):
                self.slights.append(f"{name} slights {peer}: {reason}")

    def check_content(self) -> None:
        for _ in range(CONTENT_QUESTIONS):
            if not self.content_elsewhere():
                return
            self.net.pass_time(self.net.limits.parts_most_s, 10.0)  # it may be asked for as seldom as that by now
        for sentence in self.content_elsewhere()[:1]:
            self.out.note("9 content", sentence)

    def content_elsewhere(self) -> list[str]:
        """Content that a node lacks and another has."""
        stores, found = {n: self.net.replicas[n].store for n in self.names}, list[str]()
        for name, store in stores.items():
            for row in store.lacking(b"", 1_000):
                have = [n for n, other in stores.items() if other.part(row.entry, row.op) is not None]
                if have:
                    i = self.union.index[row.entry]
                    found.append(f"{name} lacks operation {row.op} of entry {i}, held by {' '.join(have)}")
        return found

    def check_served(self, want: bytes) -> None:
        """A store that is given all that one node serves, and nothing else, has the same state. Nodes that serve the
        same are asked once."""
        distinct = {self.served(name): name for name in self.names}
        self.out.seen["nodes serve different things"] += len(distinct) > 1
        for (controls, words, runs), name in distinct.items():
            fresh = Ingest(memory_store(self.s.realm), self.s.realm)
            try:
                for entries in controls:
                    fresh.control(entries[0].account, entries, self.net.now_ms)
                for _ in words:  # one may let the path say that another stands
                    for said in words:
                        self.net.told("fresh", fresh, said)
                for raw in runs:
                    run = decode_run_once(self.s.realm, raw)
                    try:
                        fresh.run(run, self.net.now_ms)
                    except NotYet:  # whoever lacks a pinned entry asks again, and names it
                        self.served_with_proofs(name, fresh, run.log)
            except NotYet as why:
                self.out.note("4 fresh", f"what {name} serves is not taken: {why}")
            if fresh.store.digest() != want:
                self.out.note("4 fresh", f"what {name} serves of all its logs makes another state")

    def served_with_proofs(self, name: str, fresh: Ingest, log: LogId) -> None:
        store = self.net.replicas[name].store
        for item in log_items(store, log, 0, pin=pin_of(store, log, fresh.lacks(log))):
            proof = [decode_header(raw) for raw in item.proof]
            try:
                fresh.run(decode_run_once(self.s.realm, item.run), self.net.now_ms, proof=proof)
            except NotYet as why:
                if why.reason != "branch":
                    raise
                self.out.seen["served, no room"] += 1  # whether it mattered, the digest says

    def served(self, name: str) -> tuple[tuple[tuple[Entry, ...], ...], tuple[Checkpoint, ...], tuple[bytes, ...]]:
        reader = self.net.replicas[name].store
        controls, words, runs = list[tuple[Entry, ...]](), list[Checkpoint](), list[bytes]()
        for account in reader.accounts():
            for item in control_items(reader, account):
                controls.append(tuple(read_control_once(self.s.realm, raw) for raw in item.entries))
            words += [decode_checkpoint(self.s.realm, i.checkpoint) for i in checkpoint_items(reader, account)]
            grants = reader.grants(account)
            assert grants is not None
            for log in sorted(reader.logs(account), key=lambda log: (grants.order_of(log), log)):
                runs += [piece.run for piece in (log_items(reader, log, 0) if log.log else ())]
        return tuple(controls), tuple(words), tuple(runs)

    def check_fresh(self, want: bytes) -> None:
        """Out of what each node serves; and in half of the sets a real one that is linked to one of them alone."""
        self.check_served(want)
        if self.rng.random() < 0.5:
            return
        self.out.seen["fresh replica"] += 1
        name = self.rng.choice(self.names)
        for other in list(self.net.replicas[name].links):
            if other in self.net.replicas:
                self.net.unlink(name, other)
                self.net.down.append((self.net.now + FRESH_S, name, other))
        self.net.add("fresh")
        self.net.link("fresh", name)
        if not self.calm(["fresh", name], want, linked=False):
            have = self.net.replicas["fresh"].store.counts().logs
            self.out.note("4 fresh", f"linked to {name} alone: {have} logs, {self.differs(name, 'fresh')}")
        self.check_events("fresh")
        self.check_events(name)
        self.net.stop("fresh")
        self.net.down = [(0.0, a, b) for _, a, b in self.net.down]

    def differs(self, one: str, other: str) -> str:
        a, b = self.net.replicas[one].store, self.net.replicas[other].store
        for log, head in a.all_heads():
            if b.head(log) != head:
                return f"log {log.log}: {one} {short(head)}, {other} {short(b.head(log))}"
        return "nothing differs"

    def check_again(self, want: bytes) -> None:
        """On stores that nobody else writes to. What no node had room for is left out: there may be room by now."""
        refused = self.union.refused - self.union.taken
        again = [i for i in self.union.given if not refused.intersection(self.s.path(i))]
        given = [self.net.item(item, True) for item in self.items(again)]
        for name in self.names:
            self.net.stop(name)
        for name in self.names:
            engine = self.net.engines[name]
            engine.rollback()
            ingest, counts = Ingest(memory_store(self.s.realm, engine, name), self.s.realm), []
            for _ in range(2):
                for item in given:
                    self.net.ingested(name, ingest, item)
                for k in sorted(self.union.words):
                    self.net.told(name, ingest, self.s.said[k].real)
                ingest.store.commit()
                counts.append(ingest.store.counts())
                if ingest.store.digest() != want:
                    self.out.note("3 again", f"{name} moved when it was given everything again")
            if counts[0] != counts[1]:
                self.out.note("8 bounded", f"{name}: {counts[0]} after everything, {counts[1]} after it again")
        if self.net.raised:
            self.out.note("6 honest", self.net.raised[0])
