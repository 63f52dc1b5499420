"""Reads in an LMDB transaction, pending or of a snapshot, and the sentences for LMDB's errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import lmdb

from banyan_storage.engine import Item, Table, after_prefix
from banyan_storage.errors import (
    CorruptStore,
    DiskFailed,
    DiskFull,
    StorageError,
    StoreClosed,
    StoreReadOnly,
    TransactionTooBig,
    repair_it,
)
from banyan_storage.lmdb_folder import DATA, why_no_room
from banyan_storage.lmdb_pages import Pages

BLOCK = 4_096  # keys looked up by one call

Txn: TypeAlias = "lmdb.Transaction[bytes]"
_CORRUPT = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain(error: lmdb.Error, path: Path) -> StorageError:
    """The StorageError for an lmdb.Error."""
    code = getattr(error, "code", 0)
    if code == errno.EIO and why_no_room(path) is not None:
        code = errno.ENOSPC  # LMDB reports a short write on a full disk as an I/O error
    if code in _NO_ROOM:
        return DiskFull(f"no room left for {path} ({os.strerror(code)}); free some, nothing committed was lost")
    if isinstance(error, _CORRUPT):
        return CorruptStore(f"{path} is damaged ({error}); {repair_it(path)}")
    if isinstance(error, lmdb.ReadonlyError) or code in (errno.EACCES, errno.EROFS, errno.EPERM):
        return StoreReadOnly(f"{path} cannot be written ({error}); check its owner and mount")
    if isinstance(error, lmdb.TxnFullError):
        return TransactionTooBig(f"{path}: more is pending than one transaction holds ({error}); commit more often")
    if "closed/deleted/dropped" in str(error):
        return StoreClosed(f"{path}: this store or snapshot was closed; open it or take it again")
    return DiskFailed(f"{path}: {error}; see the system log for errors of the disk")


class Reader:
    """Ordered reads in the LMDB transaction that `_txn` returns."""

    def __init__(self, dbs: dict[Table, Any], path: Path) -> None:
        self._dbs = dbs
        self._path = path

    def _txn(self) -> Txn:
        raise StoreClosed(f"{self._path}: no transaction is open")

    def faults(self) -> list[str]:
        return _faults(self._path, None)

    def pages(self) -> int:
        """Pages in use, but for the list of free ones."""
        trees = map(self._txn().stat, self._dbs.values())
        return 3 + sum(tree["branch_pages"] + tree["leaf_pages"] + tree["overflow_pages"] for tree in trees)

    def get(self, table: Table, key: bytes) -> bytes | None:
        try:
            return self._txn().get(key, db=self._dbs[table])
        except lmdb.BadValsizeError:
            return None
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def get_many(self, table: Table, sorted_keys: Iterable[bytes]) -> Iterator[Item]:
        try:
            keys = filter(None, sorted_keys)
            while block := list(islice(keys, BLOCK)):
                found: list[Item] = self._txn().cursor(db=self._dbs[table]).getmulti(block)
                yield from found
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def scan(
        self,
        table: Table,
        start: bytes = b"",
        stop: bytes | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        walk = self._down if reverse else self._up
        return islice(walk(table, start, stop), limit)

    def _up(self, table: Table, start: bytes, stop: bytes | None) -> Iterator[Item]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            if not cursor.set_range(start):
                return
            if stop is None:
                yield from cursor.iternext()
                return
            for item in cursor.iternext():
                if item[0] >= stop:
                    return
                yield item
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def _down(self, table: Table, start: bytes, stop: bytes | None) -> Iterator[Item]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            found = cursor.prev() if stop is not None and cursor.set_range(stop) else cursor.last()
            if not found:
                return
            for item in cursor.iterprev():
                if item[0] < start:
                    return
                yield item
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def prefix(self, table: Table, prefix: bytes, reverse: bool = False, limit: int | None = None) -> Iterator[Item]:
        return self.scan(table, prefix, after_prefix(prefix), reverse, limit)

    def prefixes(
        self, table: Table, sorted_prefixes: Iterable[bytes], each: int | None = None
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            for prefix in sorted_prefixes:
                there, n = cursor.set_range(prefix), 0
                while there and n != each and (found := cursor.item())[0].startswith(prefix):
                    yield prefix, *found
                    there, n = cursor.next(), n + 1
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def last(self, table: Table) -> Item | None:
        return next(self._down(table, b"", None), None)

    def count(self, table: Table) -> int:
        try:
            return self._txn().stat(self._dbs[table])["entries"]
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def dups(
        self, table: Table, key: bytes, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[bytes]:
        if not table.dupsort:
            value = self.get(table, key)
            found = value is not None and value >= start and (stop is None or value < stop)
            return iter([value] if found and value is not None else [])
        return self._dups_down(table, key, start, stop) if reverse else self._dups_up(table, key, start, stop)

    def _dups_up(self, table: Table, key: bytes, start: bytes, stop: bytes | None) -> Iterator[bytes]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            if not key or not (cursor.set_range_dup(key, start) if start else cursor.set_key(key)):
                return
            for value in cursor.iternext_dup():
                if stop is not None and value >= stop:
                    return
                yield value
        except lmdb.BadValsizeError:
            return
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def _dups_down(self, table: Table, key: bytes, start: bytes, stop: bytes | None) -> Iterator[bytes]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            if not key or not cursor.set_key(key):
                return
            above = stop is not None and cursor.set_range_dup(key, stop)
            if not (cursor.prev_dup() if above else cursor.set_key(key) and cursor.last_dup()):
                return
            for value in cursor.iterprev_dup():
                if value < start:
                    return
                yield value
        except lmdb.BadValsizeError:
            return
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def beginning(
        self, table: Table, sorted_starts: Iterable[Item], each: int | None = 1
    ) -> Iterator[tuple[bytes, bytes, bytes]]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            seek, value = cursor.set_range_dup, cursor.value
            for key, start in sorted_starts:
                there, n = seek(key, start), 0
                while there and n != each and (found := value()).startswith(start):
                    yield key, start, found
                    n += 1
                    there = n != each and cursor.next_dup()
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def ending(self, table: Table, sorted_stops: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Item]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            seek, last, value = cursor.set_key, cursor.last_dup, cursor.value
            for key, stop in sorted_stops:
                if not key or stop == b"" or not (seek(key) and last()):
                    continue
                found = value()
                if stop is not None and found >= stop:
                    if not (cursor.set_range_dup(key, stop) and cursor.prev_dup()):
                        continue
                    found = value()
                yield key, found
        except lmdb.Error as error:
            raise explain(error, self._path) from error

    def dup_count(self, table: Table, key: bytes) -> int:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            return cursor.count() if key and cursor.set_key(key) else 0
        except lmdb.Error as error:
            raise explain(error, self._path) from error


class Snapshot(Reader):
    """Reads of one commit, until `end`."""

    def __init__(self, txn: Txn, dbs: dict[Table, Any], path: Path) -> None:
        super().__init__(dbs, path)
        self._open: Txn | None = txn

    def _txn(self) -> Txn:
        return self._open or super()._txn()

    def faults(self) -> list[str]:
        return _faults(self._path, self._txn().id())

    def end(self) -> None:
        """Lets go of the transaction: LMDB's place for it is taken as long as anything refers to it, such as the
        traceback of an error."""
        txn, self._open = self._txn(), None
        txn.abort()


def _faults(path: Path, commit: int | None) -> list[str]:
    try:
        with Pages(path / DATA, commit) as pages:
            return pages.check()
    except CorruptStore as error:
        return [str(error)]
