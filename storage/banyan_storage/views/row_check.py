"""Compares every row of every view with the log: folds each account again and compares in both directions.

The fold is the kernel's own definition (banyan_crdt.cells.fold) over all counted entries. It shares no code with the
fold that updates the views. Pure functions then give the rows of each view. Rows that are missing, rows that no entry
gives, and rows with another value are reported with their view and account.

Tables by account are compared account by account. In the other tables each expected row is looked up, and the rows are
counted. Only if the numbers differ are the surplus rows looked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple, TypeVar

from banyan_crdt.cells import Cells, Stamp, fold
from banyan_crdt.entry import Entry
from banyan_crdt.ids import AccountId, EntryId, Ref
from banyan_crdt.ops import Body, Del, Put
from banyan_crdt.parts import content_of
from banyan_storage import tables as t
from banyan_storage.engine import Table
from banyan_storage.reader import StoreReader
from banyan_storage.slots import (
    CELLS,
    COVERS,
    NUMBERED,
    NUMBERS,
    PER_ACCOUNT,
    SHOWN,
    SLOT,
    STAMP,
    TARGET,
    TIMELINE,
    TOMBS,
    SlotContent,
    element_slot,
    ref_bytes,
    register_slot,
    rows_shown,
    shown,
    stamp_bytes,
)
from banyan_storage.views.builder import counted
from banyan_storage.views.large_accounts import waiting
from banyan_storage.views.registry import SHOWN_NAME, VIEWS, cursors, rows_of
from banyan_storage.views.view import Counter, Row, View, count_of, count_value

_Row = TypeVar("_Row", bytes, Row)


class WrongRow(NamedTuple):
    """One row that disagrees with the log. `account`: that of the row, or None if it is not known."""

    view: str
    account: bytes | None
    sentence: str


class RowCheck:
    """Compares one state of a store. Views that are being built are skipped, and accounts that are folded or erased
    in steps: `waiting` names these."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader, self._txn = reader, reader.txn
        building = cursors(self._txn)
        self.waiting = frozenset(waiting(self._txn)) | reader.leaving().keys()
        self._apart = frozenset(self._txn.get(NUMBERS, account) for account in self.waiting)
        self._shown = SHOWN_NAME not in building
        self._views = [view for view in VIEWS if view.name not in building and self._shown]
        self._view_of = {table: view.name for view in self._views for table in view.tables}
        self._proved = {view.name for view in self._views}.__contains__
        self._rows: dict[Table, int] = defaultdict(int)
        """How many expected rows of each table are there."""

    def faults(self) -> Iterator[WrongRow]:
        """Every row that disagrees with the log."""
        if not self._shown:
            return
        for account in self._reader.accounts():
            if account not in self.waiting:
                yield from self._account(account)
        yield from self._numbers()
        for view in self._views:
            for table in view.tables:
                if self._txn.count(table) - self._of_waiting(view, table) != self._rows[table]:
                    yield from self._unaccounted(view, table)
            for counter in view.counters:
                yield from self._counted(view, counter)
        yield from self._strangers()

    # -- one account

    def _account(self, account: AccountId) -> Iterator[WrongRow]:
        said = _LogContent(self._reader, account)
        number = self._txn.get(NUMBERS, account)
        if number is None:
            if said.counted:
                yield WrongRow(SHOWN_NAME, account, "the account has no number, so nothing of it shows")
            return
        shows, cells = said.slots(number)
        rows = {row for one in shows for row in rows_shown(one)}
        found = {(table, number, row) for table in (SHOWN, TIMELINE) for row in self._txn.dups(table, number)}
        yield from _differ(SHOWN_NAME, account, rows, found, lambda row: f"row {row[2].hex()} of {row[0].name}")
        held = set(self._txn.dups(CELLS, number))
        yield from _differ(SHOWN_NAME, account, cells, held, lambda row: f"live operation {row.hex()}")
        tombs = {coll + key for coll, key in said.cells.tombs}
        yield from _differ(SHOWN_NAME, account, tombs, set(self._txn.dups(TOMBS, number)), _tomb_words)
        yield from self._covers(account, said, set(self._txn.dups(COVERS, number)))
        for one in shows:
            yield from self._expect(account, rows_of(one, self._proved))

    def _covers(self, account: AccountId, said: _LogContent, held: set[bytes]) -> Iterator[WrongRow]:
        """Covers whose targets are not held must be there. A cover whose target is held may be there: it came first."""
        possible, needed = said.covers()
        for row in sorted(needed - held):
            yield WrongRow(SHOWN_NAME, account, f"that {row.hex()[:16]} is covered is missing")
        for row in sorted(held - possible):
            yield WrongRow(SHOWN_NAME, account, f"that {row.hex()[:16]} is covered is there, and no entry says so")

    def _expect(self, account: AccountId, rows: Iterable[Row]) -> Iterator[WrongRow]:
        for table, key, value in rows:
            view = self._view_of[table]
            if table.dupsort:
                found = next(self._txn.dups(table, key, value, value + b"\0"), None)
            else:
                found = self._txn.get(table, key)
            if found is None:
                yield WrongRow(view, account, f"a row of {table.name} is missing: {(key + value).hex()}")
                continue
            self._rows[table] += 1
            if found != value:
                sentence = f"row {key.hex()} of {table.name} is {found.hex()}, it should be {value.hex()}"
                yield WrongRow(view, account, sentence)

    # -- tables as wholes

    def _numbers(self) -> Iterator[WrongRow]:
        names = dict(self._txn.scan(NUMBERS))
        numbers = dict(self._txn.scan(NUMBERED))
        for account, number in names.items():
            if numbers.get(number) != account:
                yield WrongRow(
                    SHOWN_NAME, account, f"number {number.hex()} of the account stands for another or nobody"
                )
        for number, account in numbers.items():
            if names.get(account) != number:
                yield WrongRow(SHOWN_NAME, account, f"number {number.hex()} stands for the account, which has another")

    def _of_waiting(self, view: View, table: Table) -> int:
        """Rows of accounts that are folded in steps."""
        if not self._apart:
            return 0
        at = view.account_at[table]
        return sum((key + value)[at : at + 4] in self._apart for key, value in self._txn.scan(table))

    def _unaccounted(self, view: View, table: Table) -> Iterator[WrongRow]:
        """Rows that no entry gives. To find them, their accounts are folded again."""
        at = view.account_at[table]
        by_number: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
        for key, value in self._txn.scan(table):
            by_number[(key + value)[at : at + 4]].append((key, value))
        for number, rows in sorted(by_number.items()):
            if number in self._apart:
                continue
            account = self._txn.get(NUMBERED, number)
            wanted = self._keys(view, table, AccountId(account), number) if account else set()
            for key, value in rows:
                if (key + value if table.dupsort else key) not in wanted:
                    sentence = f"a row of {table.name} is there that no entry gives: {(key + value).hex()}"
                    yield WrongRow(view.name, account, sentence)

    def _keys(self, view: View, table: Table, account: AccountId, number: bytes) -> set[bytes]:
        shows, _ = _LogContent(self._reader, account).slots(number)
        rows = (row for one in shows for row in rows_of(one, view.name.__eq__))
        return {key + value if table.dupsort else key for of, key, value in rows if of == table}

    def _counted(self, view: View, counter: Counter) -> Iterator[WrongRow]:
        """Compares counters with the rows that they count. These rows were compared before."""
        wanted: dict[bytes, int] = defaultdict(int)
        once = counter.once or _whole
        for name, rows in groupby(self._txn.scan(counter.rows), lambda row: once(row[0])):
            wanted[counter.key(name)] += 1 if counter.once else len([*rows])
        held = dict(self._txn.scan(counter.counts))
        for key in sorted(wanted.keys() | held.keys()):
            if held.get(key) != (count_value(wanted[key]) if wanted[key] else None):
                account = key[TARGET.account] if len(key) >= TARGET.account.stop else self._txn.get(NUMBERED, key)
                sentence = (
                    f"{counter.counts.name} has {count_of(held.get(key))} for {key.hex()}, counted are {wanted[key]}"
                )
                yield WrongRow(view.name, account, sentence)

    def _strangers(self) -> Iterator[WrongRow]:
        """Rows of accounts that are not held."""
        for table in PER_ACCOUNT:
            for number, _ in groupby(self._txn.scan(table), lambda row: row[0]):
                account = self._txn.get(NUMBERED, number)
                if account is None or self._txn.get(t.ACCOUNTS, account) is None:
                    yield WrongRow(
                        SHOWN_NAME, account, f"{table.name} has rows of account number {number.hex()}, of nobody"
                    )


