"""From a symbolic scenario to real entries: real keys, real bytes, real Ed25519 signatures, each verified once.

Keys come from fixed seeds, so a scenario has the same bytes every time. The symbolic entries get the real ids in place
of their numbers, since ties are broken by id. One unit of parts is UNIT bytes and one tick a sixteenth of a day in the
counter alone; what the operations themselves weigh stays below the slack left in the realm's byte limit, so the limits
of the model and those of the realm are the same limits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from banyan_crdt import ops as o
from banyan_crdt.cells import Cells as RealCells
from banyan_crdt.cells import fold as real_fold
from banyan_crdt.entry import Entry as RealEntry
from banyan_crdt.entry import Header, encode_header, entry_id, make_entry, skip_seq
from banyan_crdt.ids import AccountId, CellKey, EntryId, H, LogId, PartHash, Ref, WriterKey, coll, key_digest
from banyan_crdt.realm import DAY_MS, Realm
from banyan_crdt.signing import Signer, verify
from banyan_crdt.state import AccountState, account_state
from tests.model.cells import Cells
from tests.model.nodes import Verdict
from tests.model.scenarios import Scenario
from tests.model.spec import LIMITS, Entry, Id, LogName, Op

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
            keys = tuple(o.Slot(digest(now), digest(following)) for now, following in slots)
            return o.Init(keys, salt=None)  # the model knows no content, and an inception may name none
        case ("grant", writer, first, logs, stratum, colls, until):
            named = None if colls is None else tuple(coll(c) for c in colls)
            last = None if until is None else moment(until)
            return o.Grant(key(writer), first, logs, stratum, named, last, None)
        case ("cut", writer, kept):
            return o.Cut(key(writer), tuple(o.Kept(*k) for k in kept))
        case ("rotate", slot, following):
            return o.Rotate(slot, digest(following))
        case ("recover", root, following):
            return o.Recover(digest(root), digest(following))
        case ("drop", writer, log):
            return o.Drop(key(writer), log)
        case ("close",):
            return o.Close()
        case ("host", platform):
            return o.Host(key(platform))
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


def concrete(s: Scenario) -> Concrete:
    """Writes, signs and verifies every entry."""
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
    return Concrete(Scenario(symbolic, s.limits), list(real.values()))


class RealJudge:
    """Judges by the implementation. Each set of entries is judged once; its entries were verified when made."""

    def __init__(self, c: Concrete) -> None:
        self.c = c
        self.memo: dict[tuple[Id, int], Verdict] = {}
        self.index = {e.id: i for i, e in enumerate(c.real)}

    def state(self, account: Id, mask: int) -> AccountState:
        control: list[RealEntry] = []
        logs: dict[LogId, list[RealEntry]] = {}
        for i, e in enumerate(self.c.real):
            if mask >> i & 1 and e.account == account:
                if e.header.log:
                    logs.setdefault(e.log_id, []).append(e)
                else:
                    control.append(e)
        return account_state(REALM, account, control, logs)

    def judge(self, account: Id, mask: int) -> Verdict:
        got = self.memo.get((account, mask))
        if got is None:
            s = self.state(account, mask)
            keep = {e.id for e in s.control.keep}
            for log in s.logs.values():
                keep.update(e.id for e in log.chain)
                keep.update(e.id for e in log.loose)

            def granted(name: LogName) -> bool:
                log = LogId(account, signer(name[0]).key, name[1])
                return s.control.grant_of(log.writer, log.log) is not None and s.control.cut_of(log)[0]

            heads = {log_name(log): head for log, head in s.heads.items()}
            got = Verdict(dict(heads), sum(1 << self.index[i] for i in keep), granted, tuple(sorted(heads.items())))
            self.memo[account, mask] = got
        return got


_NAMES: dict[bytes, str] = {bytes(32): ""}


def log_name(log: LogId) -> LogName:
    if log.writer not in _NAMES:
        _NAMES.update({signer(n).key: n for n in ("w", "v", "n", "z")})
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
