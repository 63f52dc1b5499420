"""From a symbolic scenario to real entries: real keys, real bytes, real Ed25519 signatures, each verified once.

Keys come from fixed seeds, so a scenario has the same bytes every time. The symbolic entries get the real ids in place
of their numbers, since ties are broken by id. One unit of parts is UNIT bytes and one tick a sixteenth of a day in the
counter alone; what the operations themselves weigh stays below the slack left in the realm's byte limit, so the limits
of the model and those of the realm are the same limits.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from banyan_crdt import ops as o
from banyan_crdt.cells import Cells as RealCells
from banyan_crdt.cells import fold as real_fold
from banyan_crdt.entry import Entry as RealEntry
from banyan_crdt.entry import Header, encode_header, entry_id, make_entry, skip_seq
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, LogId, PartHash, Ref, WriterKey, coll, key_digest
from banyan_crdt.logs import CountedLog, granted_valid, must_hold
from banyan_crdt.realm import DAY_MS, Realm
from banyan_crdt.run import run_row_bytes
from banyan_crdt.signing import Signer, verify
from banyan_crdt.state import AccountState, account_state
from tests.model.cells import Cells
from tests.model.nodes import Verdict
from tests.model.patched import patched
from tests.model.scenarios import Scenario
from tests.model.signed import Said
from tests.model.spec import LIMITS, Entry, Id, Limits, LogName, Op

UNIT = 20_000
SLACK = 19_000
BIRTH_MS = 1_767_225_600_000
REALM = Realm(
    "model",
    birth_ms=BIRTH_MS,
    entry_burst=LIMITS.burst,
    entries_per_day=LIMITS.rate,
    byte_burst=LIMITS.units * UNIT + SLACK,
    bytes_per_day=LIMITS.unit_rate * UNIT,
)


def _32(what: str) -> bytes:
    return hashlib.sha256(what.encode()).digest()


@cache
def signer(name: str) -> Signer:
    return Signer(REALM, _32("key " + name))


@cache
def digest(name: str) -> bytes:
    return key_digest(signer(name).key)


@cache
def cell_key(name: str) -> CellKey:
    return CellKey(_32("cell " + name)[:16])


def part(p: tuple[str, int] | None) -> o.Part | None:
    return p and o.Part(PartHash(_32("part " + p[0])), p[1] * UNIT)


def moment(tick: int) -> int:
    day, counter = divmod(tick, LIMITS.day)
    return BIRTH_MS + (day - LIMITS.birth // LIMITS.day) * DAY_MS << 16 | counter


def with_ids(op: Op, ids: dict[Id, EntryId]) -> Op:
    """The same symbolic operation with real ids in it."""

    def real(i: Id) -> EntryId:
        return ids[i] if i in ids else EntryId(_32(f"nothing {i}"))

    def refs(found: Any) -> Any:
        return tuple((real(i), *rest) for i, *rest in found)

    def place(at: Any) -> Any:
        return at and (real(at[0]), *at[1:])

    match op:
        case ("put", c, k, found, p):
            return ("put", c, k, refs(found), p)
        case ("del", c, found):
            return ("del", c, refs(found))
        case ("text", c, k, left, right, n, p):
            return ("text", c, k, place(left), place(right), n, p)
        case ("textdel", c, ref, start, n):
            return ("textdel", c, place(ref), start, n)
        case ("pin", writer, log, seq, i):
            return ("pin", writer, log, seq, real(i))
        case ("cut", writer, kept):
            return ("cut", writer, tuple((log, seq, real(i)) for log, seq, i in kept))
    return op


def real_op(op: Op) -> o.Op:
    """The implementation's operation for a symbolic one that names real ids."""

    def place(at: Any) -> o.Position | None:
        return at and o.Position(*at)

    def key(name: str) -> WriterKey:
        return signer(name).key

    match op:
        case ("put", c, k, refs, p):
            return o.Put(coll(c), cell_key(k), tuple(Ref(*r) for r in refs), part(p))
        case ("add", c, k, elem, p):
            return o.Add(coll(c), cell_key(k), cell_key(elem), part(p))
        case ("del", c, refs):
            return o.Del(coll(c), tuple(Ref(*r) for r in refs))
        case ("count", c, k, delta):
            return o.Count(coll(c), cell_key(k), delta)
        case ("text", c, k, left, right, n, p):
            return o.Text(coll(c), cell_key(k), place(left), place(right), n, part(p))
        case ("textdel", c, ref, start, n):
            return o.TextDel(coll(c), Ref(*ref[:2]), start, n)
        case ("tomb", c, k):
            return o.Tomb(coll(c), cell_key(k))
        case ("pin", writer, log, seq, i):
            return o.Pin(key(writer), log, seq, i)
        case ("init", slots):
            keys = tuple(o.Slot(digest(current), digest(following)) for current, following in slots)
            return o.Init(keys, salt=None)  # the model knows no content, and an inception may name none
        case ("grant", writer, first, logs, stratum, colls, until):
            named = None if colls is None else tuple(coll(c) for c in colls)
            last = None if until is None else moment(until)
            return o.Grant(key(writer), first, logs, stratum, named, last, None)
        case ("cut", writer, kept):
            return o.Cut(key(writer), tuple(o.KeptTip(*k) for k in kept))
        case ("rotate", slot, following):
            return o.Rotate(slot, digest(following))
        case ("recover", root, following):
            return o.Recover(digest(root), digest(following))
        case ("drop", writer, log):
            return o.Drop(key(writer), log)
        case ("close",):
            return o.Close()
        case ("host", platform):
            return o.Host(AccountId(key(platform)))
        case ("future", n):
            return o.Unknown(900 + n, (n,))
        case ("broken",):
            return o.Unknown(1, (7,))
    raise ValueError(f"{op[0]} is not an operation of the model")


