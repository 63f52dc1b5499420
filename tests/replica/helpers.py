"""Replicas in virtual time on stores in memory, and rogues that send anything."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from typing import Any

from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.ids import AccountId, CellKey, Head, LogId, coll
from banyan_crdt.ops import Put
from banyan_crdt.realm import TEST, Realm
from banyan_crdt.run import decode_run, encode_control
from banyan_crdt.signing import Signer
from banyan_replica.host import PartItem, ReplicaHost
from banyan_replica.intake.author import EntryDraft
from banyan_replica.intake.ingest import Ingest
from banyan_replica.outbox import Commit, Disconnect, Event, Send
from banyan_replica.peers.limits import Limits
from banyan_replica.replica import PeerIdentity, Replica
from banyan_replica.wire.message_table import decode_message, encode_message
from banyan_replica.wire.messages import VERSION, Content, ControlItem, DataItems, Hello, Item, Message, RunItem
from banyan_schema.social import OpDraft
from banyan_storage import tables
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.viewhook import NoViews
from banyan_storage.views import VIEW_TABLES, SocialViews
from tests.crdt.make import Person, run_bytes

START_S = TEST.birth_ms / 1000 + 10 * 86_400
"""Ten days after the realm's birth: later than everything that tests/crdt/make.py dates."""
NOW_MS = int(START_S * 1000)
DELAY_S = 0.02
POSTS = coll("post")


def memory_store(realm: Realm = TEST, engine: MemoryEngine | None = None, name: str = "store") -> Store:
    made = engine or MemoryEngine(tables.STORE_TABLES)
    views = NoViews() if made.tables == tables.STORE_TABLES else SocialViews()
    return Store(made, realm, new_store_id=name.encode().ljust(16, b".")[:16], views=views)


def new_ingest() -> Ingest:
    return Ingest(memory_store(), TEST)


def control_item(person: Person, entries: Sequence[Entry] | None = None) -> ControlItem:
    kept = person.control if entries is None else entries
    salt: list[Content] = [person.salt if e is person.control[0] else None for e in kept]
    return ControlItem(person.id, [encode_control(e, encode_header(e.header)) for e in kept], salt)


def run_item(log: Sequence[Entry], first: int = 0, stop: int | None = None) -> RunItem:
    return RunItem(run_bytes(log, first, len(log) if stop is None else stop), [])


def give(ingest: Ingest, log: Sequence[Entry], first: int = 0, stop: int | None = None, now_ms: int = NOW_MS) -> int:
    """Gives entries first .. stop-1 as one run. Returns how many count newly."""
    run = decode_run(TEST, run_bytes(log, first, len(log) if stop is None else stop))
    return len(ingest.run(run, now_ms))


def draft(text: str, key: int) -> EntryDraft:
    return EntryDraft((Put(POSTS, CellKey(key.to_bytes(16, "big")), (), None),), (text.encode(),))


def plain_hello(**changed: Any) -> Hello:
    return Hello(VERSION, TEST.id, b"a rogue's store.", 0, bytes(32), 0, b"", 0)._replace(**changed)


class Around(ReplicaHost):
    """What a test says of a node's people and of its work."""

    def __init__(self) -> None:
        self.ours: Collection[AccountId] = ()
        self.wanted: Container[AccountId] = ()
        self.long_runs: list[AccountId] | None = None
        self.unread_of: Callable[[str], int] = lambda peer: 0
        self.wait: Container[str] = ()
        self.busy = False
        self.invites: Callable[[str, bytes], tuple[int, bytes]] | None = None
        """What a card of a peer is answered."""
        self.answers: list[tuple[int, bytes]] = []

    def join(self, peer: str, invitation: bytes, card: bytes, sig: bytes) -> tuple[int, bytes] | None:
        return None if self.invites is None else self.invites(peer, card)

    def joined(self, peer: str, state: int, answer: bytes) -> None:
        self.answers.append((state, answer))

    def hosted(self) -> Iterable[AccountId]:
        return self.ours

    def is_hosted(self, account: AccountId) -> bool:
        return account in self.ours

    def is_wanted(self, account: AccountId) -> bool:
        return account in self.wanted

    def folds_later(self, account: AccountId) -> bool:
        if self.long_runs is not None:
            self.long_runs.append(account)
        return self.long_runs is not None

    def unread(self, peer: str) -> int:
        return self.unread_of(peer)

    def has_to_wait(self, peer: str) -> bool:
        return peer in self.wait

    def is_busy(self) -> bool:
        return self.busy


