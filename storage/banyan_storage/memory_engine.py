"""An engine in memory that can lose power: the simulator's storage.

The tables hold the pending state, and an undo list leads back to the durable state. The owner reads the pending state,
snapshots the durable one. `commit()` clears the undo list, and `crash()` returns an engine with the durable state only,
as after a power loss.

A snapshot reads frozen copies of tables. A copy is kept until a commit changes its table, so many snapshots between two
commits cost one copy.
"""

import threading
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sortedcontainers import SortedList

from banyan_storage.engine import Item, Sizes, Table, WriteTxn, after_prefix, check_items
from banyan_storage.errors import StorageError, StoreClosed, WrongThread

DUMP = "memory.store"


class _Singles:
    """One value per key: a dictionary, and its keys in order."""

    def __init__(self, rows: dict[bytes, bytes] | None = None, keys: list[bytes] | None = None) -> None:
        self.rows = rows or {}
        self.keys = keys or []

    def __len__(self) -> int:
        return len(self.rows)

    def copy(self) -> "_Singles":
        return _Singles(self.rows.copy(), self.keys.copy())

    def first_at(self, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def __contains__(self, item: Item) -> bool:
        return self.rows.get(item[0]) == item[1]

    def values_at(self, key: bytes) -> list[bytes]:
        value = self.rows.get(key)
        return [] if value is None else [value]

    def values_between(self, key: bytes, start: bytes, stop: bytes | None) -> list[bytes]:
        return [value for value in self.values_at(key) if value >= start and (stop is None or value < stop)]

    def add(self, item: Item) -> None:
        key, value = item
        if key not in self.rows:
            keys = self.keys
            if keys and key < keys[-1]:
                insort(keys, key)
            else:
                keys.append(key)
        self.rows[key] = value

    def remove(self, item: Item) -> None:
        del self.rows[item[0]]
        del self.keys[bisect_left(self.keys, item[0])]

    def last(self) -> Item | None:
        return (self.keys[-1], self.rows[self.keys[-1]]) if self.keys else None

    def items(self, start: bytes, stop: bytes | None, reverse: bool) -> Iterator[Item]:
        keys, rows = self.keys, self.rows
        first = bisect_left(keys, start) if start else 0
        end = len(keys) if stop is None else bisect_left(keys, stop, first)
        places = range(first, end)
        return ((key, rows[key]) for at in (reversed(places) if reverse else places) for key in (keys[at],))


class _Dups:
    """A sorted set of values per key. (key, b"") is below every item at key, as values have at least one byte."""

    def __init__(self, rows: Iterable[Item] = ()) -> None:
        self.rows = SortedList(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def copy(self) -> "_Dups":
        return _Dups(self.rows)

    def first_at(self, key: bytes) -> bytes | None:
        return next((value for _, value in self.items(key, key + b"\x00", False)), None)

    def __contains__(self, item: Item) -> bool:
        return item in self.rows

    def values_at(self, key: bytes) -> list[bytes]:
        return [value for _, value in self.items(key, key + b"\x00", False)]

    def values_between(self, key: bytes, start: bytes, stop: bytes | None) -> list[bytes]:
        end = (key + b"\x00", b"") if stop is None else (key, max(start, stop))
        return [value for _, value in self.rows.irange((key, start), end, (True, False))]

    def add(self, item: Item) -> None:
        self.rows.add(item)

    def remove(self, item: Item) -> None:
        self.rows.remove(item)

    def last(self) -> Item | None:
        item: Item | None = self.rows[-1] if self.rows else None
        return item

    def items(self, start: bytes, stop: bytes | None, reverse: bool) -> Iterator[Item]:
        end = None if stop is None else (stop, b"")
        found: Iterator[Item] = self.rows.irange((start, b""), end, (True, False), reverse)
        return found


_TableRows = _Singles | _Dups


class _Change(NamedTuple):
    """One pending change; replacing a value is a removal and an addition."""

    table: Table
    added: bool
    item: Item


class _MemoryReader:
    """Ordered reads of the given tables."""

    def __init__(self, rows: dict[Table, _TableRows]) -> None:
        self._rows = rows

    def _at(self, table: Table) -> _TableRows:
        return self._rows[table]

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._at(table).first_at(key)

    def get_many(self, table: Table, sorted_keys: Iterable[bytes]) -> Iterator[Item]:
        rows = self._at(table)
        return ((key, value) for key in sorted_keys if (value := rows.first_at(key)) is not None)

    def scan(
        self,
        table: Table,
        start: bytes = b"",
        stop: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        rows = self._at(table)
        return islice(rows.items(start, stop, reverse) if stop is None or start < stop else iter(()), limit)

    def prefix(self, table: Table, prefix: bytes, reverse: bool = False, limit: int | None = None) -> Iterator[Item]:
        return self.scan(table, prefix, after_prefix(prefix), reverse, limit)

    def prefixes(
        self, table: Table, sorted_prefixes: Iterable[bytes], each: int | None = None
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        return ((one, *row) for one in sorted_prefixes for row in self.prefix(table, one, limit=each))

    def last(self, table: Table) -> Item | None:
        return self._at(table).last()

    def count(self, table: Table) -> int:
        return len(self._at(table))

    def dups(
        self, table: Table, key: bytes, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[bytes]:
        values = self._at(table).values_between(key, start, stop)
        return reversed(values) if reverse else iter(values)

    def beginning(
        self, table: Table, sorted_starts: Iterable[Item], each: int | None = 1
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        for key, start in sorted_starts:
            for value in self._at(table).values_between(key, start, after_prefix(start))[:each]:
                yield key, start, value

    def ending(self, table: Table, sorted_stops: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Item]:
        for key, stop in sorted_stops:
            for value in self._at(table).values_between(key, b"", stop)[-1:]:
                yield key, value

    def dup_count(self, table: Table, key: bytes) -> int:
        return len(self._at(table).values_at(key))

    def faults(self) -> list[str]:
        return []


class _MemorySnapshot(_MemoryReader):
    """Reads of one commit, refused once the snapshot is over."""

    over = False

    def _at(self, table: Table) -> _TableRows:
        if self.over:
            raise StoreClosed("this snapshot was closed; take a new one with read()")
        return self._rows[table]


class _MemoryWriter(_MemoryReader):
    """The pending state and the undo list that leads back to the durable one."""

    def __init__(self, rows: dict[Table, _TableRows], lock: threading.Lock) -> None:
        super().__init__(rows)
        self.undo: list[_Change] = []
        self.closed = False
        self._lock = lock
        self._owner = 0

    def _at(self, table: Table) -> _TableRows:
        if self.closed:
            raise StoreClosed("this store was closed; open it again")
        if self.undo and self._owner != threading.get_ident():
            raise WrongThread(f"thread {self._owner} owns what is pending, thread {threading.get_ident()} may not join")
        return self._rows[table]

    def _put(self, table: Table, rows: _TableRows, item: Item) -> None:
        if item in rows:
            return
        if not table.dupsort and (old := rows.first_at(item[0])) is not None:
            self.undo.append(_Change(table, False, (item[0], old)))
        rows.add(item)  # of a table with one value per key, in the old one's place
        self.undo.append(_Change(table, True, item))

    def _remove(self, table: Table, rows: _TableRows, gone: list[Item]) -> None:
        with self._lock:
            self._owner = threading.get_ident()
            for item in gone:
                rows.remove(item)
                self.undo.append(_Change(table, False, item))

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self.put_many(table, [(key, value)])

    def put_many(self, table: Table, items: Iterable[Item], append: bool = False) -> None:
        rows, batch = self._at(table), list(items)
        check_items(table, batch, append, self.last(table) if append else None)
        with self._lock:
            self._owner = threading.get_ident()
            for item in batch:
                self._put(table, rows, item)

    def delete(self, table: Table, key: bytes, value: bytes | None = None) -> bool:
        rows = self._at(table)
        gone = rows.values_at(key) if value is None else [value] * ((key, value) in rows)
        self._remove(table, rows, [(key, old) for old in gone])
        return bool(gone)

    def delete_range(self, table: Table, start: bytes, stop: bytes | None) -> int:
        rows, gone = self._at(table), list(self.scan(table, start, stop))
        self._remove(table, rows, gone)
        return len(gone)


class MemoryEngine:
    """Tables in memory. rows: the durable state at the start (see `crash` and `restore`)."""

    writable = True

    def __init__(self, tables: Iterable[Table], rows: dict[Table, _TableRows] | None = None) -> None:
        self.tables = tuple(tables)
        self._rows: dict[Table, _TableRows] = {table: _Dups() if table.dupsort else _Singles() for table in self.tables}
        self._rows |= rows or {}
        self._lock = threading.Lock()
        self._writer = _MemoryWriter(self._rows, self._lock)
        self._frozen: dict[Table, _TableRows] = {}

    @property
    def pending(self) -> bool:
        return bool(self._writer.undo)

    def write(self) -> WriteTxn:
        return self._writer

    def commit(self) -> None:
        with self._lock:
            for table in {change.table for change in self._writer.undo}:
                self._frozen.pop(table, None)
            self._writer.undo.clear()

    def rollback(self) -> None:
        with self._lock:
            _step_back(self._rows, self._writer.undo)
            self._writer.undo.clear()

    @contextmanager
    def read(self) -> Iterator[_MemoryReader]:
        snapshot = _MemorySnapshot(self._durable())
        try:
            yield snapshot
        finally:
            snapshot.over = True

    def _durable(self) -> dict[Table, _TableRows]:
        """Frozen copies of all tables as of the last commit."""
        if self._writer.closed:
            raise StoreClosed("this store was closed; open it again")
        with self._lock:
            fresh = {table: rows.copy() for table, rows in self._rows.items() if table not in self._frozen}
            _step_back(fresh, [change for change in self._writer.undo if change.table in fresh])
            self._frozen |= fresh
            return dict(self._frozen)

    def crash(self) -> "MemoryEngine":
        """Cuts the power: closes this engine, and returns one with the durable state."""
        rows = {table: rows.copy() for table, rows in self._durable().items()}
        self._writer.closed = True
        return MemoryEngine(self.tables, rows)

    def compact(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise StorageError(f"{path} is not empty; give a new folder for the copy")
        with (path / DUMP).open("wb") as out:
            for number, table in enumerate(self.tables):
                for key, value in self._durable()[table].items(b"", None, False):
                    out.write(b"".join(n.to_bytes(4, "big") for n in (number, len(key), len(value))) + key + value)

    @classmethod
    def restore(cls, path: Path, tables: Iterable[Table]) -> "MemoryEngine":
        """The engine whose `compact` wrote the folder at path, with the same tables in the same order."""
        engine, raw, at = cls(tables), (path / DUMP).read_bytes(), 0
        while at < len(raw):
            number, key, value = (int.from_bytes(raw[at + i : at + i + 4], "big") for i in (0, 4, 8))
            at += 12
            engine.write().put(engine.tables[number], raw[at : at + key], raw[at + key : at + key + value])
            at += key + value
        engine.commit()
        return engine

    def sizes(self) -> Sizes:
        rows = self._durable()
        used = sum(len(k) + len(v) for table in rows.values() for k, v in table.items(b"", None, False))
        return Sizes(used, used, used)

    def close(self) -> None:
        if not self._writer.closed:
            self.rollback()
            self._writer.closed = True


def _step_back(rows: dict[Table, _TableRows], undo: list[_Change]) -> None:
    """Undoes these changes of rows, latest first."""
    for table, added, item in reversed(undo):
        (rows[table].remove if added else rows[table].add)(item)
