"""The index of ids: from the first bytes of an id to the arrival numbers of entries that may have it.

Ids are hashes, so their index is the one random one, and what it costs is how many of its pages a commit touches: of a
million ids in one table, nearly a page each. So ids come into small blocks by arrival (YOUNG), of which a commit
touches one or two. What they hold beyond YOUNG_IDS moves on to the one large table (IDS) in the order of the ids, an
arc of the circle at a time, as much as came: neighbours then share pages there, and no commit is much longer than
another (the rolling merge of O'Neil et al., The log-structured merge-tree, 1996).

Invariant: every entry that is held is in exactly one of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from banyan_crdt.ids import EntryId

from . import tables as t
from .engine import ReadTxn, WriteTxn, after_prefix

YOUNG_IDS = 1 << 16
"""Ids that wait in blocks. Once round the circle is twice as many, and one visit to each page of IDS."""
ARCS = 256
"""By the first byte of the id."""


def blocks(txn: ReadTxn) -> Sequence[bytes]:
    """The blocks that may hold anything: sixteen or so; a few dozen where somebody ground ids to stay behind."""
    first, last = next(txn.scan(t.YOUNG, limit=1), None), txn.last(t.YOUNG)
    if first is None or last is None:
        return ()
    return [t.block(n) for n in range(t.number(first[1]), t.number(last[1]) + t.BLOCK, t.BLOCK)]


def candidates(txn: ReadTxn, among: Sequence[bytes], entry: bytes) -> Iterator[int]:
    """Arrival numbers of entries whose ids may begin with these bytes, at least 16; `among`: what `blocks` says."""
    for _, n in txn.get_many(t.YOUNG, [block + entry[:16] for block in among]):
        yield t.number(n)
    for key, _ in txn.prefix(t.IDS, entry[:8]):
        yield t.n_of_id_key(key)


def add(txn: WriteTxn, ids: Mapping[bytes, bytes]) -> None:
    """`ids`: arrival numbers by the first 16 bytes of the id."""
    txn.put_many(t.YOUNG, sorted([(t.block(t.number(n)) + half, n) for half, n in ids.items()]))
    while (over := txn.count(t.YOUNG) - YOUNG_IDS) > 0:
        _move(txn, over)


def remove(txn: WriteTxn, entry: EntryId, n: int) -> None:
    if not txn.delete(t.YOUNG, t.block(n) + entry[:16]):
        txn.delete(t.IDS, t.id_key(entry, n))


def _move(txn: WriteTxn, about: int) -> None:
    """The next arcs that hold about so many: just ahead, ids stand twice as dense as on average, just behind none."""
    at = t.number(txn.get(t.META, t.ARC_KEY) or b"")
    end = min(ARCS, at + 1 + about * ARCS // (2 * txn.count(t.YOUNG)))
    moved = []
    for block in blocks(txn):
        start, stop = block + bytes((at,)), block + bytes((end,)) if end < ARCS else after_prefix(block)
        rows = list(txn.scan(t.YOUNG, start, stop))
        moved += [(key[len(block) :][:8] + n, b"") for key, n in rows]
        if rows:
            txn.delete_range(t.YOUNG, start, stop)
    txn.put_many(t.IDS, sorted(moved))
    txn.put(t.META, t.ARC_KEY, bytes((end % ARCS,)))