class World:
    """Replicas by name, a queue of frames, one clock. Other names are rogues: what they receive is kept."""

    def __init__(
        self, *names: str, seed: int = 1, limits: Limits | None = None, realm: Realm = TEST, views: bool = False
    ) -> None:
        self.now, self.seed, self.limits, self.realm = START_S, seed, limits or Limits(), realm
        self.tables = (*tables.STORE_TABLES, *VIEW_TABLES) if views else tables.STORE_TABLES
        self.queue: list[tuple[float, int, str, str, bytes]] = []
        self.sent = 0
        self.replicas: dict[str, Replica] = {}
        self.around: dict[str, Around] = defaultdict(Around)
        self.engines: dict[str, MemoryEngine] = {}
        self.heard: dict[str, list[Message]] = defaultdict(list)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.cut: list[tuple[str, str, str]] = []
        """(replica, peer, reason) of every disconnect."""
        self.lost: Callable[[str, str, bytes], bool] = lambda sender, to, data: False
        self.bytes: dict[tuple[str, str], int] = defaultdict(int)
        self.said: list[tuple[str, Message]] | None = None
        """While it is a list: (sender, what it said), of replicas."""
        self.commits = 0
        for name in names:
            self.start(name)

    def start(self, name: str, limits: Limits | None = None, witness: Signer | None = None) -> Replica:
        """A new replica, or a restarted one on what its disk kept."""
        engine = self.engines.setdefault(name, MemoryEngine(self.tables))
        engine.rollback()
        rng = random.Random(f"{name}/{self.seed}")
        store = memory_store(self.realm, engine, name)
        me = PeerIdentity(name, (f"/{name}",))
        most, around = limits or self.limits, self.around[name]
        replica = Replica(store, self.realm, me, rng, rng.randbytes, most, witness=witness, around=around)
        self.replicas[name] = replica
        return replica

    def stop(self, name: str) -> Replica:
        gone = self.replicas.pop(name)
        for other in list(gone.links):
            self.unlink(name, other)
        return gone

    def link(self, a: str, b: str) -> None:
        for x, y, outbound in ((a, b, True), (b, a, False)):
            if x in self.replicas:
                self.replicas[x].peer_up(y, group=y, outbound=outbound, addrs=(f"/{y}",), now=self.now)
        for x in (a, b):
            self.drain(x)

    def unlink(self, a: str, b: str) -> None:
        self.queue = [q for q in self.queue if {q[2], q[3]} != {a, b}]
        heapq.heapify(self.queue)
        for x, y in ((a, b), (b, a)):
            if x in self.replicas:
                self.replicas[x].peer_down(y, self.now)
                self.drain(x)

    def say(self, rogue: str, to: str, *messages: Message | bytes) -> None:
        """Delivers a rogue's message at once."""
        for m in messages:
            self.replicas[to].receive(rogue, m if isinstance(m, bytes) else encode_message(m), self.now)
            self.drain(to)

    def rogue(self, name: str, to: str, **hello: Any) -> None:
        """A rogue connects and says hello."""
        self.link(name, to)
        self.say(name, to, plain_hello(**hello))

    def drain(self, name: str) -> None:
        replica = self.replicas.get(name)
        while replica is not None and (effect := replica.next_effect()) is not None:
            match effect:
                case Commit():
                    replica.store.commit()
                    self.commits += 1
                case Send(peer, data, _):
                    assert not replica.store.pending, "something is said before it is durable"
                    self.bytes[name, peer] += len(data)
                    if self.said is not None:
                        self.said.append((name, decode_message(data)))
                    if not self.lost(name, peer, data):
                        self.sent += 1
                        heapq.heappush(self.queue, (self.now + DELAY_S, self.sent, peer, name, data))
                case Disconnect(peer, reason):
                    self.cut.append((name, peer, reason))
                case Event():
                    self.events[name].append(effect)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        timers = {name: replica.get_timer() for name, replica in self.replicas.items()}
        while True:
            timer, who = min([(t, n) for n, t in timers.items() if t is not None], default=(end, ""))
            at = min(timer, self.queue[0][0] if self.queue else end)
            if at >= end:
                break
            self.now = max(self.now, at)
            if self.queue and self.queue[0][0] <= timer:
                _, _, to, sender, data = heapq.heappop(self.queue)
                if to not in self.replicas:
                    self.heard[to].append(decode_message(data))
                    continue
                if sender not in self.replicas[to].links:
                    continue
                self.replicas[to].receive(sender, data, self.now)
                who = to
            else:
                self.replicas[who].handle_timer(self.now)
            self.drain(who)
            timers[who] = self.replicas[who].get_timer()
        self.now = end

    def until(self, done: Callable[[], bool], within: float) -> float:
        """Runs until `done`. Returns how long that took. Fails after `within` seconds of virtual time."""
        start = self.now
        while not done():
            assert self.now - start < within, f"not within {within} s"
            self.run(0.25)
        return self.now - start

    # -- what to look at

    def digests(self, names: str = "") -> set[bytes]:
        return {r.store.digest() for n, r in self.replicas.items() if not names or n in names.split()}

    def same(self, names: str = "") -> bool:
        """Whether these (default: all) hold the same, with all content."""
        chosen = names.split() or list(self.replicas)
        return len(self.digests(names)) == 1 and not any(self.replicas[n].store.counts().lacking for n in chosen)

    def rejections(self, name: str) -> list[str]:
        return [str(e.fields["reason"]) for e in self.events[name] if e.name == "rejected"]

    def head(self, name: str, log: LogId) -> Head:
        return self.replicas[name].store.head(log)

    def points(self, name: str, peer: str) -> float:
        return self.replicas[name].ledger.points(peer, self.now)

    # -- writing

    def person(self, at: str, name: str) -> Person:
        """An account known to one replica."""
        made = Person(name)
        r = self.replicas[at]
        r.ingest.control(made.id, made.control, NOW_MS)
        r.ingest.parts([PartItem(made.control[0].id, 0, made.salt)])
        r.writes.publish_control(made.id, self.now, push=False)
        self.drain(at)
        return made

    def post(self, at: str, person: Person, n: int, push: bool = False, number: int = 1) -> None:
        """n posts with content, by the person's phone, in one run."""
        r = self.replicas[at]
        log = person.log(number=number)
        drafts = [draft(f"{person.name} {k}", 1_000 * number + r.ingest.head(log).length + k) for k in range(n)]
        r.writes.publish(log, phone_of(person), drafts, self.now, push)
        self.drain(at)


def say(w: World, at: str, person: Person, *drafts: OpDraft, push: bool = True) -> None:
    """The person's phone writes these, an entry each."""
    each = [EntryDraft((draft.op,), (draft.content,)) for draft in drafts]
    w.replicas[at].writes.publish(person.log(), phone_of(person), each, w.now, push)
    w.drain(at)


def phone_of(person: Person) -> Signer:
    from tests.crdt.make import signer

    return signer(person.full("phone"))


def data(*items: Item) -> DataItems:
    return DataItems(list(items))


# -- real nodes
