"""One account on real replicas in virtual time: its owner at node `a`, another node `b`, a thief who is a peer of `b`.

The owner's node writes through the product's author, so it knows what it wrote itself. The thief signs what his keys
allow and sends it as any peer would. Nodes that join later are called `between` and `after`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from banyan_crdt.cells import fold
from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, CellKey, Coll
from banyan_crdt.ops import ControlOp, Op, Pin, Put, Recover, Tomb, decode_body
from banyan_crdt.run import encode_control
from banyan_crdt.state import counted_entries
from banyan_node.context import Search
from banyan_node.upkeep import maintenance
from banyan_replica.host import PartItem
from banyan_replica.replica import Replica
from banyan_replica.wire.messages import CheckpointItem, ControlItem
from banyan_storage.store import Store
from tests.crdt.make import START, Person, add, follow, signer
from tests.replica.helpers import NOW_MS, POSTS, World, data, run_item

N = 20
"""Posts of the owner, each with content."""
PINNED = 10
"""Posts that a pin stands above, where the account has one."""
NEWER = 5
"""The number of a thief's checkpoint: above that of the owner's."""
DAY_S = 86_400
OWNERS, OTHER, BETWEEN, AFTER, THIEF = "a", "b", "between", "after", "t"


class Seen(NamedTuple):
    """What one node has of the owner's posts, and how it sees her account. `hers`: her last word is its last."""

    shown: int
    entries: int
    contents: int
    flag: str
    hers: bool

    @property
    def whole(self) -> bool:
        return (self.shown, self.entries, self.contents) == (N, N, N)

    @property
    def well(self) -> bool:
        return self.whole and self.hers and not self.flag


