"""Real accounts for tests: real keys, real entries, and a store that takes them as the ingest would."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from banyan_crdt.control import resolve_control
from banyan_crdt.entry import Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, Head, LogId, coll, control_log, key_digest
from banyan_crdt.ops import Add, Body, Grant, Init, Op, Slot, decode_body, encode_ops
from banyan_crdt.parts import make_part
from banyan_crdt.realm import TEST
from banyan_crdt.signing import Signer
from banyan_storage.engine import Engine
from banyan_storage.lmdb_engine import LmdbEngine
from banyan_storage.memory_engine import MemoryEngine
from banyan_storage.store import Append, Store
from banyan_storage.tables import STORE_TABLES
from banyan_storage.viewhook import NoViews, ViewHooks

POSTS = coll("test.posts")
START = TEST.birth_ms + 86_400_000
STORE_ID = b"0123456789abcdef"
Item = tuple[EntryId, int, bytes]


def open_engine(kind: str, path: Path) -> Engine:
    return LmdbEngine(path, STORE_TABLES, map_size=1 << 26) if kind == "lmdb" else MemoryEngine(STORE_TABLES)


def open_store(engine: Engine, views: ViewHooks | None = None, store_id: bytes = STORE_ID) -> Store:
    return Store(engine, TEST, new_store_id=store_id, views=views or NoViews())


def seed(name: str) -> bytes:
    return sha256(name.encode()).digest()


def sign(signer: Signer, entry: Entry) -> Entry:
    return entry._replace(sig=signer.sign(entry.id))


def follow(
    signer: Signer, log: LogId, below: Sequence[Entry], ops: Sequence[Op], parts: int = 0, tick: int = 1
) -> Entry:
    """An unsigned entry after `below`, the whole log up to its parent."""
    raw = encode_ops(tuple(ops))
    parent, seq = (below[-1] if below else None), len(below)
    target = skip_seq(seq)
    header = Header(
        AccountId(b"") if log.log == 0 and seq == 0 else log.account,
        signer.key,
        log.log,
        seq,
        parent.id if parent else None,
        None if target is None else below[target].id,
        parent.header.time + tick if parent else (START << 16) + tick,
        (parent.header.total if parent else 0) + len(raw) + parts,
        H("ops", raw),
    )
    return Entry(entry_id(TEST, encode_header(header)), header, raw, None)


def add(name: str, content: bytes | None) -> tuple[Add, bytes]:
    """An op, and its part's bytes (empty where it has no content)."""
    part, raw = make_part(seed(name)[:16], content) if content is not None else (None, b"")
    return Add(POSTS, CellKey(seed("cell")[:16]), CellKey(seed(name)[:16]), part), raw


def bodies(entries: Iterable[Entry]) -> list[Body]:
    return [decode_body(e.ops) for e in entries]


def head_of(entries: Sequence[Entry], flag: int = 0) -> Head:
    return Head(len(entries), entries[-1].id if entries else None, flag)


@dataclass
class Account:
    """A root key, one device with one log, and all that they wrote."""

    name: str
    control: list[Entry] = field(default_factory=list)
    chain: list[Entry] = field(default_factory=list)
    salt: bytes = b""

    def __post_init__(self) -> None:
        self.root, self.device = Signer(TEST, seed(self.name + "root")), Signer(TEST, seed(self.name + "device"))
        part, self.salt = make_part(seed("salt")[:16], seed(self.name))
        slot = Slot(key_digest(self.root.key), seed(self.name + "next"))
        nobody = control_log(AccountId(b""))
        self.control = [sign(self.root, follow(self.root, nobody, [], [Init((slot,), part)], part.size))]
        self.id = AccountId(self.control[0].id)
        grant = Grant(self.device.key, 1, 8, 1, None, None, None)
        self.control.append(sign(self.root, follow(self.root, control_log(self.id), self.control, [grant])))
        self.log = LogId(self.id, self.device.key, 1)

    def open(self, store: Store) -> None:
        store.put_control(self.id, resolve_control(self.control), (), 0)
        store.put_parts([(self.control[0].id, 0, self.salt)])

    def run(
        self, n: int, content: bytes | None = b"content", below: Sequence[Entry] | None = None, tag: str = ""
    ) -> tuple[list[Entry], list[Item]]:
        """The next n entries, the last of them signed, and their parts. Nothing is stored."""
        log, items, first = list(self.chain if below is None else below), list[Item](), 0
        first = len(log)
        for _ in range(n):
            op, raw = add(f"{self.name}{tag}{len(log)}", content)
            log.append(follow(self.device, self.log, log, [op], len(raw)))
            if raw:
                items.append((log[-1].id, 0, raw))
        log[-1] = sign(self.device, log[-1])
        return log[first:], items

    def write(self, store: Store, n: int, content: bytes | None = b"content", parts: bool = True) -> list[Item]:
        """Append a run of n entries, with their parts; returns the parts."""
        entries, items = self.run(n, content)
        self.chain += entries
        store.append([Append(self.log, entries, bodies(entries), (), head_of(self.chain))])
        if parts:
            store.put_parts(items)
        return items
