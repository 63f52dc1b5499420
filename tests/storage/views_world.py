"""People who write anything they may into one store, as a node takes it: edits, deletions, lies, cuts, forks."""

from __future__ import annotations

import random

from banyan_crdt.entry import Entry
from banyan_crdt.ids import CellKey, Coll, LogId, Ref, coll
from banyan_crdt.ops import Add, Count, Del, Grant, Put, Text
from banyan_crdt.parts import make_part
from banyan_crdt.realm import TEST
from banyan_reading.queries import Queries
from banyan_replica.host import PartItem
from banyan_replica.intake.ingest import Ingest
from banyan_schema.social import (
    FOLLOW,
    POST,
    PROFILE,
    REACTION,
    OpDraft,
    Poll,
    Post,
    Relation,
    ReplyTo,
    Target,
    delete_post,
    encode_post,
    react,
    relate,
    repost,
    seal,
    set_profile,
    undo,
    write_post,
    write_vote,
)
from banyan_storage.check import verify
from banyan_storage.engine import Engine
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.views import VIEW_TABLES, SocialViews
from banyan_storage.views.builder import step
from tests.crdt.make import Person, follow
from tests.replica.helpers import NOW_MS, Around, give
from tests.storage.dumb_views import fold_all, same

DEVICES = ("phone", "tablet", "radio")
TEXTS = coll("vn.example.text")
KINDS = (
    *("post", "post", "post", "reply", "reply", "edit", "delete", "react", "repost"),
    *("follow", "relate", "undo", "profile", "odd", "vote"),
)
POLLS = (Poll(("a", "b", "c"), "several", NOW_MS + 10_000_000), Poll(("a", "b"), "one", NOW_MS - 10_000_000))
"""The second one closed before anything is written."""
SOME = tuple(sorted((FOLLOW, REACTION, TEXTS)))
"""The collections that a radio may write in: the rest of what it says counts as nothing."""
RELATIONS: tuple[Relation, ...] = ("follow", "block", "mute")


