"""Sequences of messages to a replica in the middle of exchanging with others.

The node `a` is linked to an honest node `h`, to a node `t` whose frames the input holds back, drops, repeats and
replaces, and to two rogues `r` and `s`, who say what the input says. All are real replicas in virtual time, on stores
in memory. After each sequence must hold:

- Nothing was raised, and nothing was said before it was durable (`World.drain` asserts it).
- `a` and `h` never charged each other and never hung up, whatever `a` passed on.
- What `a` remembers of the strangers is bounded by what they said (`remembered`).
- Without the strangers, a new person with a post at `h` reaches `a`, and both hold the same.

An input is [how, [[who, milliseconds before, what], ...]]. how: CHECKED if signatures are checked, SHARE if strangers
may take little of the disk of `a`, which has named `h`; the sum of both, or 0. `who` 0, 1, 2 says the bytes `what` as
r, s or t. 3: the next `what` frames of t arrive. 4: they are lost. 5: the last one of t comes again. 6: the link to
r, s or t breaks and comes back. Without signatures, entries that a mutation changed are judged like signed ones: a
thief of all keys could have signed them.
"""

from __future__ import annotations

import gc
import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BadSignature, Malformed
from banyan_crdt.realm import TEST, Realm
from banyan_crdt.run import decode_run
from banyan_crdt.signing import SignatureClaim, Signer, verify_all
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import PeerIdentity, Replica
from banyan_replica.wire.message_table import encode_message
from banyan_storage import tables
from banyan_storage.engine import Item, Table
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from tests.crdt.make import Person, run_bytes, signer
from tests.fuzz import mutate
from tests.replica.helpers import NOW_MS, World, memory_store

SAYS = ("r", "s", "t")
ARRIVE, LOSE, REPEAT, BREAK = 3, 4, 5, 6
CHECKED, SHARE = 1, 2
SHARE_BYTES = 20_000
"""What strangers may take: some accounts, and not all that they say."""
MOST_STEPS, MOST_WAIT_MS, MOST_S = 80, 12_000, 150
"""Of one input: steps, milliseconds before a step, and seconds of virtual time for all of them."""
SETTLES_S = 400.0
"""Virtual seconds in which `a` and `h` must hold the same again."""
BASE_BYTES, EACH_BYTE = 8_000_000, 60
"""What a replica may remember: a base, and so much for each byte that strangers said."""


