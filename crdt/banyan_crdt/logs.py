"""The rights that a control log gives, and which entries of a granted log count: the pinned beginning, then up to the
first fork, the cut or the last valid one.

The chain to a pinned id counts, whatever other entries arrive. The first pin wins; a later one must extend its chain.
Above the last pin a log counts up to its first vertex with two valid children. So a stolen key can only damage what is
above the last pin.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.ids import EntryId, Head, LogId, Time, WriterKey
from banyan_crdt.ops import CELL_OPS, CONTROL_OPS, Body, Grant, KeptTip, Pin
from banyan_crdt.realm import Realm
from banyan_crdt.run import MAX_RUN_ENTRIES, RUN_ROWS_BYTES, run_row_bytes

# Entries of granted logs are judged by these rights alone, so a node caches them for each account. The rest of the
# control log (`banyan_crdt.control.Control`) is needed only to judge control entries and to count an account again.

LogName = tuple[WriterKey, int]
"""(writer, log) inside one account."""


class PathGrant(NamedTuple):
    """A grant on the path. `since`: the time of its entry, from which quotas grow. `order`: its place among the grants
    of the path, from 0."""

    grant: Grant
    since: Time
    order: int

    def covers(self, log: int) -> bool:
        """Whether the grant lets its writer write this log."""
        return self.grant.first <= log < self.grant.first + self.grant.logs


@dataclass(slots=True)
class Grants:
    """`grants`: by writer, in the order of the path. `cuts`: for each writer that was cut, the logs that it keeps."""

    grants: Mapping[WriterKey, Sequence[PathGrant]]
    cuts: Mapping[WriterKey, Mapping[int, KeptTip]]
    dropped: AbstractSet[LogName]
    closed: bool

    def grant_of(self, writer: WriterKey, log: int) -> PathGrant | None:
        """The first grant that covers the log. None if there is none, the log is dropped, or the account is closed."""
        if self.closed or (self.dropped and (writer, log) in self.dropped):
            return None
        for granted in self.grants.get(writer, ()):
            if granted.covers(log):
                return granted
        return None

    def voice_of(self, writer: WriterKey) -> PathGrant | None:
        """The grant that the pins of the writer's checkpoint act under: its lowest by (stratum, order). None if it has
        no grant, was cut, or the account is closed."""
        if self.closed or writer in self.cuts:
            return None
        return min(self.grants.get(writer, ()), key=lambda g: (g.grant.stratum, g.order), default=None)

    def order_of(self, log: LogId) -> tuple[int, int, int]:
        """The sort key by which logs are counted: (stratum, order of the grant, log). So pins of a lower stratum are
        known before they are needed."""
        g = self.grant_of(log.writer, log.log)
        return (g.grant.stratum, g.order, log.log) if g else (256, 0, 0)

    def cut_of(self, log: LogId) -> tuple[bool, KeptTip | None]:
        """(whether the log may count, the last entry that a cut keeps or None). A cut names every log that it keeps."""
        cuts = self.cuts.get(log.writer)
        if cuts is None:
            return True, None
        return log.log in cuts, cuts.get(log.log)


VOID = Body((), (), True, 0)
NOTHING = Head(0, None, 0)


@dataclass(frozen=True, slots=True)
class CountedLog:
    """`chain`: the entries that count, in order. `pinned`: how many of them count because of a pin. Other entries that
    are held do not count."""

    chain: tuple[Entry, ...]
    forked: bool
    pinned: int

    @property
    def head(self) -> Head:
        """Its head in the frontier; flag 1 if it is forked."""
        return Head(len(self.chain), self.chain[-1].id if self.chain else None, int(self.forked))


def within_limits(realm: Realm, granted: PathGrant, seq: int, time: Time, total: int) -> bool:
    """Whether an entry is within both quotas, by its header alone. `time`: as in a header; `total`: bytes."""
    if seq < realm.entry_burst and total <= realm.byte_burst:
        return True  # most logs are short: the bursts are allowed from the first moment
    since = max(granted.since >> 16, realm.birth_ms)
    elapsed = (time >> 16) - since
    return seq + 1 <= realm.entries_allowed(elapsed) and total <= realm.bytes_allowed(elapsed)


def granted_valid(realm: Realm, granted: PathGrant, entry: Entry) -> bool:
    """Whether the grant allows the entry: it is not dated after `until`, and is within both quotas."""
    h = entry.header
    until = granted.grant.until
    return (until is None or h.time <= until) and within_limits(realm, granted, h.seq, h.time, h.total)


def counted_body(body: Body, granted: PathGrant, declared: int) -> Body:
    """The ops of an entry that count. VOID if one is outside the grant's collections or is a control op, or if their
    parts are larger than the `declared` bytes."""
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
    realm: Realm, granted: PathGrant, entries: Iterable[Entry], pins: Sequence[Pin], cut: KeptTip | None
) -> CountedLog:
    """The result is the same for any order of `entries`: authentic, linked entries of one log; duplicates are allowed.

    `pins`: in the order in which they apply (control log, root's checkpoint, lower strata). `cut`: the last entry that
    a cut keeps, or None. Raises nothing.
    """
    held: dict[EntryId, Entry] = {}
    for e in entries:
        if (e.id not in held or e.sig is not None) and granted_valid(realm, granted, e):
            held[e.id] = e
    kids = by_parent(held.values())
    chain: list[Entry] = []
    astray: set[EntryId] = set()
    for pin in pins:
        if cut is None or pin.seq <= cut.seq:
            chain += _onwards(held, chain, pin, astray)
    pinned = len(chain)
    while cut is None or len(chain) <= cut.seq:
        above = kids.get(chain[-1].id if chain else None, [])
        if len(above) != 1:
            return CountedLog(tuple(chain), len(above) > 1, pinned)
        chain.append(above[0])
    return CountedLog(tuple(chain), False, pinned)


def by_parent(entries: Iterable[Entry]) -> dict[EntryId | None, list[Entry]]:
    """The children of each entry, in the order of their ids. The key None has the first entries."""
    kids: dict[EntryId | None, list[Entry]] = {}
    for e in entries:
        kids.setdefault(e.header.prev, []).append(e)
    for found in kids.values():
        found.sort(key=lambda e: e.id)
    return kids


def _onwards(held: Mapping[EntryId, Entry], chain: Sequence[Entry], pin: Pin, astray: set[EntryId]) -> list[Entry]:
    """The entries from the end of the chain up to the pinned one; none if it does not stand above the chain, or if one
    between is not held. astray: entries that are known not to stand above any chain that continues this one; so all
    pins together cost no more steps than there are entries."""
    pinned, end = held.get(pin.id), chain[-1].id if chain else None
    if pinned is None or pinned.header.seq != pin.seq:
        return []
    out: list[Entry] = []
    at: EntryId | None = pin.id
    while at != end:
        e = None if at is None or at in astray else held.get(at)
        if e is None or e.header.seq < len(chain):
            astray.update(one.id for one in out)
            return []
        out.append(e)
        at = e.header.prev
    return out[::-1]


def must_hold(
    realm: Realm, granted: PathGrant | None, counted: CountedLog, loose: Iterable[Entry], firm: Collection[EntryId] = ()
) -> set[EntryId]:
    """The ids of entries that do not count but must stay, because the log's state depends on them.

    They are: two branches of a fork, as its evidence; `firm` entries with all their ancestors; and entries that lead to
    signatures, so that every entry of the chain and of these branches has a signature within one run.
    """
    entries = {e.id: e for e in (*counted.chain, *loose)}
    kids = by_parent(entries.values())
    chain, keep = {e.id for e in counted.chain}, set[EntryId]()
    end = counted.chain[-1].id if counted.chain else None
    if counted.forked and granted is not None:
        valid = [c for c in kids.get(end, []) if granted_valid(realm, granted, c)]
        for child in valid[:2]:
            keep.update(e.id for e in to_signature(kids, child))
    for entry in firm:
        at = entries.get(entry)
        while at is not None and at.id not in chain:
            keep.add(at.id)
            at = None if at.header.prev is None else entries.get(at.header.prev)
    keep |= _ways(kids, [*_unvouched(counted.chain), *(entries[i] for i in keep)])
    return keep - chain


def _ways(kids: Mapping[EntryId | None, Sequence[Entry]], lonely: Iterable[Entry]) -> set[EntryId]:
    """The ids of entries that lead from each of these to a signature within one run. An entry goes the way of one above
    it where that is possible. If each went the shortest way, a signed branch beside every entry would be needed."""
    out: set[EntryId] = set()
    ways: dict[EntryId, tuple[int, int]] = {}
    for e in sorted(lonely, key=lambda e: e.header.seq, reverse=True):
        row = run_row_bytes(e.ops)
        found = [(size + row, n + 1) for c in kids.get(e.id, ()) if c.id in ways for size, n in [ways[c.id]]]
        along = [way for way in found if way[0] <= RUN_ROWS_BYTES and way[1] <= MAX_RUN_ENTRIES]
        if along and e.sig is None:
            ways[e.id] = min(along)
            continue
        way, size = to_signature(kids, e), 0
        out.update(x.id for x in way)
        for n, x in enumerate(reversed(way) if way[-1].sig is not None else (), 1):
            size += run_row_bytes(x.ops)
            ways.setdefault(x.id, (size, n))
    return out


def _unvouched(chain: Sequence[Entry]) -> list[Entry]:
    """The entries of a chain, lowest first, that may have no signature of the chain within one run."""
    out: list[Entry] = []
    room: tuple[int, int] | None = None
    for k in range(len(chain) - 1, -1, -1):
        size = run_row_bytes(chain[k].ops)
        if chain[k].sig is not None:
            room = (1, size)
            continue
        if room is not None:
            room = (room[0] + 1, room[1] + size)
            if room[0] <= MAX_RUN_ENTRIES and room[1] <= RUN_ROWS_BYTES:
                continue
            room = None
        out.append(chain[k])
    return out[::-1]


def to_signature(kids: Mapping[EntryId | None, Sequence[Entry]], start: Entry) -> list[Entry]:
    """The entries from `start` up to a signed one, both included, along the way with the fewest bytes. The entry came
    with such a way in a run, so this one fits a run too. Only `start` if no signature is held."""
    best: tuple[int, Entry] | None = None
    below: dict[EntryId, Entry] = {}
    row = [(run_row_bytes(start.ops), start)]
    for _ in range(MAX_RUN_ENTRIES):
        above: list[tuple[int, Entry]] = []
        for size, e in row:
            if best is not None and size >= best[0]:
                continue
            if e.sig is not None:
                best = (size, e)
                continue
            for c in kids.get(e.id, ()):
                below[c.id] = e
                above.append((size + run_row_bytes(c.ops), c))
        row = above
        if not row:
            break
    if best is None:
        return [start]
    way = [best[1]]
    while way[-1].id != start.id:
        way.append(below[way[-1].id])
    return way[::-1]
