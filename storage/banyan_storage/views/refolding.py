"""Folds an account again from its log, block by block.

Most entries are one put without refs (`puts_in`). These are read as columns, without making an entry or a body, which
halves the time. The order of operations in a block does not matter to the fold.
"""

from __future__ import annotations

from collections.abc import Iterator

from banyan_crdt.errors import BanyanError
from banyan_crdt.grants import Granted
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.logs import counted_body
from banyan_crdt.ops import decode_body, part_of
from banyan_crdt.single import puts_in

from .. import tables as t
from ..engine import WriteTxn
from ..errors import CorruptStore
from ..reader import StoreReader
from ..records import Line
from ..view_rows import REGISTER, place_bytes, stamp_bytes
from .folding import STEP, Fold, Fresh, Said, numbers_of


def refold(txn: WriteTxn, reader: StoreReader, account: AccountId) -> int:
    """Writes what an account shows, in every view. The account must not have rows yet. Returns how many entries it has.

    If a log cannot be read to its end, the rest of it is left out; `store verify` names it.
    """
    grants, entries, number = reader.grants(account), 0, b""
    for log in [log for log in reader.heads(account) if log.log]:
        granted = None if grants is None else grants.grant_of(log.writer, log.log)
        if granted is None:
            continue
        number = number or numbers_of(txn, {account})[account]
        try:
            for below, lines in _blocks(reader, log):
                _take(txn, reader, number, granted, below, lines)
                entries += len(lines)
        except (BanyanError, CorruptStore):
            continue
    return entries


def _blocks(reader: StoreReader, log: LogId) -> Iterator[tuple[int, list[Line]]]:
    """The counted entries of a log in blocks, each with the log's total before it (bytes)."""
    first = below = 0
    while lines := reader.lines(log, first, first + STEP):
        yield below, lines
        first, below = first + len(lines), lines[-1].total


def _take(txn: WriteTxn, reader: StoreReader, number: bytes, granted: Granted, below: int, lines: list[Line]) -> None:
    anything, fold = granted.grant.colls is None, Fold(txn, reader, {})
    plain: list[tuple[bytes, bytes, Line]] = []
    others: list[Said] = []
    for line in lines:
        declared, below = line.total - below - len(line.ops), line.total
        puts = puts_in([line.ops], [declared]) if anything and declared > 0 else None
        if puts is not None:
            slot = number + puts.colls[0] + REGISTER + puts.keys[0]
            plain.append((slot, place_bytes(line.n, 0), line))
        else:
            others.append((line.n, line.id, line.time, counted_body(decode_body(line.ops), granted, declared)))
    held = dict(txn.get_many(t.PARTS, [place for _, place, _ in plain]))
    fresh: list[Fresh] = [
        (slot, stamp_bytes(line.time, line.n << 16), line.id, held.get(place)) for slot, place, line in plain
    ]
    fold.take_fresh(number, fresh)
    ops = ((n, at, op) for n, _, _, body in others for at, op in enumerate(body.ops))
    named = [place_bytes(n, at) for n, at, op in ops if part_of(op) is not None]
    held = dict(txn.get_many(t.PARTS, sorted(named)))
    fold.take(number, others, map(held.get, named))
    fold.settle()
