"""Folds accounts again from their logs, many at a time, so that what they show is written table by table.

Most entries are one put without refs, or one add (`read_single`). These are read by position, without making an entry
or a body. The order of operations in a block does not matter to the fold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from banyan_crdt.errors import BanyanError
from banyan_crdt.grants import Granted
from banyan_crdt.ids import AccountId, EntryId, LogId
from banyan_crdt.logs import counted_body
from banyan_crdt.ops import MAX_OPS, decode_body, part_of
from banyan_crdt.shapes import ops_in
from banyan_crdt.single import PUT, read_single
from banyan_storage import tables as t
from banyan_storage.engine import WriteTxn
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.records import Line
from banyan_storage.view_rows import ELEMENT, REGISTER, STAMP, place_bytes, stamp_bytes
from banyan_storage.views.folding import STEP, Fold, Fresh, Said, numbers_of
from banyan_storage.views.large_accounts import goes_on

LARGE = 8_192
"""Operations of one account that are folded together: 0.1 to 0.4 s."""


class _Read(NamedTuple):
    """Of one account. `plain`: slot, stamp and id of what is taken field by field."""

    number: bytes
    plain: list[tuple[bytes, bytes, EntryId]]
    others: list[Said]


class Refolding:
    """Takes accounts of which nothing shows yet. What they show is written by `settle`, and now and then before it.

    If a log cannot be read to its end, the rest of it is left out; `store verify` names it.
    """

    def __init__(self, txn: WriteTxn, reader: StoreReader) -> None:
        self._txn, self._reader = txn, reader
        self._waiting: list[_Read] = []
        self._ops = 0
        self._empty: set[bytes] = set()

    def take(self, account: AccountId) -> int:
        """Reads an account; how many operations. Of a large one the steps read the rest (large_accounts.py)."""
        grants, read, ops = self._reader.grants(account), None, 0
        for log in [log for log in self._reader.heads(account) if log.log]:
            granted = None if grants is None else grants.grant_of(log.writer, log.log)
            if granted is None:
                continue
            if read is None:
                read = _Read(numbers_of(self._txn, {account})[account], [], [])
                self._empty.add(read.number)
                self._waiting.append(read)
            try:
                seq = 0
                for below, lines in _blocks(self._reader, log):
                    taken, seq = _take(read, granted, below, lines), seq + len(lines)
                    ops += taken
                    self._ops += taken
                    if ops >= LARGE and goes_on(self._txn, self._reader, log, seq):
                        return ops
                    if self._ops >= STEP:
                        self.settle()
                        read = _Read(read.number, [], [])
                        self._waiting.append(read)
            except (BanyanError, CorruptStore):
                continue
        return ops

    def settle(self) -> None:
        """Writes what the accounts show that were taken."""
        waiting, empty, self._waiting, self._empty, self._ops = self._waiting, self._empty, [], set(), 0
        try:
            self._fold(waiting, empty)
        except (BanyanError, CorruptStore):  # nothing of a slot was written: each alone, so that only one is left out
            for read in waiting:
                try:
                    self._fold([read], empty)
                except (BanyanError, CorruptStore):
                    continue

    def _fold(self, waiting: Iterable[_Read], empty: set[bytes]) -> None:
        fold, places = Fold(self._txn, self._reader, {}, empty), list[bytes]()
        for _, plain, others in waiting:
            places += [stamp[STAMP.place] for _, stamp, _ in plain]
            ops = ((n, at, op) for n, _, _, body in others for at, op in enumerate(body.ops))
            places += [place_bytes(n, at) for n, at, op in ops if part_of(op) is not None]
        places.sort()
        held = dict(self._txn.get_many(t.PARTS, places))
        for number, plain, others in waiting:
            fresh: list[Fresh] = [(slot, stamp, entry, held.get(stamp[STAMP.place])) for slot, stamp, entry in plain]
            fold.take_fresh(number, fresh)
            ops = ((n, at, op) for n, _, _, body in others for at, op in enumerate(body.ops))
            fold.take(number, others, (held.get(place_bytes(n, at)) for n, at, op in ops if part_of(op) is not None))
        fold.settle()


def _blocks(reader: StoreReader, log: LogId) -> Iterator[tuple[int, list[Line]]]:
    """The counted entries of a log in blocks of about so many operations, each with the log's total before it (bytes).
    An entry can have 512 operations, so the next block is as long as the last one allows."""
    first, below, size = 0, 0, max(1, STEP // MAX_OPS)
    while lines := reader.lines(log, first, first + size):
        yield below, lines
        first, below = first + len(lines), lines[-1].total
        size = max(1, min(2 * size, STEP * len(lines) // sum(ops_in(line.ops) + 1 for line in lines)))


def _take(read: _Read, granted: Granted, below: int, lines: list[Line]) -> int:
    """All of them or, where one cannot be read, none. Returns how many operations they have."""
    number, anything = read.number, granted.grant.colls is None
    plain: list[tuple[bytes, bytes, EntryId]] = []
    others: list[Said] = []
    for n, entry, time, total, _, ops in lines:
        declared, below = total - below - len(ops), total
        one = read_single(ops) if anything else None
        if one is None or one[5] > declared:
            others.append((n, entry, time, counted_body(decode_body(ops), granted, declared)))
            continue
        code, coll, key, elem, _, _ = one
        slot = number + coll + REGISTER + key if code == PUT else number + coll + ELEMENT + key + elem
        plain.append((slot, stamp_bytes(time, n << 16), entry))
    read.plain.extend(plain)
    read.others.extend(others)
    return len(plain) + sum(max(1, len(body.ops)) for _, _, _, body in others)
