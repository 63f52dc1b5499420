"""Collects the rows to remove and to add for many slots, writes them table by table, and updates their counters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import TypeAlias

from ..engine import Item, Table, WriteTxn
from ..view_rows import NUMBERED
from .registry import VIEWS, rows_of
from .standing import is_built
from .view import Counter, KeyOf, Row, Showing, count_of, count_value

_Items: TypeAlias = "defaultdict[Table, list[Item]]"
_COUNTERS = tuple(counter for view in VIEWS for counter in view.counters)


class Changes:
    """`building`: the cursors of views that are being built (standing.py). These views get rows up to there only."""

    def __init__(self, txn: WriteTxn, building: Mapping[str, bytes]) -> None:
        self._txn, self.building = txn, building
        self.puts: _Items = defaultdict(list)
        self._gone: _Items = defaultdict(list)
        self._names: dict[bytes, bytes] = {}

    def slot(self, before: Showing | None, after: Showing | None) -> None:
        """What a slot shows has changed: removes the rows of `before` and adds those of `after`. None: nothing."""
        gone, came = self._rows(before), self._rows(after)
        self.come([row for row in came if row not in gone])
        for table, key, value in gone:
            if (table, key, value) not in came:
                self._gone[table].append((key, value))

    def come(self, rows: Iterable[Row]) -> None:
        """Adds these rows."""
        for table, key, value in rows:
            self.puts[table].append((key, value))

    def _rows(self, showing: Showing | None) -> list[Row]:
        if showing is None:
            return []
        if not self.building:
            return rows_of(showing)
        account = self._account(showing.account)
        return rows_of(showing, lambda view: is_built(self.building, view, account, showing.slot))

    def _account(self, number: bytes) -> bytes:
        found = self._names.get(number)
        if found is None:
            found = self._names[number] = self._txn.get(NUMBERED, number) or b""
        return found

    def delete(self, table: Table, key: bytes, value: bytes) -> None:
        """Removes a row."""
        self._gone[table].append((key, value))

    def write(self) -> None:
        """Writes all changes, and the counters of the tables that changed. Commits nothing."""
        txn = self._txn
        touched = [c for c in _COUNTERS if c.rows in self.puts or c.rows in self._gone]
        before = self._there(touched, both=True)
        for table, items in self._gone.items():
            for key, value in items:
                txn.delete(table, key, value)
        for table, items in self.puts.items():
            items.sort()
            txn.put_many(table, items)
        after = self._there(touched, both=False)
        for counter in touched:
            at = counter.rows, counter.once
            self._count(counter, before.get(at, set()), after.get(at, set()))

    def _there(self, touched: list[Counter], both: bool) -> dict[tuple[Table, KeyOf | None], set[bytes]]:
        return {(c.rows, c.once): self._present(c, both) for c in touched if c.once}

    def _present(self, counter: Counter, both: bool) -> set[bytes]:
        """Of the things that count once, and of which rows change: those that have a row. `both`: before the change;
        otherwise after it."""
        assert counter.once is not None
        came = {counter.once(key) for key, _ in self.puts.get(counter.rows, ())}
        gone = {counter.once(key) for key, _ in self._gone.get(counter.rows, ())}
        asked = came | gone if both else gone - came
        found = {name for name in sorted(asked) if any(self._txn.prefix(counter.rows, name, limit=1))}
        return found if both else found | came

    def _count(self, counter: Counter, before: set[bytes], after: set[bytes]) -> None:
        key_of, deltas = counter.key, defaultdict[bytes, int](int)
        if counter.once is None:
            came: Iterable[bytes] = (key for key, _ in self.puts.get(counter.rows, ()))
            gone: Iterable[bytes] = (key for key, _ in self._gone.get(counter.rows, ()))
        else:
            came, gone = after - before, before - after
        for key, delta in chain(((key, 1) for key in came), ((key, -1) for key in gone)):
            deltas[key_of(key)] += delta
        moved = sorted(key for key, delta in deltas.items() if delta)
        held = dict(self._txn.get_many(counter.counts, moved))
        puts = []
        for key in moved:
            count = count_of(held.get(key)) + deltas[key]
            if count > 0:
                puts.append((key, count_value(count)))
            else:
                self._txn.delete(counter.counts, key)
        self._txn.put_many(counter.counts, puts)