class World:
    """People who write anything they may into one store; content comes at any time."""

    def __init__(self, seed: object, engine: Engine | None = None) -> None:
        self.rng = random.Random(str(seed))
        self.engine = engine or MemoryEngine((*STORE_TABLES, *VIEW_TABLES))
        store, self.around = Store(self.engine, TEST, new_store_id=bytes(16), views=SocialViews()), Around()
        self.node = Ingest(store, TEST, around=self.around)
        self.people = [Person(f"p{n}") for n in range(5)]
        self.chains: dict[LogId, list[Entry]] = {}
        self.live: list[tuple[Person, Ref, Put | Add]] = []
        self.targets: list[Target] = []
        self.waiting: list[PartItem] = []
        self.held: list[PartItem] = []
        self.broken: set[LogId] = set()
        self.drawn = 0
        for person in self.people:
            person.grant("tablet")
            person.say(Grant(person.key("radio"), 1, 8, 8, SOME, None, None))
            self.node.control(person.id, person.control, NOW_MS)
            for device in DEVICES:
                self.chains[person.log(device)] = []

    @property
    def ask(self) -> Queries:
        return Queries(self.engine.write(), self.node.store, lambda: 0)

    def draw(self) -> bytes:
        self.drawn += 1
        return self.rng.randbytes(16)

    def turn(self) -> None:
        rng, person = self.rng, self.rng.choice(self.people)
        kind = rng.choices(("write", "parts", "erase", "cut", "fork", "late"), (20, 6, 1, 0.3, 0.5, 1))[0]
        if kind == "write":
            self.write(person, rng.choice(DEVICES), [self.draft(person) for _ in range(rng.choice((1, 1, 1, 2, 3)))])
        elif kind == "parts" and self.waiting:
            rng.shuffle(self.waiting)
            some = [self.waiting.pop() for _ in range(rng.randint(1, len(self.waiting)))]
            self.node.parts(some)
            self.held += some
        elif kind == "erase" and self.held:
            item = rng.choice(self.held)
            if rng.random() < 0.7:
                self.node.store.erase_part(item.entry, item.op, None)
            elif self.node.store.want_part(item.entry, item.op):
                self.node.parts([item])
        elif kind == "cut":
            log = person.log("tablet")
            if chain := self.chains[log]:
                person.say(person.cut("tablet", rng.choice(chain)))
                self.node.control(person.id, person.control, NOW_MS)
                self.broken.add(log)
        elif kind == "fork":
            self.fork(person)
        elif kind == "late":  # somebody claims an old time, so that his writes tie with, or stand below, others
            self.write(person, "tablet", [self.draft(person)], tick=1)

    def fork(self, person: Person) -> None:
        """Two branches of one log; half of the times the account pins one of them, and the fork is undone."""
        log = person.log("phone")
        chain = self.chains[log]
        if log in self.broken or not chain:
            return
        at = self.rng.randrange(len(chain))
        other = [
            *chain[:at],
            self.entry(person, "phone", chain[:at], [self.draft(person), self.draft(person)], 1 << 16),
        ]
        give(self.node, other, at)
        if self.rng.random() < 0.5:
            chosen = self.rng.choice((other, chain))
            person.say(person.pin(chosen[-1]))
            self.node.control(person.id, person.control, NOW_MS)
            if self.node.head(log).flag:
                self.broken.add(log)
            self.chains[log] = chosen
        else:
            self.broken.add(log)

    def entry(self, person: Person, device: str, below: list[Entry], drafts: list[OpDraft], tick: int) -> Entry:
        sealed = [seal(draft, self.draw()) for draft in drafts]
        size = sum(len(raw) for _, raw in sealed if raw is not None)
        time = below[-1].header.time + tick if below and tick != 1 << 16 else None
        made = follow(person.full(device), person.log(device), below, *(op for op, _ in sealed), parts=size, time=time)
        for at, (op, raw) in enumerate(sealed):
            if isinstance(op, Put | Add):
                self.live.append((person, Ref(made.id, at), op))
            if raw is not None:
                self.waiting.append(PartItem(made.id, at, raw))
        return made

    def write(self, person: Person, device: str, drafts: list[OpDraft], tick: int = 1 << 16) -> None:
        log = person.log(device)
        if log in self.broken:
            return
        chain = self.chains[log]
        made = self.entry(person, device, chain, drafts, tick)
        give(self.node, [*chain, made], len(chain))
        chain.append(made)
        if self.rng.random() < 0.6:  # its content came with it
            some = [item for item in self.waiting if item.entry == made.id]
            self.node.parts(some)
            self.waiting = [item for item in self.waiting if item.entry != made.id]
            self.held += some

    def reply(self, target: Target) -> ReplyTo:
        """Half of them are in one conversation, whatever they answer."""
        return ReplyTo(self.targets[0] if self.targets and self.rng.random() < 0.5 else target, target)

    def draft(self, person: Person) -> OpDraft:
        rng, salt = self.rng, b"salt of " + person.name.encode()
        target = (
            rng.choice(self.targets) if self.targets and rng.random() < 0.9 else Target(person.id, CellKey(bytes(16)))
        )
        own = [(ref, op) for who, ref, op in self.live if who is person]
        kind = rng.choice(KINDS)
        if kind in ("post", "reply"):
            key = CellKey(self.draw())
            reply = self.reply(target) if kind == "reply" else None
            created = rng.choice((None, NOW_MS - rng.randrange(10_000), 1 << 47, 1 << 60))
            if created is not None and not created >> 47 and rng.random() < 0.8:
                key = CellKey(created.to_bytes(6, "big") + key[:10])
            self.targets.append(Target(person.id, key))
            poll = rng.choice((None, None, *POLLS))
            return write_post(key, Post(f"post {self.drawn}", reply, created_ms=created, poll=poll))
        if kind == "edit" and own:
            writes = [(ref, op) for ref, op in own if op.coll == POST and isinstance(op, Put)]
            if writes:
                _, op = rng.choice(writes)
                refs = [r for r, o in writes if o.key == op.key and rng.random() < 0.7]
                reply = self.reply(target) if rng.random() < 0.3 else None
                created = rng.choice((NOW_MS - 5, int.from_bytes(op.key[:6], "big")))
                return write_post(op.key, Post(f"edit {self.drawn}", reply, created_ms=created), refs)
        if kind == "delete" and self.targets:
            return delete_post(rng.choice(self.targets).key)
        if kind == "react":
            return react(rng.choice((salt, self.draw())), target, rng.choice("❤🌳"))
        if kind == "vote":  # now and then into another cell, as a liar does
            said = write_vote(target, rng.choice(POLLS), rng.sample(range(3), rng.randrange(1, 4)))
            assert isinstance(said.op, Put)
            return said if rng.random() < 0.8 else said._replace(op=said.op._replace(key=CellKey(self.draw())))
        if kind == "repost":
            return repost(rng.choice((salt, self.draw())), target)
        if kind in ("follow", "relate"):  # now and then into another cell, as a liar does who wants to count twice
            word = RELATIONS[0] if kind == "follow" else rng.choice(RELATIONS)
            return relate(rng.choice((salt, self.draw())), word, rng.choice(self.people).id)
        if kind == "undo" and own:
            some = rng.sample(own, min(len(own), 2))
            return undo(some[0][1].coll, [ref for ref, _ in some])
        if kind == "profile":
            refs = [ref for ref, op in own if op.coll == PROFILE and rng.random() < 0.8]
            return set_profile(salt, rng.choice(("name", "about")), f"value {self.drawn}", refs)
        return self.odd(person)

    def odd(self, person: Person) -> OpDraft:
        """Invalid content, content that no view knows, and operations that are shown nowhere."""
        salt, raw = self.draw(), self.rng.randbytes(9)
        part, _ = make_part(salt, raw)
        cell = CellKey(bytes(16))
        return self.rng.choice(
            (
                OpDraft(Put(POST, cell, (), None), raw),
                OpDraft(Add(POST, cell, CellKey(bytes(16)), None), encode_post(Post("an element"))),
                OpDraft(Put(Coll(FOLLOW), cell, (), None), raw),
                OpDraft(Add(TEXTS, cell, CellKey(salt), None), raw),
                OpDraft(Count(TEXTS, cell, 3), None),
                OpDraft(Text(TEXTS, cell, None, None, 1, part), None),
                OpDraft(Del(FOLLOW, (Ref(self.people[0].control[0].id, 0),)), None),
            )
        )

    # -- what has to hold

    def agrees(self) -> None:
        accounts = sorted(person.id for person in self.people)
        same(self.ask, fold_all(self.node, accounts), accounts)

    def proved(self) -> None:
        found = [p for p in verify(self.node.store, lambda account, n: None) if p.where.startswith("views")]
        assert found == []

    def build(self, size: int) -> bool:
        return step(self.engine.write(), self.node.store, size)