class _LogContent:
    """What the logs of one account say, by the kernel's fold."""

    def __init__(self, reader: StoreReader, account: AccountId) -> None:
        self._reader = reader
        self.places: dict[EntryId, int] = {}
        self.counted: list[tuple[Entry, Body]] = []
        for n, entry, body in counted(reader, account):
            self.places[entry.id] = n
            self.counted.append((entry, body))
        self.cells: Cells = fold(self.counted)

    def slots(self, number: bytes) -> tuple[list[SlotContent], set[bytes]]:
        """What each slot shows, and the live operations that do not show."""
        live: dict[bytes, list[bytes]] = {}
        for (coll, key), writes in self.cells.registers.items():
            live[register_slot(number, coll, key)] = [self._stamp(at) for at, _ in writes][::-1]
        for (coll, key), elements in self.cells.sets.items():
            for elem, adds in elements.items():
                live[element_slot(number, coll, key, elem)] = [self._stamp(at) for at, _ in adds]
        shows, beside = [], set[bytes]()
        for slot, stamps in live.items():
            show = shown(slot, stamps, self._content)
            beside.update(slot[SLOT.own] + stamp for stamp in stamps if show is None or stamp != show.stamp)
            if show is not None:
                shows.append(SlotContent(slot, show.stamp[STAMP.place], show.seed))
        return shows, beside

    def covers(self) -> tuple[set[bytes], set[bytes]]:
        """(covers that may be there, covers that must be there because their targets do not count here)."""
        possible: dict[bytes, Ref] = {}
        for _, body in self.counted:
            for op in body.ops:
                if isinstance(op, Put):
                    possible |= {ref_bytes(ref) + op.coll + op.key: ref for ref in op.refs}
                elif isinstance(op, Del):
                    possible |= {ref_bytes(ref) + op.coll: ref for ref in op.refs}
        return set(possible), {row for row, ref in possible.items() if ref.entry not in self.places}

    def _stamp(self, at: Stamp) -> bytes:
        time, entry, op = at
        return stamp_bytes(time, self.places[entry] << 16 | op)

    def _content(self, place: bytes) -> bytes | None:
        raw = self._reader.txn.get(t.PARTS, place)
        try:
            return None if raw is None else content_of(raw)
        except LookupError:  # it is damaged, which the check of parts says
            return None


def _whole(key: bytes) -> bytes:
    return key


def _tomb_words(row: bytes) -> str:
    return f"the end of cell {row.hex()}"


def _differ(
    view: str, account: AccountId, wanted: set[_Row], held: set[_Row], words: Callable[[_Row], str]
) -> Iterator[WrongRow]:
    for row in sorted(wanted - held):
        yield WrongRow(view, account, f"missing: {words(row)}")
    for row in sorted(held - wanted):
        yield WrongRow(view, account, f"there, and no entry gives it: {words(row)}")
