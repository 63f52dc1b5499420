"""Real entries with keys from fixed seeds: the same bytes every time, so the tests and the vectors share them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from banyan_crdt.checkpoint import Checkpoint, ControlRef, make_checkpoint
from banyan_crdt.entry import Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, LogId, Ref, WriterKey, coll, control_log, key_digest
from banyan_crdt.ops import Add, Body, Cut, Grant, Init, KeptTip, Op, Part, Pin, Rotate, Slot, decode_body, encode_ops
from banyan_crdt.parts import make_part as real_part
from banyan_crdt.realm import TEST, Realm
from banyan_crdt.run import decode_run, encode_run, skips_below
from banyan_crdt.signing import Signer

START = (TEST.birth_ms + 86_400_000) << 16
TICK = 1 << 16
POSTS = coll("test.posts")
NOBODY = AccountId(b"")


def b32(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def key(name: str) -> CellKey:
    return CellKey(b32("cell " + name)[:16])


REAL: dict[str, Signer] = {}
"""Keys of real homes, by the names that tests give them."""


@cache
def signer(name: str, realm: Realm = TEST) -> Signer:
    return REAL.get(name) or Signer(realm, b32("seed " + name))


def digest(name: str) -> bytes:
    return key_digest(signer(name).key)


def make_part(name: str, content: bytes = b"content") -> tuple[Part, bytes]:
    return real_part(b32("salt " + name)[:16], content)


def add(name: str, part: Part | None = None) -> Add:
    return Add(POSTS, key("set"), key(name), part)


def ref(entry: Entry, op: int = 0) -> Ref:
    return Ref(entry.id, op)


def follow(
    by: str,
    log: LogId,
    below: Sequence[Entry],
    *ops: Op,
    parts: int = 0,
    time: int | None = None,
    signed: bool = True,
    raw: bytes | None = None,
    realm: Realm = TEST,
    **changed: Any,
) -> Entry:
    """The entry after `below` (the whole log up to its parent). changed: header fields with wrong values."""
    body = encode_ops(ops) if raw is None else raw
    parent, seq = (below[-1] if below else None), len(below)
    target = skip_seq(seq)
    header = Header(
        NOBODY if log.log == 0 and seq == 0 else log.account,
        signer(by).key,
        log.log,
        seq,
        parent.id if parent else None,
        None if target is None else below[target].id,
        time if time is not None else (parent.header.time if parent else START) + TICK,
        (parent.header.total if parent else 0) + len(body) + parts,
        H("ops", body),
    )._replace(**changed)
    made = Entry(entry_id(realm, encode_header(header)), header, body, None)
    return made._replace(sig=signer(by, realm).sign(made.id)) if signed else made


def unsigned(entry: Entry) -> Entry:
    return entry._replace(sig=None)


def bodies(entries: Iterable[Entry]) -> list[tuple[Entry, Body]]:
    return [(e, decode_body(e.ops)) for e in entries]


class Person:
    """An account: root keys root0, root1, ...; recovery keys rec0, rec1, ...; and a device that has a grant, or
    devices that the inception grants (`within`).

    `control` is the honest path. Names of keys are local: ("an", "root0") is the key "an root0".
    """

    def __init__(
        self, name: str = "an", recovery: bool = True, device: str | None = "phone", within: Sequence[str] = ()
    ) -> None:
        self.name = name
        part, self.salt = make_part(name + " account", b32("account salt " + name)[:16])
        slots = [Slot(self.digest("root0"), self.digest("root1"))]
        if recovery:
            slots.append(Slot(self.digest("rec0"), self.digest("rec1")))
        ops: tuple[Op, ...] = (Init(tuple(slots), part), *(self.grant_op(d) for d in within))
        first = follow(self.full("root0"), control_log(NOBODY), [], *ops, parts=part.size)
        self.control: list[Entry] = [first]
        self.id = AccountId(first.id)
        if device is not None and not within:
            self.grant(device)

    def full(self, short: str) -> str:
        return f"{self.name} {short}"

    def digest(self, short: str) -> bytes:
        return digest(self.full(short))

    def key(self, short: str) -> WriterKey:
        return signer(self.full(short)).key

    def say(self, *ops: Op, by: str = "root0", below: Sequence[Entry] | None = None, time: int | None = None) -> Entry:
        """A control entry; without `below`, at the end of the honest path."""
        entry = follow(self.full(by), control_log(self.id), self.control if below is None else below, *ops, time=time)
        if below is None:
            self.control.append(entry)
        return entry

    def grant_op(self, device: str, first: int = 1, logs: int = 8, stratum: int = 8, until: int | None = None) -> Grant:
        return Grant(self.key(device), first, logs, stratum, None, until, None)

    def grant(self, device: str, by: str = "root0", **kw: int) -> Entry:
        return self.say(self.grant_op(device, **kw), by=by)

    def rotate(self, slot: int, to_next: str) -> Rotate:
        return Rotate(slot, self.digest(to_next))

    def log(self, device: str = "phone", number: int = 1) -> LogId:
        return LogId(self.id, self.key(device), number)

    def write(
        self,
        n: int,
        device: str = "phone",
        number: int = 1,
        below: Sequence[Entry] = (),
        tag: str = "",
        signed: bool = True,
    ) -> list[Entry]:
        """`below` and n more entries, each an add. All are signed unless `signed` is False."""
        log = list(below)
        for _ in range(n):
            op = add(f"{device}{number}{tag}{len(log)}")
            log.append(follow(self.full(device), self.log(device, number), log, op, signed=signed))
        return log

    def checkpoint(self, by: str, names: Entry | None = None, n: int = 1, pins: Sequence[Pin] = ()) -> Checkpoint:
        """A checkpoint of the end of the honest path, or of the entry `names`."""
        end = names or self.control[-1]
        return make_checkpoint(TEST, self.id, signer(self.full(by)), n, ControlRef(end.header.seq, end.id), pins)

    def pin(self, entry: Entry) -> Pin:
        return Pin(entry.header.writer, entry.header.log, entry.header.seq, entry.id)

    def cut(self, device: str, *kept: Entry) -> Cut:
        return Cut(self.key(device), tuple(KeptTip(e.header.log, e.header.seq, e.id) for e in kept))


def run_bytes(log: Sequence[Entry], first: int, stop: int) -> bytes:
    """The run of entries first .. stop-1 out of the whole log; the last must be signed."""
    base = log[first - 1].header.total if first else 0
    return encode_run(log[first:stop], base, [(q, log[q].id) for q in skips_below(first, stop - first)])


def again(log: Sequence[Entry], first: int, stop: int) -> list[EntryId]:
    return [e.id for e in decode_run(TEST, run_bytes(log, first, stop)).entries]