class _Dead:
    """Answers the daily work's queries of views from the entries, because these stores have no views."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    def _tombs(self, account: AccountId) -> set[tuple[Coll, CellKey]]:
        control, store = self.replica.ingest.control_of(account), self.replica.store
        if control is None:
            return set()
        logs = [log for log in store.heads(account) if log.log]
        counted = (body for log in logs for _, body in counted_entries(control, log, store.walk(log)))
        return {(op.coll, op.key) for body in counted for op in body.ops if isinstance(op, Tomb)}

    def has_tombs(self, account: AccountId) -> bool:
        return bool(self._tombs(account))

    def is_dead(self, account: AccountId, coll: Coll, key: CellKey) -> bool:
        return (coll, key) in self._tombs(account)


class Scene:
    """`rotations`: of slots, before the theft, oldest first. `pinned`: whether entry 9 is pinned in the control log.

    `checkpoint`: the account is one of today's, whose inception grants the `witnesses`. They, the notary and the root
    have signed checkpoints after the rotations and the posts. `retired`: the witness has signed and been cut off since;
    the owner writes with a later device.
    """

    def __init__(
        self,
        rotations: Sequence[int] = (),
        *,
        pinned: bool = False,
        notary: bool = False,
        until: int | None = None,
        recovered: bool = False,
        posts: int = N,
        checkpoint: bool = False,
        witnesses: Sequence[str] = ("phone",),
        retired: bool = False,
    ) -> None:
        within = witnesses if checkpoint else ()
        self.world, self.person = World(OWNERS, OTHER), Person("an", device=None, within=within)
        self.turns = [0, 0]
        """How often each slot was rotated."""
        self.names = ["root", "rec"]
        self._made = 0
        self._introduce(OWNERS)
        for slot in rotations:
            self.turns[slot] += 1
            self.own(self.person.rotate(slot, self.next_key(slot)), by=self.key(slot))
        if recovered:
            self.own(Recover(self.person.digest("anew0"), self.person.digest("anew1")), by=self.key(1))
            self.names[0], self.turns[0] = "anew", 0
        if "phone" not in within:
            self.own(self.person.grant_op("phone", until=until), by=self.key(0))
        if notary:
            self.own(self.person.grant_op("notary", stratum=1), by=self.key(0))
        self.world.link(OWNERS, OTHER)
        for _ in range(4):
            self.world.post(OWNERS, self.person, posts // 4, push=True)
        self.world.run(4)
        self.log: list[Entry] = self.store(OWNERS).held(self.person.log())[0]
        if checkpoint:
            notaries = ("notary",) if notary else ()
            for by in (*witnesses, *notaries, self.key(0)):
                self.sign_checkpoint(by)
            if retired:
                for by in witnesses:
                    self.own(self.person.cut(by), by=self.key(0))
                self.replica(OWNERS).writes.publish_control(self.person.id, self.world.now)
                self.world.drain(OWNERS)
        if pinned:
            self.own(self.person.pin(self.log[PINNED - 1]), by=self.key(0))
            self.replica(OWNERS).writes.publish_control(self.person.id, self.world.now)
            self.world.drain(OWNERS)
        self.world.until(lambda: self.world.same(f"{OWNERS} {OTHER}"), 60)
        self.base = list(self.person.control)
        """The honest control log at the time of the theft."""
        self.last = self.base[-1]
        """The owner's last word."""
        self.world.rogue(THIEF, OTHER)

    # -- names of keys

    def key(self, slot: int) -> str:
        return f"{self.names[slot]}{self.turns[slot]}"

    def next_key(self, slot: int) -> str:
        return f"{self.names[slot]}{self.turns[slot] + 1}"

    def fresh_key(self) -> str:
        self._made += 1
        return f"fresh{self._made}"

    # -- nodes

    def posts_alone(self) -> None:
        """The rest of the owner's posts, written while her node is disconnected; then it is back."""
        self.world.unlink(OWNERS, OTHER)
        self.world.post(OWNERS, self.person, N - len(self.log))
        self.log = self.store(OWNERS).held(self.person.log())[0]

    def replica(self, name: str) -> Replica:
        return self.world.replicas[name]

    def store(self, name: str) -> Store:
        return self.replica(name).store

    @property
    def answering(self) -> str:
        """The node that the owner answers from: her own, or another if her home is gone."""
        return OWNERS if OWNERS in self.world.replicas else OTHER

    def _introduce(self, name: str) -> None:
        r, p = self.replica(name), self.person
        r.ingest.control(p.id, p.control, NOW_MS)
        r.ingest.parts([PartItem(p.control[0].id, 0, p.salt)])
        self.world.drain(name)

    def own(self, op: ControlOp | Pin, by: str) -> Entry:
        """The owner says something at the end of her control log, by the product's author."""
        r, p = self.replica(OWNERS), self.person
        entry = r.author.control(p.id, signer(p.full(by)), op, r.wall_ms(self.world.now))
        p.control.append(entry)
        return entry

    def sign_checkpoint(self, by: str) -> None:
        """At the owner's node, by the product's author."""
        self.replica(OWNERS).writes.publish_checkpoint(self.person.id, signer(self.person.full(by)), self.world.now)
        self.world.drain(OWNERS)

    def join(self, name: str) -> None:
        """A new node connects to one of the first nodes."""
        self.world.start(name)
        self.world.link(name, OTHER)
        self.world.run(6)

    def spread(self, seconds: float = 4) -> None:
        self.world.run(seconds)

    def wait(self, days: int) -> None:
        """Days pass, with the daily work of every node; then the nodes connect again."""
        world, names = self.world, list(self.world.replicas)
        for name in names:
            world.unlink(name, OTHER if name != OTHER else THIEF)
        for _ in range(days):
            world.now += DAY_S
            for name in names:
                self.daily(name)
        for name in [*names, THIEF]:
            if name == THIEF:
                world.rogue(THIEF, OTHER)
            elif name != OTHER:
                world.link(name, OTHER)
        self.spread()

    def daily(self, name: str) -> None:
        """Daily work: to forget what has not counted for 30 days, and the content of what is deleted for as long."""
        r = self.replica(name)
        nobody = SimpleNamespace(key=b"")  # no account here is hosted by a node
        parts = {"store": r.store, "replica": r, "claims": Search(), "device": nobody}
        ctx = cast(Any, SimpleNamespace(**parts, queries=lambda: _Dead(r)))
        while (
            maintenance.forget_beside(ctx, self.world.now).more or maintenance.erase_deleted(ctx, self.world.now).more
        ):
            pass
        self.world.drain(name)

    # -- the thief

    def says(self, below: Sequence[Entry], by: str, *ops: Op) -> Entry:
        """A control entry of anybody's, on any branch, dated now."""
        time = max(int(self.world.now * 1000) << 16, below[-1].header.time + 1)
        return self.person.say(*ops, by=by, below=below, time=time)

    def send_control(self, *entries: Entry) -> None:
        raw = [encode_control(e, encode_header(e.header)) for e in entries]
        self.world.say(THIEF, OTHER, data(ControlItem(self.person.id, raw, [])))

    def send_log(self, log: Sequence[Entry], first: int, to: str = OTHER, by: str = THIEF) -> None:
        self.world.say(by, to, data(run_item(log, first)))

    def send_checkpoint(self, by: str, names: Entry, *pins: Pin, n: int = NEWER) -> None:
        """One of the thief's, which takes the place of what that key has signed."""
        made = self.person.checkpoint(by, names, n, pins)
        self.world.say(THIEF, OTHER, data(CheckpointItem(encode_checkpoint(made))))

    def tombs(self) -> list[Tomb]:
        puts = [op for e in self.log for op in decode_body(e.ops).ops if isinstance(op, Put)]
        return [Tomb(POSTS, op.key) for op in puts]

    def rivals(self, seq: int, count: int = 2, ground: bool = True) -> list[list[Entry]]:
        """Logs that part from the owner's at `seq`, by her device's key; their ids lower than hers if `ground`."""
        below, out, k = self.log[:seq], list[list[Entry]](), 0
        time = below[-1].header.time + 1 if below else START
        while len(out) < count:
            k += 1
            e = follow(self.person.full("phone"), self.person.log(), below, add(f"rival {k}"), time=time)
            if not ground or e.id < self.log[seq].id:
                out.append([*below, e])
        return out

    # -- the owner's answer

    def answer(self, *said: tuple[str, Op]) -> bool:
        """The owner's control entries, each by a key of hers, one above the other, given to her node and told on.

        They stand on all that she had said before the theft, or on as much of it as is still held.
        """
        r, p = self.replica(self.answering), self.person
        below = list(self.base)
        while below and not r.store.has(below[-1].id):
            below.pop()
        path = list(below)
        for by, op in said:
            path.append(self.says(path, by, op))
        self.last = path[-1]
        try:
            r.ingest.control(p.id, path[len(below) :], r.wall_ms(self.world.now))
        except NotYet:
            return False  # it counts for nothing, and is not even held
        r.writes.publish_control(p.id, self.world.now, entries=len(said))
        self.world.drain(self.answering)
        self.spread(8)
        return True

    # -- what is to be seen

    def look(self, name: str) -> Seen | None:
        """What a node has; None if there is no such node."""
        if name not in self.world.replicas:
            return None
        store, p = self.store(name), self.person
        control = self.replica(name).ingest.control_of(p.id)
        if control is None:
            return Seen(0, 0, 0, "", False)
        mine = {e.id for e in self.log}
        counted = [c for log in store.heads(p.id) if log.log for c in counted_entries(control, log, store.walk(log))]
        cells = fold(counted)
        shown = sum(any(stamp[1] in mine for stamp, _ in writes) for writes in cells.registers.values())
        entries = sum(store.has(e.id) for e in self.log)
        contents = sum(store.part(e.id, 0) is not None for e in self.log)
        flag = "closed" if control.closed else "frozen" if control.frozen else ""
        return Seen(shown, entries, contents, flag, control.path[-1].id == self.last.id)