@dataclass
class Concrete:
    """`symbolic` with real ids, and `real[i]` for its entry number i."""

    symbolic: Scenario
    real: list[RealEntry]


def concrete(s: Scenario, rng: random.Random | None = None) -> Concrete:
    """Writes, signs and verifies every entry. rng: chooses again which signatures are sent, as sizes are known now."""
    ids: dict[Id, EntryId] = {}
    real: dict[Id, RealEntry] = {}
    symbolic: list[Entry] = []
    for e in s.entries:
        ops = tuple(with_ids(op, ids) for op in e.ops)
        # `deps` are inert: here they make sure that two entries of one scenario never have the same bytes.
        raw = o.encode_ops(tuple(real_op(op) for op in ops), (EntryId(_32(f"this is entry {e.id}")),))
        parent = real.get(e.prev)
        above = parent
        target = skip_seq(e.seq)
        while target is not None and above is not None and above.header.seq > target:
            above = next(r for r in real.values() if above is not None and r.id == above.header.prev)
        header = Header(
            account=AccountId(b"" if parent is None and not e.log else ids[e.account]),
            writer=signer(e.signer).key,
            log=e.log,
            seq=e.seq,
            prev=parent.id if parent else None,
            skip=above.id if target is not None and above is not None else None,
            time=moment(e.time),
            total=(parent.header.total if parent else 0) + len(raw) + e.declared * UNIT,
            ops_hash=H("ops", raw),
        )
        head = encode_header(header)
        i = entry_id(REALM, head)
        made = make_entry(REALM, head, raw, signer(e.signer).sign(i))
        verify(REALM, header.writer, made.id, made.sig or b"")
        if made.header.total - e.total * UNIT > SLACK:
            raise ValueError(f"the ops of log {e.name} weigh more than the slack of {SLACK} bytes: shrink the scenario")
        ids[e.id], real[e.id] = made.id, made
        symbolic.append(
            e._replace(id=made.id, account=ids[e.account], prev=None if e.prev is None else ids[e.prev], ops=ops)
        )
    entries = list(real.values())
    sizes = [run_row_bytes(e.ops) for e in entries]
    limits = s.limits
    if rng is not None and rng.random() < 0.3:
        limits = limits._replace(run_bytes=max(sizes) * rng.choice([1, 2, 3]))
    made_of = Scenario(symbolic, limits, s.signed, sizes)
    if rng is not None:
        made_of.sign(rng)
    return Concrete(made_of, entries)


