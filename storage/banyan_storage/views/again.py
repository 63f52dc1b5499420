"""Folds large accounts again in steps, so that no single change of what counts holds up the store for long.

A control entry of 300 bytes can change what counts of an account of a million entries. What the account shows is then
cleared, and folded from the log, some entries at a time. Meanwhile it shows only a part. Entries that come are folded
at once and again by a later step, because every log is read up to its head; that does no harm, as long as what they
cover, and what covers them, is folded again too. So a change that comes meanwhile begins it anew. A step and its
progress are in one transaction, so after a crash the next program continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from banyan_crdt.entry import Entry
from banyan_crdt.grants import Grants
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.ops import Body
from banyan_crdt.state import counted_entries

from .. import tables as t
from ..engine import ReadTxn, WriteTxn, after_prefix
from ..reader import StoreReader
from ..view_rows import CELLS, COVERS, NUMBERS, SHOWN, TOMBS, slot_size
from ..viewhook import CountedEntry
from .changes import Changes
from .folding import fold_account
from .registry import AGAIN
from .standing import cursors
from .view import Showing

Wanting = Callable[[Iterable[tuple[Entry, Body]]], Iterator[CountedEntry]]
"""Notes which content of counted entries is asked for, and gives their arrival numbers."""

CLEARED, FOLDED, WANTED = b"\0", b"\1", b"\2"
"""What is done to an account: its rows are cleared, or it is folded, or only its content is asked for, because all
views are built anew anyhow."""

SCATTER = 40_503
"""A number that moves the place of the next step far from that of the last."""


def put_off(txn: WriteTxn, account: AccountId) -> bool:
    """Begins to fold the account again. False, and nothing is done, while views are built as a whole."""
    if cursors(txn):
        return False
    drop(txn, account)
    txn.put(AGAIN, account, CLEARED)
    return True


def drop(txn: WriteTxn, account: AccountId) -> None:
    """The account was folded as a whole."""
    if txn.count(AGAIN):
        txn.delete_range(AGAIN, account, after_prefix(account))


def waits(txn: ReadTxn, account: AccountId) -> bool:
    """Whether the account shows only a part of what it says."""
    return bool(txn.count(AGAIN)) and txn.get(AGAIN, account) in (CLEARED, FOLDED)


def waiting(txn: ReadTxn) -> list[AccountId]:
    """The accounts that show only a part of what they say."""
    return [AccountId(key) for key, value in txn.scan(AGAIN) if len(key) == 32 and value != WANTED]


def all_views_begin(txn: WriteTxn) -> None:
    """What every account shows is about to be folded anew."""
    for key, _ in [row for row in txn.scan(AGAIN) if len(row[0]) == 32]:
        txn.put(AGAIN, key, WANTED)


def step(txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting) -> bool:
    """One step, of about `size` entries or rows, for one of the accounts. Returns whether more is left. Commits
    nothing."""
    if not txn.count(AGAIN):
        return False
    start = (reader.last_arrival * SCATTER % (1 << 16)).to_bytes(
        2, "big"
    )  # under load no account waits until all before it are done
    rows = _round(txn, start)
    account, phase = next((AccountId(key), value) for key, value in rows if len(key) == 32)
    if phase == CLEARED:
        if _clear(txn, account, size):
            txn.put(AGAIN, account, FOLDED)
        return True
    if _fold(txn, reader, account, size, wanting, phase):
        drop(txn, account)
    return bool(txn.count(AGAIN))


def _round(txn: ReadTxn, start: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All rows, from `start` on and round."""
    yield from txn.scan(AGAIN, start)
    yield from txn.scan(AGAIN, b"", start)


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


def _fold(txn: WriteTxn, reader: StoreReader, account: AccountId, size: int, wanting: Wanting, phase: bytes) -> bool:
    """Folds the next entries of one log. Returns whether there were none."""
    grants, done = reader.grants(account), _progress(txn, account)
    for log, head in reader.heads(account).items():
        first = done.get(t.log_name(log), 0)
        if grants is None or not log.log or head.length <= first:
            continue
        counted = wanting(islice(_from(grants, log, reader, first), size))
        if phase == WANTED:
            for _ in counted:
                pass
        else:
            fold_account(txn, reader, account, counted, cursors(txn))
        txn.put(AGAIN, t.log_name(log), t.u48(min(head.length, first + size)))
        return False
    return True


def _progress(txn: ReadTxn, account: AccountId) -> dict[bytes, int]:
    """name of a log -> how many of its entries are folded."""
    return {key: t.number(value) for key, value in txn.prefix(AGAIN, account) if len(key) > 32}


def _from(grants: Grants, log: LogId, reader: StoreReader, first: int) -> Iterator[tuple[Entry, Body]]:
    """The counted entries of a log from place `first` on. The one before says how much content the next declares."""
    below = max(0, first - 1)
    return islice(counted_entries(grants, log, reader.walk(log, below)), first - below, None)