def all_good(realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
    """Every signature is good."""
    return [None] * len(checks)


class Scene(World):
    """The nodes, and what t says that has not arrived."""

    def __init__(self, checked: bool, stranger: str = "t") -> None:
        self.checked, self.stranger = checked, stranger
        self.held: deque[bytes] = deque()
        self.last = b""
        self.strange = 0
        """Bytes that strangers said."""
        super().__init__()
        for name in ("a", "h", stranger):
            self.engines[name] = filled(name)
            self.start(name)
        self.lost = self._hold

    def start(self, name: str, limits: Limits | None = None, witness: Signer | None = None) -> Replica:
        engine = self.engines.setdefault(name, MemoryEngine(tables.STORE_TABLES))
        rng = random.Random(f"{name}/{self.seed}")
        replica = Replica(
            memory_store(self.realm, engine, name), self.realm, PeerIdentity(name, (f"/{name}",)), rng, rng.randbytes,
            limits or self.limits, witness=witness, verify=verify_all if self.checked else all_good,
        )  # fmt: skip
        self.replicas[name] = replica
        return replica

    def _hold(self, sender: str, to: str, data: bytes) -> bool:
        if sender != self.stranger:
            return False
        self.held.append(data)
        return True

    def says(self, who: str, data: bytes) -> None:
        """A stranger says something; nobody listens to one that was disconnected."""
        self.strange += len(data)
        self.last = data if who == self.stranger else self.last
        if who in self.replicas["a"].links:
            self.replicas["a"].receive(who, data, self.now)
            self.drain("a")

    def judged(self) -> None:
        """Raises AssertionError if one of the honest two was charged, or hung up on."""
        for one, other in (("a", "h"), ("h", "a")):
            r = self.replicas[one]
            assert not r.ledger.points(other, self.now), f"{one} charged {other}: {r.ledger.last_sentence(other)}"
        cut = [(by, peer, why) for by, peer, why in self.cut if {by, peer} == {"a", "h"}]
        assert not cut, f"an honest link ended: {cut}"


Rows: TypeAlias = list[tuple[Table, list[Item]]]


@cache
def _disks() -> tuple[dict[str, Rows], dict[str, Person]]:
    """What is on the disks of the nodes, and the people who wrote it. They are made once: that takes a third of the
    time of a sequence. `a` has read less than a quarter of what the others have."""
    world = World("a", "h", "t")
    people: dict[str, Person] = {}
    for at, names in (("h", "bcd"), ("t", "efgi"), ("a", "j")):
        for name in names:
            people[name] = world.person(at, name)
            world.post(at, people[name], 3)
    world.post("t", people["e"], 2, number=2)
    disks: dict[str, Rows] = {}
    for name, engine in world.engines.items():
        with engine.read() as txn:
            disks[name] = [(table, list(txn.scan(table, b"", None))) for table in engine.tables]
    return disks, people


def filled(name: str) -> MemoryEngine:
    """The disk of a node, as a start finds it."""
    made = MemoryEngine(tables.STORE_TABLES)
    for table, rows in _disks()[0][name]:
        made.write().put_many(table, rows)
    made.commit()
    return made


def someone(name: str) -> Person:
    """One of the people."""
    return _disks()[1][name]


def play(raw: bytes) -> None:
    """Plays an input. Raises Malformed if it is none."""
    how, steps = read(raw)
    scene = Scene(bool(how & CHECKED))
    if how & SHARE:
        scene.replicas["a"].witnesses.named.name("h", b"")
        scene.replicas["a"].room.set_room("", SHARE_BYTES, "this world allows no more")
    scene.link("a", "h")
    for name in SAYS:
        scene.link("a", name)
    end = scene.now + MOST_S
    for who, wait, what in steps:
        scene.run(min(wait, MOST_WAIT_MS) / 1000)
        if scene.now >= end:
            break
        step(scene, who, what)
        scene.judged()
    scene.run(2.0)
    scene.judged()
    _learn(scene)
    _counted(scene.replicas["a"])
    kept, most = remembered(scene.replicas["a"]), BASE_BYTES + EACH_BYTE * scene.strange
    assert kept <= most, f"{scene.strange} bytes of strangers, and {kept} bytes are remembered; {most} is the most"
    for name in SAYS:
        scene.unlink("a", name)
    scene.replicas.pop("t")
    scene.post("h", scene.person("h", "late"), 1, push=True)
    scene.until(lambda: equal(scene.replicas["a"], scene.replicas["h"]), SETTLES_S)
    scene.judged()


def _counted(replica: Replica) -> None:
    """What strangers have taken is what is counted of their accounts."""
    strangers = replica.strangers
    strangers.note()
    mine = sum(taken for _, taken in strangers.accounts())
    assert mine == strangers.used, f"accounts of strangers take {mine}, and {strangers.used} is counted"
    strangers.forget()
    assert mine == strangers.used, f"accounts of strangers take {mine}, and {strangers.used} is noted"


def equal(a: Replica, h: Replica) -> bool:
    """Whether both have the same entries, and the same content of them: what a stranger kept back, both lack."""
    return a.store.digest() == h.store.digest() and a.store.counts().lacking == h.store.counts().lacking


def read(raw: bytes) -> tuple[int, list[tuple[int, int, Any]]]:
    """How an input is played, and its steps. Raises Malformed if it is none; steps that are none are left out."""
    v = decode(raw, 4)
    if type(v) is not list or len(v) != 2 or type(v[1]) is not list:
        raise Malformed("an input is [how, [step, ...]]")
    steps = [s for s in v[1] if type(s) is list and len(s) == 3 and type(s[0]) is int and type(s[1]) is int]
    return v[0] if type(v[0]) is int else 0, [(s[0], s[1], s[2]) for s in steps[:MOST_STEPS]]


def step(scene: Scene, who: int, what: Any) -> None:
    """One step of an input."""
    if who < len(SAYS) and isinstance(what, bytes):
        scene.says(SAYS[who], what)
    elif who in (ARRIVE, LOSE) and isinstance(what, int):
        for _ in range(min(what, len(scene.held))):
            data = scene.held.popleft()
            if who == ARRIVE:
                scene.says(scene.stranger, data)
    elif who == REPEAT and scene.last:
        scene.says(scene.stranger, scene.last)
    elif who == BREAK and isinstance(what, int):
        name = SAYS[what % len(SAYS)]
        scene.unlink("a", name)
        if name == scene.stranger:
            scene.held.clear()
        scene.link("a", name)


def _learn(scene: Scene) -> None:
    """Lets mutations say what `a` said to the rogues: salts, ids and roots of this moment."""
    for name in ("r", "s"):
        for message in scene.heard[name][-20:]:
            mutate.known.extend(_leaves(decode(encode_message(message), 16)))
    del mutate.known[: -mutate.MOST_KNOWN]


def _leaves(v: Any) -> list[bytes]:
    if isinstance(v, list):
        return [x for inner in v[:40] for x in _leaves(inner)]
    return [v] if isinstance(v, bytes) and 4 < len(v) < 100 else []


def remembered(replica: Replica) -> int:
    """Bytes of all objects that the replica holds, without its store, which is on disk, and its code."""
    todo: list[Any] = [replica]
    seen, size = {id(replica)}, 0
    while todo:
        o = todo.pop()
        size += sys.getsizeof(o)
        if isinstance(o, FunctionType):
            inner: list[Any] = [*(o.__closure__ or ()), *(o.__defaults__ or ())]
        else:
            inner = gc.get_referents(o)
        for i in inner:
            if id(i) not in seen and not isinstance(i, _OUTSIDE):
                seen.add(id(i))
                todo.append(i)
    return size


_OUTSIDE = (type, ModuleType, CodeType, BuiltinFunctionType, Store, MemoryEngine, Person)


# -- inputs to begin with


def recorded(story: Callable[[Scene], None], as_who: int) -> bytes:
    """What t says in a story, as an input in which a rogue says the same at the same times; or in which t says it."""
    scene = Scene(True)
    steps: list[list[Any]] = []
    said = [scene.now]

    def through(sender: str, to: str, data: bytes) -> bool:
        if sender == scene.stranger and to == "a":
            wait = round((scene.now - said[0]) * 1000)
            said[0] = scene.now
            steps.append([as_who, wait, data] if as_who < len(SAYS) else [ARRIVE, wait, 1])
        return False

    scene.lost = through
    scene.link("a", "h")
    scene.link("a", scene.stranger)
    story(scene)
    return encode([CHECKED, steps[:MOST_STEPS]])


def stories() -> list[bytes]:
    """A catch-up; a replay after an absence; gossip; forks; checkpoints; chosen accounts."""

    def catch_up(s: Scene) -> None:
        s.run(30)

    def replay(s: Scene) -> None:
        s.run(20)
        s.unlink("a", "t")
        s.post("t", someone("f"), 4)
        s.post("a", someone("j"), 2)
        s.link("a", "t")
        s.run(12)

    def gossip(s: Scene) -> None:
        s.run(15)
        for n in range(4):
            s.post("t", someone("efgi"[n]), 2, push=True)
            s.post("h", someone("b"), 1, push=True)
            s.run(0.3)
        s.run(4)

    def chosen(s: Scene) -> None:
        s.replicas["t"].set_interest([someone("e").id, someone("b").id], s.now)
        s.run(25)
        s.post("t", someone("e"), 3)
        s.run(8)

    def forks(s: Scene) -> None:
        for tag in "xy":
            log = someone("g").write(3, number=5, tag=tag)
            s.replicas["t"].ingest.run(decode_run(TEST, run_bytes(log, 0, 3)), NOW_MS)
            s.drain("t")
        s.run(25)

    def checkpoints(s: Scene) -> None:
        for name in "ef":
            person = someone(name)
            s.replicas["t"].writes.publish_checkpoint(person.id, signer(person.full("root0")), s.now)
            s.drain("t")
        s.run(25)

    acts = (catch_up, replay, gossip, chosen, forks, checkpoints)
    told = [recorded(act, who) for act in acts for who in (0, ARRIVE)]
    return [*told, *(encode([how, decode(raw, 4)[1]]) for how in (0, CHECKED | SHARE) for raw in told)]
