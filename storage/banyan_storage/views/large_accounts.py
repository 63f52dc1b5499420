"""Folds large accounts again in steps, so that no single change of what counts holds up the store for long.

A control entry of 300 bytes can change what counts of an account of a million entries. What the account shows is then
cleared, and folded from the log, some entries at a time. Meanwhile it shows only a part. When it is cleared, the last
arrival is noted: entries up to it are folded by the steps, and those that come later at once, so none is folded twice.
A change of what counts begins it anew. A step and its progress are in one transaction, so after a crash the next
program continues.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.errors import BanyanError
from banyan_crdt.grants import Grants
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.ops import Body
from banyan_crdt.state import counted_entries

from .. import tables as t
from ..engine import ReadTxn, WriteTxn, after_prefix
from ..errors import CorruptStore
from ..reader import StoreReader
from ..view_rows import CELLS, COVERS, NUMBERS, SHOWN, TOMBS, slot_size
from ..viewhook import CountedEntry, Wanting
from .changes import Changes
from .folding import fold_account
from .progress import cursors
from .registry import AGAIN
from .view import Showing

CLEARED, FOLDED, WANTED = b"\0", b"\1", b"\2"
"""What is done to an account: its rows are cleared, or it is folded, or only its content is asked for, because all
views are built anew anyhow."""
SCATTER = 40_503
"""A number that moves the place of the next step far from that of the last, as entries arrive: under load no account
waits until all before it are done."""


class _Progress(NamedTuple):
    """phase: see CLEARED. upto: the last arrival that the steps fold. name, seq: the next log and the place in it."""

    phase: bytes
    upto: int
    name: bytes
    seq: int

    def row(self) -> bytes:
        return self.phase + t.u48(self.upto) + t.u48(self.seq) + self.name


def _read(row: bytes) -> _Progress:
    return _Progress(row[:1], t.number(row[1:7]), row[13:], t.number(row[7:13]))


def put_off(txn: WriteTxn, account: AccountId) -> bool:
    """Begins to fold the account again. False, and nothing is done, while views are built as a whole."""
    if cursors(txn):
        return False
    txn.put(AGAIN, account, _Progress(CLEARED, 0, account, 0).row())
    return True


def drop(txn: WriteTxn, account: AccountId) -> None:
    """The account was folded as a whole."""
    if txn.count(AGAIN):
        txn.delete(AGAIN, account)


def waits(txn: ReadTxn, account: AccountId) -> bool:
    """Whether the account shows only a part of what it says."""
    row = txn.get(AGAIN, account) if txn.count(AGAIN) else None
    return row is not None and row[:1] != WANTED


def waiting(txn: ReadTxn) -> list[AccountId]:
    """The accounts that show only a part of what they say."""
    return [AccountId(key) for key, row in txn.scan(AGAIN) if row[:1] != WANTED]


def all_views_begin(txn: WriteTxn) -> None:
    """What every account shows is about to be folded anew."""
    for key, row in list(txn.scan(AGAIN)):
        txn.put(AGAIN, key, _read(row)._replace(phase=WANTED).row())


def step(txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting) -> bool:
    """One step, of about `size` entries, logs or rows, for one of the accounts. Returns whether more is left. Commits
    nothing."""
    if not txn.count(AGAIN):
        return False
    start = (reader.last_arrival * SCATTER % (1 << 16)).to_bytes(2, "big")
    key, row = next(txn.scan(AGAIN, start, limit=1), None) or next(txn.scan(AGAIN, limit=1))
    account, at = AccountId(key), _read(row)
    if at.phase == CLEARED:
        if _clear(txn, account, size):
            txn.put(AGAIN, account, at._replace(phase=FOLDED, upto=reader.last_arrival).row())
        return True
    after = _fold(txn, reader, account, at, size, wanting)
    if after is None:
        drop(txn, account)
    else:
        txn.put(AGAIN, account, after.row())
    return bool(txn.count(AGAIN))


def _clear(txn: WriteTxn, account: AccountId, size: int) -> bool:
    """Removes rows of what the account shows. Returns whether all are gone."""
    number = txn.get(NUMBERS, account)
    if number is None:
        return True
    changes, values = Changes(txn, cursors(txn)), list(islice(txn.dups(SHOWN, number), size))
    for value in values:
        at = slot_size(number + value) - 4
        changes.slot(Showing(number + value[:at], value[at : at + 8], value[at + 8 :]), None)
        changes.delete(SHOWN, number, value)
    changes.write()
    if len(values) == size:
        return False
    for table in (CELLS, TOMBS, COVERS):
        txn.delete(table, number)
    return True


def _fold(
    txn: WriteTxn, reader: StoreReader, account: AccountId, at: _Progress, size: int, wanting: Wanting
) -> _Progress | None:
    """Folds the next entries. Returns where the next step begins, or None at the end. A log that cannot be read to its
    end is left out from there on; `store verify` names it."""
    found, left, after = list[CountedEntry](), size, None
    grants = reader.grants(account)
    for log, head in reader.all_heads(at.name, after_prefix(account)):
        name = t.log_name(log)
        if left <= 0:
            after = at._replace(name=name, seq=0)
            break
        left -= 1
        first = at.seq if name == at.name else 0
        if grants is None or not log.log or head.length <= first:
            continue
        try:
            some = list(wanting(islice(_from(grants, log, reader, first), left + 1)))
        except (BanyanError, CorruptStore):
            continue
        found += [entry for entry in some if entry.n <= at.upto]
        left -= len(some)
        if first + len(some) < head.length:
            after = at._replace(name=name, seq=first + len(some))
            break
    if at.phase != WANTED:
        fold_account(txn, reader, account, iter(found), cursors(txn))
    return after


def _from(grants: Grants, log: LogId, reader: StoreReader, first: int) -> Iterator[tuple[Entry, Body]]:
    """The counted entries of a log from place `first` on. The one before says how much content the next declares."""
    below = max(0, first - 1)
    return islice(counted_entries(grants, log, reader.walk(log, below)), first - below, None)