class RealJudge:
    """Judges by the implementation. Each set of entries is judged once; its entries were verified when made."""

    def __init__(self, c: Concrete) -> None:
        self.c = c
        self.memo: dict[tuple[Id, int], Verdict] = {}
        self.index = {e.id: i for i, e in enumerate(c.real)}
        self.unsigned = [e._replace(sig=None) if e.header.log else e for e in c.real]

    def state(self, account: Id, mask: int, signed: int = -1, said: Sequence[Said] = ()) -> AccountState:
        control: list[RealEntry] = []
        logs: dict[LogId, list[RealEntry]] = {}
        for i, e in enumerate(self.c.real):
            if mask >> i & 1 and e.account == account:
                if e.header.log:
                    logs.setdefault(e.log_id, []).append(e if signed >> i & 1 else self.unsigned[i])
                else:
                    control.append(e)
        return account_state(REALM, account, control, logs, [c.real for c in said if c.real.account == account])

    def mask(self, entries: Iterable[RealEntry]) -> int:
        return sum(1 << self.index[e.id] for e in entries)

    def places(self, entries: Iterable[RealEntry]) -> tuple[int, ...]:
        return tuple(self.index[e.id] for e in entries)

    def judge(self, account: Id, mask: int) -> Verdict:
        got = self.memo.get((account, mask))
        if got is None:
            got = self.memo[account, mask] = self._judge(account, mask)
        return got

    def _judge(self, account: Id, mask: int) -> Verdict:
        s = self.state(account, mask)
        c, own = s.control, [i for i, e in enumerate(self.c.real) if mask >> i & 1 and e.account == account]
        on_path = len(c.path)
        chains = {("", 0): self.places(c.path)}
        evidence = {("", 0): self.places(c.keep[on_path:])}
        for log, counted in s.logs.items():
            chains[log_name(log)] = self.places(counted.chain)
            if counted.forked:
                evidence[log_name(log)] = self._children(s, log, counted, own)[:2]
        heads = {log_name(log): head for log, head in s.heads.items()}

        def granted_log(name: LogName) -> bool:
            log = LogId(AccountId(account), signer(name[0]).key, name[1])
            return c.grant_of(log.writer, log.log) is not None and c.cut_of(log)[0]

        def may_count(i: int) -> bool:
            e = self.c.real[i]
            granted, (counts, cut) = c.grant_of(e.header.writer, e.header.log), c.cut_of(e.log_id)
            below = counts and (cut is None or e.header.seq <= cut.seq)
            return granted is not None and below and granted_valid(REALM, granted, e)

        control = self.mask((*c.path, *c.beside))
        return Verdict(dict(heads), chains, evidence, control, granted_log, may_count, tuple(sorted(heads.items())))

    def _children(self, s: AccountState, log: LogId, counted: CountedLog, own: Iterable[int]) -> tuple[int, ...]:
        granted, end = s.control.grant_of(log.writer, log.log), counted.head.id
        assert granted is not None
        mine = [e for i in own if (e := self.c.real[i]).log_id == log and e.header.prev == end]
        return self.places(sorted((e for e in mine if granted_valid(REALM, granted, e)), key=lambda e: e.id))

    def stays(self, account: Id, mask: int, signed: int, firm: int, said: Sequence[Said] = ()) -> int:
        """The entries that the implementation keeps when the 30 days of all except `firm` are over."""
        s = self.state(account, mask, signed, said)
        own = [e for i, e in enumerate(self.c.real) if mask >> i & 1 and e.account == account]
        stays = {e.id for e in s.control.keep} | {e.id for c in s.logs.values() for e in c.chain}
        for log in {e.log_id for e in own if e.header.log}:
            counted = s.logs.get(log, CountedLog((), False, 0))
            on_chain = {e.id for e in counted.chain}
            mine = [(i, e) for i, e in enumerate(self.c.real) if mask >> i & 1 and e.log_id == log]
            loose = [e if signed >> i & 1 else self.unsigned[i] for i, e in mine if e.id not in on_chain]
            held_on = [e.id for i, e in mine if firm >> i & 1 and e.id not in on_chain]
            granted = s.control.grant_of(log.writer, log.log)
            stays |= must_hold(REALM, granted, counted, loose, held_on)
        at: int | None
        for k in (i for i, e in enumerate(self.c.real) if firm >> i & 1 and e.account == account and not e.header.log):
            at = k
            while at is not None:
                stays.add(self.c.real[at].id)
                at = self.c.symbolic.prev[at]
        return sum(1 << self.index[i] for i in stays)


