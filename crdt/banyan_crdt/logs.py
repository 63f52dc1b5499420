"""Which entries of a granted log count: the pinned prefix, then up to the first fork, the cut or the first invalid.

The chain to a pinned id counts whatever else turns up; the first pin wins, a later one must extend it. Above the last
pin a log counts up to its first vertex with two valid children. So a stolen key costs what is above the last pin, and
never the whole log.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from banyan_crdt.entry import Entry
from banyan_crdt.grants import Granted
from banyan_crdt.ids import EntryId, Head, Time
from banyan_crdt.ops import CELL_OPS, CONTROL_OPS, Body, Kept, Pin
from banyan_crdt.realm import Realm

VOID = Body((), (), True, 0)
NOTHING = Head(0, None, 0)


@dataclass(frozen=True, slots=True)
class Counted:
    """`chain` counts, in order; `loose` is held besides, uncounted: evidence, suspended branches, signed tails."""

    chain: tuple[Entry, ...]
    loose: tuple[Entry, ...]
    forked: bool

    @property
    def head(self) -> Head:
        return Head(len(self.chain), self.chain[-1].id if self.chain else None, int(self.forked))


def within_limits(realm: Realm, granted: Granted, seq: int, time: Time, total: int) -> bool:
    """The two quotas, from one header: how many entries and how many bytes a log may hold at that time."""
    since = max(granted.since >> 16, realm.birth_ms)
    elapsed = (time >> 16) - since
    return seq + 1 <= realm.entries_allowed(elapsed) and total <= realm.bytes_allowed(elapsed)


def granted_valid(realm: Realm, granted: Granted, entry: Entry) -> bool:
    """Whether the grant allows the entry: not after `until`, and within both quotas."""
    h = entry.header
    until = granted.grant.until
    return (until is None or h.time <= until) and within_limits(realm, granted, h.seq, h.time, h.total)


def counted_body(body: Body, granted: Granted, declared: int) -> Body:
    """The ops that count: none where one is out of the grant's scope, is a control op, or names undeclared content."""
    if body.void or body.part_bytes > declared:
        return VOID
    colls = granted.grant.colls
    for op in body.ops:
        if isinstance(op, CONTROL_OPS):
            return VOID
        if colls is not None and isinstance(op, CELL_OPS) and op.coll not in colls:
            return VOID
    return body


def count_log(
    realm: Realm, granted: Granted, entries: Collection[Entry], pins: Sequence[Pin], cut: Kept | None
) -> Counted:
    """Pure: the same for any order of `entries` (one log's authentic, linked entries, duplicates allowed).

    `pins` in the order in which they speak: control log first, then logs of lower strata.
    """
    entries = _once(entries)
    held = {e.id: e for e in entries if granted_valid(realm, granted, e)}
    kids: dict[EntryId | None, list[Entry]] = {}
    for e in held.values():
        kids.setdefault(e.header.prev, []).append(e)
    for k in kids.values():
        k.sort(key=lambda e: e.id)
    chain: list[Entry] = []
    for pin in pins:
        if cut is not None and pin.seq > cut.seq:
            continue
        pinned = _upwards(held, pin)
        if pinned is not None and pinned[: len(chain)] == chain:
            chain = pinned
    while cut is None or len(chain) <= cut.seq:
        below = kids.get(chain[-1].id if chain else None, [])
        if len(below) != 1:
            break
        chain.append(below[0])
    below = kids.get(chain[-1].id if chain else None, [])
    forked = len(below) > 1 and (cut is None or len(chain) <= cut.seq)
    if forked:
        branches = [_to_leaf(kids, c) for c in below[:2]]
        loose = [e for b in branches for e in (*b, *_tail(entries, b))]
        loose += _nearest_signed(entries, chain)
    else:
        loose = _tail(entries, chain)
    return Counted(tuple(chain), tuple({e.id: e for e in loose}.values()), forked)


def _once(entries: Collection[Entry]) -> Collection[Entry]:
    """Each entry once, with its signature if any copy has it."""
    found: dict[EntryId, Entry] = {}
    for e in entries:
        if e.id not in found or found[e.id].sig is None:
            found[e.id] = e
    return found.values()


def _upwards(held: Mapping[EntryId, Entry], pin: Pin) -> list[Entry] | None:
    """The chain from seq 0 to the pinned id, or None where a link of it is not held."""
    out: list[Entry] = []
    at: EntryId | None = pin.id
    while at is not None:
        e = held.get(at)
        if e is None:
            return None
        out.append(e)
        at = e.header.prev
    return out[::-1] if len(out) == pin.seq + 1 else None


def _to_leaf(kids: Mapping[EntryId | None, list[Entry]], top: Entry) -> list[Entry]:
    """A suspended branch: from `top` along the smallest child to a leaf among the valid entries."""
    out = [top]
    while below := kids.get(out[-1].id):
        out.append(below[0])
    return out


def _nearest_signed(entries: Collection[Entry], chain: list[Entry]) -> list[Entry]:
    """The shortest way from the end of a forked chain that has no signature down to one: a run reaches only so far, and
    the two branches that are kept may be signed further away than the one that the chain came with."""
    if not chain or chain[-1].sig is not None:
        return []
    kids: dict[EntryId | None, list[Entry]] = {}
    for e in entries:
        kids.setdefault(e.header.prev, []).append(e)
    above: dict[EntryId, Entry] = {}
    row = [chain[-1]]
    while row:
        below = []
        for e in row:
            for c in kids.get(e.id, ()):
                above[c.id] = e
                below.append(c)
        below.sort(key=lambda e: e.id)
        signed = next((e for e in below if e.sig is not None), None)
        if signed is not None:
            way = [signed]
            while above[way[-1].id].id != chain[-1].id:
                way.append(above[way[-1].id])
            return way[::-1]
        row = below
    return []


def _tail(entries: Collection[Entry], chain: list[Entry]) -> list[Entry]:
    """What must be held beyond a chain whose last entry has no signature, so that it stays servable."""
    if not chain or chain[-1].sig is not None:
        return []
    kids: dict[EntryId | None, list[Entry]] = {}
    for e in entries:
        kids.setdefault(e.header.prev, []).append(e)
    out: list[Entry] = []
    at = chain[-1].id
    while below := sorted(kids.get(at, ()), key=lambda e: e.id):
        out.append(below[0])
        if below[0].sig is not None:
            return out
        at = below[0].id
    return out
