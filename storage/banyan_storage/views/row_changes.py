"""Collects the rows to remove and to add for many slots, writes them table by table, and updates their counters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from itertools import chain
from typing import TypeAlias

from banyan_storage.blob_names import look_again
from banyan_storage.engine import Item, Table, WriteTxn
from banyan_storage.slots import (
    FIRST_OP,
    LINE,
    NO_COUNTER,
    NUMBERED,
    POSTS,
    SHOWN,
    TIME,
    TIMELINE,
    SlotContent,
    place_in,
    rows_shown,
)
from banyan_storage.views import invalidation, journal
from banyan_storage.views.registry import OPENINGS, VIEWS, is_built, rows_of
from banyan_storage.views.view import Counter, KeyOf, OpeningPost, Row, count_of, count_value

_Items: TypeAlias = "defaultdict[Table, list[Item]]"
_There: TypeAlias = dict[tuple[Table, KeyOf | None], set[bytes]]
_ACCOUNT_AT = {table: at for view in VIEWS for table, at in view.account_at.items()}
TARGET_BYTES = 48
"""The key of a count of a post is at least as long; that of an account is shorter."""
_COUNTERS = tuple(counter for view in VIEWS for counter in view.counters)


class RowChanges:
    """`building`: the cursors of views that are being built (registry.py). These views get rows up to there only.

    `empty`: numbers of accounts of which nothing shows yet, so that no rows of theirs need be looked for.
    """

    def __init__(self, txn: WriteTxn, building: Mapping[str, bytes], empty: Set[bytes] = frozenset()) -> None:
        self._txn, self.building, self._empty = txn, building, empty
        self.puts: _Items = defaultdict(list)
        self._gone: _Items = defaultdict(list)
        self._names: dict[bytes, bytes] = {}
        self.touched: set[bytes] = set()
        """Numbers of accounts whose rows are removed beside these."""

        self.openings: list[OpeningPost] = []
        """New posts of new slots that answer nothing and name nobody: their seeds are their times."""

    def slot(self, before: SlotContent | None, after: SlotContent | None) -> None:
        """What a slot shows has changed: removes the rows of `before` and adds those of `after`, here and in all
        views. None: nothing."""
        if before is None:
            self.come(self._rows(after))
            return
        gone, came = self._rows(before), self._rows(after)
        self.come([row for row in came if row not in gone])
        for table, key, value in gone:
            if (table, key, value) not in came:
                self._gone[table].append((key, value))

    def come(self, rows: Iterable[Row]) -> None:
        """Adds these rows."""
        for table, key, value in rows:
            self.puts[table].append((key, value))

    def _rows(self, showing: SlotContent | None) -> list[Row]:
        if showing is None:
            return []
        if not self.building:
            return rows_shown(showing) + rows_of(showing)
        account = self._account(showing.account)
        return rows_shown(showing) + rows_of(showing, lambda view: is_built(self.building, view, account, showing.slot))

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
        txn, openings = self._txn, self.openings
        shows, changed = ([*self.puts.get(of, ()), *self._gone.get(of, ())] for of in (SHOWN, TIMELINE))
        numbers = self.touched.union([row[0] for rows in (shows, changed, openings) for row in rows])
        if changed:
            journal.note(txn, (number + row[LINE.key] for number, row in changed))
            look_again(txn, [place_in(row) for _, row in self._gone.get(TIMELINE, ())])
        if openings:
            journal.note_openings(txn, openings)
            odd = [one for one in openings if one[2][TIME.ms] + NO_COUNTER != one[1]]  # as usual_time
            if odd:
                self.puts[SHOWN] += [(number, POSTS + key + place + time) for number, time, key, place in odd]
            self.puts[TIMELINE] += [(n, time + key + place.removesuffix(FIRST_OP)) for n, time, key, place in openings]
            for table, rows in OPENINGS:
                self.puts[table] += rows(openings)
        counted = [c for c in _COUNTERS if c.rows in self.puts or c.rows in self._gone]
        before = self._there(counted, both=True)
        for table, items in self._gone.items():
            for key, value in items:
                txn.delete(table, key, value)
        for table, items in self.puts.items():
            items.sort()
            txn.put_many(table, items)
        after, moved = self._there(counted, both=False), set[bytes]()
        for counter in counted:
            at = counter.rows, counter.once
            moved.update(self._count(counter, before.get(at, set()), after.get(at, set())))
        posts = {invalidation.post_name(key) for key in moved if len(key) >= TARGET_BYTES}
        invalidation.note(txn, numbers, posts)

    def _there(self, counted: list[Counter], both: bool) -> _There:
        """By (counted table, `once`), which counters may share: the things that have a row."""
        found: _There = {}
        for counter in counted:
            if counter.once is not None and (counter.rows, counter.once) not in found:
                find = self._before if both else self._after
                found[counter.rows, counter.once] = find(counter.rows, counter.once)
        return found

    def _before(self, rows: Table, once: KeyOf) -> set[bytes]:
        """Of the things that count once, and of which rows change: those that had a row before the change."""
        keys: Iterable[bytes] = (key for key, _ in chain(self.puts.get(rows, ()), self._gone.get(rows, ())))
        if self._empty:
            at = _ACCOUNT_AT[rows]
            keys = (key for key in keys if key[at : at + 4] not in self._empty)
        return self._present(rows, set(map(once, keys)))

    def _after(self, rows: Table, once: KeyOf) -> set[bytes]:
        came = {once(key) for key, _ in self.puts.get(rows, ())}
        gone = {once(key) for key, _ in self._gone.get(rows, ())}
        return came | self._present(rows, gone - came)

    def _present(self, rows: Table, names: set[bytes]) -> set[bytes]:
        return {name for name in sorted(names) if any(self._txn.prefix(rows, name, limit=1))}

    def _count(self, counter: Counter, before: set[bytes], after: set[bytes]) -> list[bytes]:
        """Returns the keys whose counts changed."""
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
        return moved