@contextmanager
def in_force(limits: Limits) -> Iterator[None]:
    """Gives the implementation the limits of a set, in every module that has them."""
    most = limits.control_units * UNIT + SLACK
    with patched(
        MAX_CONTROL=limits.control,
        MAX_CONTROL_BYTES=most,
        MORE_REVOKING_BYTES=(limits.revoking_units - limits.control_units) * UNIT,
        MAX_RUN_ENTRIES=limits.run,
        RUN_ROWS_BYTES=limits.run_bytes,
    ):
        yield


_NAMES: dict[bytes, str] = {bytes(32): ""}


def log_name(log: LogId) -> LogName:
    if log.writer not in _NAMES:
        names = ["w", "v", "n", "z", "nobody", *(f"{k}{turn}" for k in "KRXY" for turn in range(10))]
        _NAMES.update({signer(n).key: n for n in names})
    return (_NAMES[log.writer], log.log)


def plain_cells(cells: RealCells) -> Cells:
    """The implementation's cells in the model's shape."""
    sets: dict[Any, Any] = dict(cells.sets)
    counters: dict[Any, int] = dict(cells.counters)
    tombs: set[Any] = set(cells.tombs)
    texts: dict[Any, Any] = {cell: tuple((*ref, k) for ref, k in found) for cell, found in cells.texts.items()}
    values: dict[Any, Any] = {
        cell: tuple(((entry, i), put.part) for (_, entry, i), put in found) for cell, found in cells.registers.items()
    }
    return Cells(
        registers={cell: found[0] for cell, found in values.items()},
        values=values,
        sets={cell: frozenset(found) for cell, found in sets.items()},
        counters=counters,
        texts={cell: found for cell, found in texts.items() if found},
        tombs=frozenset(tombs),
    )


def real_cells(s: AccountState) -> Cells:
    return plain_cells(real_fold(s.counted()))


def named_cells(cells: Cells) -> Cells:
    """The model's cells with the implementation's names for collections, keys, elements and parts."""

    def cell(name: tuple[str, str]) -> Any:
        return (coll(name[0]), cell_key(name[1]))

    def element(name: str) -> Any:
        return cell_key(name)

    return Cells(
        registers={cell(k): (ref, part(p)) for k, (ref, p) in cells.registers.items()},
        values={cell(k): tuple((ref, part(p)) for ref, p in found) for k, found in cells.values.items()},
        sets={cell(k): frozenset(element(e) for e in found) for k, found in cells.sets.items()},
        counters={cell(k): n for k, n in cells.counters.items()},
        texts={cell(k): found for k, found in cells.texts.items()},
        tombs=frozenset(cell(k) for k in cells.tombs),
    )
