"""Folds large accounts again, and long runs, in steps, so that nothing that counts newly holds up the store for long.

A control entry of 300 bytes can change what counts of an account of a million entries. What the account shows is then
cleared, and folded from the log, some entries at a time. Meanwhile it shows only a part. When it is cleared, the last
arrival is noted: entries up to it are folded by the steps, and those that come later at once, so none is folded twice.
A change of what counts begins it anew. A step and its progress are in one transaction, so after a crash the next
program continues.

A run can have 1,024 entries of 512 operations, each of which is some rows at random places. A long one of a peer is
stored, and folded by such steps too. Only what it deletes is gone at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from banyan_crdt.entry import Entry
from banyan_crdt.errors import BanyanError
from banyan_crdt.ids import AccountId, LogId
from banyan_crdt.logs import Grants
from banyan_crdt.ops import Body, Tomb
from banyan_crdt.shapes import ops_in
from banyan_crdt.state import counted_entries
from banyan_storage import tables as t
from banyan_storage.engine import ReadTxn, WriteTxn, after_prefix
from banyan_storage.errors import CorruptStore
from banyan_storage.reader import StoreReader
from banyan_storage.slots import NUMBERS, PER_ACCOUNT, TARGET, all_shown
from banyan_storage.tables import RowLayout
from banyan_storage.viewhook import Append, CountedEntry, Wanting
from banyan_storage.views.fold import Fold, fold_account
from banyan_storage.views.registry import AGAIN, cursors
from banyan_storage.views.row_changes import RowChanges

CLEARED, FOLDED, WANTED, RUN = b"\0", b"\1", b"\2", b"\3"
"""What is done to an account: its rows are cleared, or it is folded, or only its content is asked for, because all
views are built anew anyhow. Or one run of it is folded; the row of that has the arrival of its first entry in its
key."""
SCATTER = 40_503
"""A number that moves the place of the next step far from that of the last, as entries arrive: under load no account
waits until all before it are done."""

_ROW = RowLayout("phase 1 | upto 6 | seq 6 | name")


class _Progress(NamedTuple):
    """phase: see CLEARED. upto: the last arrival that the steps fold; of a run, its last entry. name, seq: the next log
    and the place in it."""

    phase: bytes
    upto: int
    name: bytes
    seq: int

    def row(self) -> bytes:
        return self.phase + t.u48(self.upto) + t.u48(self.seq) + self.name


def _read(row: bytes) -> _Progress:
    phase, upto, seq, name = _ROW.unpack(row)
    return _Progress(phase, t.number(upto), name, t.number(seq))


def put_off(txn: WriteTxn, account: AccountId) -> bool:
    """Begins to fold the account again. False, and nothing is done, while views are built as a whole."""
    if cursors(txn):
        return False
    drop(txn, account)
    txn.put(AGAIN, account, _Progress(CLEARED, 0, account, 0).row())
    return True


def put_off_run(txn: WriteTxn, number: bytes, append: Append, first: int, fold: Fold) -> bool:
    """Leaves a run to the steps, but for what it deletes, which `fold` takes. False, and nothing is done, if its
    account is folded again as a whole. number: of the account. first: the arrival of its first entry."""
    if txn.get(AGAIN, append.log.account):
        return False
    last, seq = first + len(append.entries) - 1, append.entries[0].header.seq
    row = _Progress(RUN, last, t.log_name(append.log), seq).row()
    txn.put(AGAIN, append.log.account + t.u48(first), row)
    tombs = [body._replace(ops=tuple(op for op in body.ops if isinstance(op, Tomb))) for body in append.bodies]
    both = enumerate(zip(append.entries, tombs, strict=True), first)
    fold.take(number, ((n, e.id, e.header.time, body) for n, (e, body) in both), iter(()))
    return True


def goes_on(txn: WriteTxn, reader: StoreReader, log: LogId, seq: int) -> bool:
    """Leaves to the steps what the log's account says from this place on. False, and nothing is done, if they have
    something of it to do."""
    if txn.get(AGAIN, log.account):
        return False
    txn.put(AGAIN, log.account, _Progress(FOLDED, reader.last_arrival, t.log_name(log), seq).row())
    return True


def drop(txn: WriteTxn, account: AccountId) -> None:
    """The account was folded as a whole, or will be."""
    if txn.count(AGAIN):
        txn.delete_range(AGAIN, account, after_prefix(account))


def waits(txn: ReadTxn, account: AccountId) -> bool:
    """Whether the account shows only a part of what it says."""
    row = txn.get(AGAIN, account) if txn.count(AGAIN) else None
    return row is not None and row[_ROW.phase] != WANTED


def has_steps(txn: ReadTxn, account: AccountId) -> bool:
    """The same, also if only a run is left to be folded."""
    return bool(txn.count(AGAIN)) and any(
        row[_ROW.phase] != WANTED for _, row in txn.scan(AGAIN, account, after_prefix(account))
    )


def waiting(txn: ReadTxn, runs: bool = True) -> list[AccountId]:
    """The accounts of which something is left to be folded. runs: also those of which only runs are."""
    kinds = (CLEARED, FOLDED, RUN) if runs else (CLEARED, FOLDED)
    return list(
        dict.fromkeys(AccountId(key[TARGET.account]) for key, row in txn.scan(AGAIN) if row[_ROW.phase] in kinds)
    )


def all_views_begin(txn: WriteTxn) -> None:
    """What every account shows is about to be folded anew."""
    for key, row in list(txn.scan(AGAIN)):
        if row[_ROW.phase] == RUN:
            txn.delete(AGAIN, key)
        else:
            txn.put(AGAIN, key, _read(row)._replace(phase=WANTED).row())


def step(txn: WriteTxn, reader: StoreReader, size: int, wanting: Wanting, of: AccountId | None = None) -> bool:
    """One step, of about `size` operations, logs or rows, for this account, or for any. Returns whether more is left of
    it. Commits nothing."""
    start, stop = of or (reader.last_arrival * SCATTER % (1 << 16)).to_bytes(2, "big"), of and after_prefix(of)
    found = next(txn.scan(AGAIN, start, stop, limit=1), None)
    if found is None and of is None:
        found = next(txn.scan(AGAIN, limit=1), None)
    if found is None:
        return False
    key, at = found[0], _read(found[1])
    account = AccountId(key[TARGET.account])
    if at.phase == CLEARED:
        if clear(txn, account, size):
            txn.put(AGAIN, key, at._replace(phase=FOLDED, upto=reader.last_arrival).row())
        return True
    after = _fold(txn, reader, account, at, size, wanting)
    if after is None:
        txn.delete(AGAIN, key)
    else:
        txn.put(AGAIN, key, after.row())
    return bool(txn.count(AGAIN)) if of is None else any(txn.scan(AGAIN, of, stop, limit=1))


def clear(txn: WriteTxn, account: AccountId, size: int) -> bool:
    """Removes rows of what the account shows. Returns whether all are gone."""
    number = txn.get(NUMBERS, account)
    if number is None:
        return True
    changes, shows = RowChanges(txn, cursors(txn)), list(islice(all_shown(txn, number), size))
    for one in shows:
        changes.slot(one, None)
    changes.write()
    if len(shows) == size:
        return False
    for table in PER_ACCOUNT:
        txn.delete(table, number)
    return True


def _fold(
    txn: WriteTxn, reader: StoreReader, account: AccountId, at: _Progress, size: int, wanting: Wanting
) -> _Progress | None:
    """Folds entries until they have so many operations. Returns where the next step begins, or None at the end. A log
    that cannot be read to its end is left out from there on; `store verify` names it."""
    found, left, after = list[CountedEntry](), size, None
    grants = reader.grants(account)
    for log, head in reader.all_heads(at.name, after_prefix(at.name if at.phase == RUN else account)):
        name = t.log_name(log)
        if left <= 0:
            after = at._replace(name=name, seq=0)
            break
        left -= 1
        first = at.seq if name == at.name else 0
        if grants is None or not log.log or head.length <= first:
            continue
        try:
            some = list(wanting(_from(grants, log, reader, first, left + 1)))
        except (BanyanError, CorruptStore):
            continue
        found += [entry for entry in some if entry.n <= at.upto]
        left -= sum(_size(one.entry) for one in some)
        if first + len(some) < head.length and not (at.phase == RUN and some[-1].n >= at.upto):
            after = at._replace(name=name, seq=first + len(some))
            break
    if at.phase != WANTED:
        fold_account(txn, reader, account, iter(found), cursors(txn))
    return after


def _from(grants: Grants, log: LogId, reader: StoreReader, first: int, size: int) -> Iterator[tuple[Entry, Body]]:
    """The counted entries of a log from place `first` on, up to so many operations; at least one. No other is decoded.
    The one before says how much content the next declares."""
    chain = reader.walk(log, max(0, first - 1))
    parent = next(chain, None) if first else None
    return counted_entries(grants, log, _some(chain, size), parent)


def _some(entries: Iterator[Entry], size: int) -> Iterator[Entry]:
    """The first of them, up to so many operations; at least one."""
    left = size
    for entry in entries:
        left -= _size(entry)
        if left < 0 and left + _size(entry) < size:
            return
        yield entry


def _size(entry: Entry) -> int:
    return max(1, ops_in(entry.ops))
