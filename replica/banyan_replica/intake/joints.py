"""Where a run joins held entries: finds its parent, and checks its statements about the log below it.

A run states the total before it and the ids that its entries skip to; all else is computed from the entries. Both are
always checked against the ancestors of the run's parent before anything is stored. All ancestors of a held entry are
held and correctly linked, so skip links lead to them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from banyan_crdt.entry import Entry, Header, encode_header, entry_id, skip_seq
from banyan_crdt.errors import NotYet, WrongLink
from banyan_crdt.ids import EntryId, LogId, Time
from banyan_crdt.realm import Realm
from banyan_crdt.run import MAX_RUN_ENTRIES, RUN_ROWS_BYTES, Run, run_row_bytes
from banyan_storage.reader import StoreReader

TAIL = 2
"""A run may end in entries that do not count but lead to its signature, a tail. If it takes up one part in so many of
what a run may hold, it is always taken: two tails of half a run are needed at once only where as much of the log is
between them (`must_hold`), so they take no more than the log itself. For longer ones see `LogRecount.takes_tail`."""


def first_fresh(store: StoreReader, run: Run) -> int:
    """How many of the run's first entries are held. Held entries of a branch are always its lower part."""
    low, high = 0, len(run.entries)
    while low < high:
        middle = (low + high) // 2
        if store.has(run.entries[middle].id):
            low = middle + 1
        else:
            high = middle
    return low


def check_place(store: StoreReader, run: Run, fresh: int) -> Entry | None:
    """The parent of the run's entry `fresh`, the first that is not held; None if that is the first of the log.

    Raises NotYet (gap) if the parent is not held, WrongLink if the run contradicts it.
    """
    parent = None if run.prev is None else store.entry(run.prev)
    if fresh:  # the ids of held entries prove their totals and times
        parent = store.entry(run.entries[fresh - 1].id)
        wanted = {seq for seq, _ in run.skips}
        if parent is None:
            raise NotYet("gap", f"entry {run.first + fresh - 1} of the run is not held")
        _same_skips(run, ancestors(store, run.log, parent, wanted))
        return parent
    if run.prev is None:
        return None
    if parent is None:
        length = store.head(run.log).length
        raise NotYet("gap", f"the run begins at entry {run.first}; {length} entries are held, but not its parent")
    if parent.log_id != run.log or parent.header.seq + 1 != run.first:
        raise WrongLink(f"entry {run.first} does not follow entry {parent.header.seq} of log {parent.header.log}")
    end = parent.header.time, parent.header.total
    check_joint(run, end, ancestors(store, run.log, parent, {seq for seq, _ in run.skips}))
    return parent


def check_joint(run: Run, end: tuple[Time, int], ids: Mapping[int, EntryId | None]) -> None:
    """Checks a run against the time and total of its parent (`end`) and the ids of its ancestors. Raises WrongLink."""
    time, total = end
    if total != run.base or run.entries[0].header.time <= time:
        raise WrongLink(f"entry {run.first} does not follow its parent: total {run.base}, the parent's {total}")
    _same_skips(run, ids)


def _same_skips(run: Run, ids: Mapping[int, EntryId | None]) -> None:
    for seq, claimed in run.skips:
        if ids.get(seq) != claimed:
            raise WrongLink(f"the run names another entry at {seq} than its ancestor there")


def ancestors(store: StoreReader, log: LogId, at: Entry, wanted: set[int]) -> dict[int, EntryId | None]:
    """The ids of the ancestors of `at`, itself included, at these places."""
    out: dict[int, EntryId | None] = {}
    for seq in sorted(wanted, reverse=True):
        while at.header.seq > seq and store.id_at(log, at.header.seq) != at.id:
            link = _link(at.header, seq)
            below = None if link is None else store.entry(link)
            if below is None:
                return out
            at = below
        out[seq] = at.id if at.header.seq == seq else store.id_at(log, seq)
    return out


def _link(header: Header, lowest: int) -> EntryId | None:
    """The longer link of an entry that does not lead below place `lowest`."""
    target = skip_seq(header.seq)
    return header.skip if target is not None and target >= lowest else header.prev


def proof(store: StoreReader, log: LogId, above: int, last: int) -> list[bytes]:
    """Headers of counted entries from place `above` down to one that links to place `last`, along skip links."""
    out: list[bytes] = []
    while above > last:
        for entry in store.chain(log, above, above + 1):
            out.append(encode_header(entry.header))
        target = skip_seq(above)
        above = target if target is not None and target >= last else above - 1
    return out


def is_tail(rest: Sequence[Entry]) -> bool:
    """Whether so much may always follow in a run that does not count, but leads to its signature."""
    size = sum(run_row_bytes(e.ops) for e in rest)
    return TAIL * size <= RUN_ROWS_BYTES and TAIL * len(rest) <= MAX_RUN_ENTRIES


def shown_below(realm: Realm, headers: Sequence[Header], pinned: Collection[EntryId], run: Sequence[Entry]) -> int:
    """How many of the run's first entries the headers show to be below a pinned one. The others lead to a signature."""
    ends = {headers[-1].prev, headers[-1].skip} if headers else set()
    found = (k + 1 for k, e in enumerate(run) if e.id in ends and stands_above(realm, headers, pinned, e))
    return next(found, 0)


def stands_above(realm: Realm, headers: Sequence[Header], pinned: Collection[EntryId], last: Entry) -> bool:
    """Whether the headers lead from a pinned entry down to `last` along the links that `proof` takes. There is only one
    such path, so a pinned entry proves at most one entry at each place."""
    expected: EntryId | None = None
    for h in headers:
        found = entry_id(realm, encode_header(h))
        known = found in pinned if expected is None else found == expected
        if not known or h.seq <= last.header.seq:
            return False
        expected = _link(h, last.header.seq)
    return expected == last.id
