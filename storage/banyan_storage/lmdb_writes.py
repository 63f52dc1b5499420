"""The pending transaction of the engine on disk.

Invariant: pending writes are held twice, in LMDB's write transaction and as a journal of operations. LMDB cannot grow
its map during a transaction, and an operation that finds the map full makes its transaction unusable. Then the
transaction is aborted, the map is doubled while no snapshot is open, and the journal is replayed on the committed
state. The operations are deterministic, so the result is the same.

Any other failure in the write transaction drops all pending writes and raises; committed data stays.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import lmdb

from banyan_storage.engine import Item, Table, check_items
from banyan_storage.errors import WrongThread
from banyan_storage.lmdb_reads import Reader, Txn, explain


class _Op(NamedTuple):
    """One journalled operation: a method of LmdbWriter that works on a raw transaction, and its arguments."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]


class Environment(Protocol):
    """What a writer needs of the engine."""

    dbs: dict[Table, Any]
    path: Path

    def begin_write(self) -> Txn: ...

    def grow(self) -> None:
        """Doubles the map."""

    def hush(self) -> AbstractContextManager[None]:
        """No snapshot begins or ends meanwhile."""


class LmdbWriter(Reader):
    """The pending transaction: begun by the first use, journalled, and ended by the engine's commit or rollback."""

    def __init__(self, engine: Environment) -> None:
        super().__init__(engine.dbs, engine.path)
        self.journal: list[_Op] = []
        self._engine = engine
        self._open: Txn | None = None
        self._owner = 0

    def _txn(self) -> Txn:
        if self._open is None:
            self._owner = threading.get_ident()
            self._open = self._engine.begin_write()
        elif self._owner != threading.get_ident():
            raise WrongThread(
                f"thread {self._owner} owns the open transaction, thread {threading.get_ident()} may not join"
            )
        return self._open

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        check_items(table, [(key, value)], False, None)
        self._do(_put, self._dbs[table], key, value)

    def put_many(self, table: Table, items: Iterable[Item], append: bool = False) -> None:
        batch = list(items)
        check_items(table, batch, append, self.last(table) if append else None)
        if batch:
            if table.size:
                self._do(_put_fixed, self._dbs[table], sorted(batch))
            else:
                self._do(_put_many, self._dbs[table], batch, append and not table.dupsort)

    def delete(self, table: Table, key: bytes, value: bytes | None = None) -> bool:
        if not key or (table.dupsort and value == b""):
            return False
        if not table.dupsort and value is not None:
            return self.get(table, key) == value and self.delete(table, key)
        return bool(self._do(_delete, self._dbs[table], key, value or b""))

    def delete_range(self, table: Table, start: bytes, stop: bytes | None) -> int:
        return int(self._do(_delete_range, self._dbs[table], start, stop))

    def _do(self, run: Callable[..., Any], *arguments: Any) -> Any:
        """Journal and run one operation; when the map is full, grow it and replay."""
        txn = self._txn()
        self.journal.append(_Op(run, arguments))
        try:
            return run(txn, *arguments)
        except lmdb.MapFullError:
            return self._replay()
        except lmdb.Error as error:
            self.drop()
            raise explain(error, self._path) from error

    def _replay(self) -> Any:
        """Grow until all of the journal fits. Returns what its last operation returned."""
        journal = self.journal
        while True:
            try:
                self.drop()
                self._engine.grow()
                txn, result = self._txn(), None
                for run, arguments in journal:
                    result = run(txn, *arguments)
            except lmdb.MapFullError:
                continue
            except lmdb.Error as error:
                self.drop()
                raise explain(error, self._path) from error
            self.journal = journal
            return result

    def commit(self) -> None:
        """Commit the journal. The map can be found full even here, because commit writes the list of free pages."""
        while self.journal:
            try:
                txn, self._open = self._txn(), None
                txn.commit()
                self.journal = []
            except lmdb.MapFullError:
                self._replay()
            except lmdb.Error as error:
                self.drop()
                raise explain(error, self._path) from error
        self.drop()

    def drop(self) -> None:
        """Drop pending writes, and end the transaction."""
        txn, written, self._open, self.journal = self._open, bool(self.journal), None, []
        if txn is None:
            return
        if not written:
            with suppress(lmdb.Error):
                txn.commit()  # nothing to do, and unlike abort never waits for readers
            return
        with self._engine.hush():
            txn.abort()


def _put(txn: Txn, db: Any, key: bytes, value: bytes) -> None:
    txn.put(key, value, db=db)


def _put_many(txn: Txn, db: Any, items: list[Item], append: bool) -> None:
    with txn.cursor(db=db) as cursor:
        cursor.putmulti(items, append=append)


def _put_fixed(txn: Txn, db: Any, items: list[Item]) -> None:
    """The items ascend. Values of one size above all others of their key are appended: LMDB would leave pages half
    full."""
    one = items[0][0] == items[-1][0]  # usual: all new posts are openings
    with txn.cursor(db=db) as cursor:
        for some in [items] if one else [list(found) for _, found in groupby(items, itemgetter(0))]:
            key, value = some[0]
            above = not cursor.set_key(key) or (cursor.last_dup() and cursor.value() < value)
            cursor.putmulti(some, append=above)


def _delete(txn: Txn, db: Any, key: bytes, value: bytes) -> bool:
    return txn.delete(key, value, db=db)


def _delete_range(txn: Txn, db: Any, start: bytes, stop: bytes | None) -> int:
    if not start and stop is None:  # page by page
        entries = txn.stat(db)["entries"]
        txn.drop(db, delete=False)
        return int(entries)
    gone = 0
    with txn.cursor(db=db) as cursor:
        found = cursor.set_range(start)
        while found and (stop is None or cursor.key() < stop):
            found = cursor.delete() and cursor.key() != b""  # b"": it was the last entry
            gone += 1
    return gone
