"""Accounts that write social operations to several logs, and what the pure fold says that their views must contain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from banyan_crdt.cells import Stamp, fold
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, CellKey, EntryId, LogId, Ref
from banyan_crdt.ops import Body, Op, decode_body, part_of
from banyan_crdt.parts import open_part
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_schema.social import OpDraft, Post, ReplyTo, Target, post_key, react, relate, repost, seal, write_post
from banyan_storage.engine import Engine, ReadTxn
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.slots import (
    CELLS,
    NUMBERS,
    SHOWN,
    TIMELINE,
    SlotContent,
    element_slot,
    register_slot,
    rows_shown,
    shown,
    stamp_bytes,
)
from banyan_storage.store import Append, Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.views import VIEW_TABLES, SocialViews
from banyan_storage.views.registry import ROW_TABLES, rows_of
from banyan_storage.views.view import Row
from tests.storage.accounts import STORE_ID, bodies, follow, head_of, seed

Item = tuple[EntryId, int, bytes]


def social_store(engine: Engine | None = None) -> tuple[Store, Engine]:
    engine = engine or MemoryEngine((*STORE_TABLES, *VIEW_TABLES))
    return Store(engine, TEST, new_store_id=STORE_ID, views=SocialViews()), engine


@dataclass
class Person:
    """One account's logs, each written by one device; `parts` holds all content by operation."""

    name: str
    logs: dict[LogId, list[Entry]] = field(default_factory=dict)
    parts: dict[Ref, bytes] = field(default_factory=dict)
    drawn: int = 0

    def __post_init__(self) -> None:
        self.id = AccountId(seed(self.name))
        self.salt = seed(self.name + "salt")
        self.device = Signer(TEST, seed(self.name + "device"))

    def draw(self) -> bytes:
        """16 bytes that differ each time."""
        self.drawn += 1
        return seed(f"{self.name} {self.drawn}")[:16]

    def log(self, number: int) -> LogId:
        return LogId(self.id, self.device.key, number)

    def write(self, drafts: Sequence[OpDraft | Op], log: int = 1, tick: int = 1 << 16) -> Entry:
        """The next entry of a log; nothing is stored."""
        ops: list[Op] = []
        raws: dict[int, bytes] = {}
        for draft in drafts:
            op, raw = seal(draft, self.draw()) if isinstance(draft, OpDraft) else (draft, None)
            if raw is not None:
                raws[len(ops)] = raw
            ops.append(op)
        chain = self.logs.setdefault(self.log(log), [])
        chain.append(follow(self.device, self.log(log), chain, ops, sum(map(len, raws.values())), tick))
        self.parts.update({Ref(chain[-1].id, i): raw for i, raw in raws.items()})
        return chain[-1]

    # what the tests of queries say in one word

    def post(self, text: str, reply: Target | None = None, root: Target | None = None, **more: Any) -> Target:
        key = post_key(self.salt, self.draw())
        answer = ReplyTo(root or reply, reply) if reply else None
        self.write([write_post(key, Post(text, answer, **more))])
        return Target(self.id, key)

    def follow(self, other: Person) -> Ref:
        return Ref(self.write([relate(self.salt, "follow", other.id)]).id, 0)

    def react(self, target: Target, emoji: str) -> Ref:
        return Ref(self.write([react(self.salt, target, emoji)]).id, 0)

    def repost(self, target: Target) -> Ref:
        return Ref(self.write([repost(self.salt, target)]).id, 0)

    def last(self, log: int = 1) -> Ref:
        return Ref(self.logs[self.log(log)][-1].id, 0)

    def send(self, store: Store) -> None:
        """Gives the store all that it lacks, with content."""
        for log, chain in self.logs.items():
            new = chain[store.head(log).length :]
            if new:
                store.append([Append(log, new, bodies(new), (), head_of(chain))])
        store.put_parts([(ref.entry, ref.op, raw) for ref, raw in self.parts.items()])
        store.commit()


def expected(store: Store, account: AccountId, counted: Iterable[tuple[Entry, Body]], txn: ReadTxn) -> set[Row]:
    """The rows by the pure fold, from held content."""
    number = txn.get(NUMBERS, account)
    assert number is not None
    counted = list(counted)
    refs: dict[bytes, Ref] = {}
    parts = {Ref(e.id, i): part_of(op) for e, body in counted for i, op in enumerate(body.ops)}

    def stamp(at: Stamp) -> bytes:
        time, entry, i = at
        n = store.number_of(entry)
        assert n is not None
        made = stamp_bytes(time, n << 16 | i)
        refs[made[8:]] = Ref(entry, i)
        return made

    def content_of(place: bytes) -> bytes | None:
        ref = refs[place]
        raw, part = store.part(ref.entry, ref.op), parts[ref]
        return None if raw is None or part is None else open_part(part, raw)

    cells = fold(counted)
    slots: dict[bytes, list[bytes]] = {}
    for (coll, key), writes in cells.registers.items():
        slots[register_slot(number, coll, key)] = [stamp(at) for at, _ in writes][::-1]
    for (coll, key), elements in cells.sets.items():
        for elem, adds in elements.items():
            slots[element_slot(number, coll, key, elem)] = [stamp(at) for at, _ in adds]
    rows: set[Row] = set()
    for slot, live in slots.items():
        show = shown(slot, live, content_of)
        rows.update((CELLS, slot[:4], slot[4:] + at) for at in live if show is None or at != show.stamp)
        if show is not None:
            place = show.stamp[8:]
            showing = SlotContent(slot, place, show.seed)
            rows.update(rows_shown(showing) + rows_of(showing))
    return rows


def actual(txn: ReadTxn) -> set[Row]:
    return {(table, key, value) for table in (CELLS, SHOWN, TIMELINE, *ROW_TABLES) for key, value in txn.scan(table)}


def agrees(store: Store, engine: Engine, people: Iterable[Person]) -> None:
    """Checks that the updated views equal the pure fold of what counts now."""
    txn = engine.write()
    wanted: set[Row] = set()
    for person in people:
        chains = [e for log in person.logs for e in store.walk(log)]
        if chains:
            wanted |= expected(store, person.id, [(e, decode_body(e.ops)) for e in chains], txn)
    assert actual(txn) == wanted


def key(n: int) -> CellKey:
    return CellKey(bytes((n,)) * 16)
