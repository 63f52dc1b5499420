"""The engine on disk: one LMDB environment in a folder, its map growing by itself.

Invariant: what is pending is held twice, in LMDB's write transaction and as a journal of the operations that made it.
LMDB cannot grow its map under an open transaction, and an operation that finds the map full leaves its transaction
unusable; so then the transaction is aborted, the map doubled while no snapshot is open, and the journal replayed
on the committed state it was first made on. The operations are deterministic, so the result is what it would have been.

Any other failure inside the write transaction drops everything pending, and says so; what is committed stays.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import lmdb

from .engine import Item, Sizes, Table, WriteTxn, after_prefix, check_items
from .errors import (
    CorruptStore,
    DiskFailed,
    DiskFull,
    SnapshotHeld,
    StorageError,
    StoreClosed,
    StoreReadOnly,
    StoreVersion,
    TransactionTooBig,
    WrongThread,
)
from .lmdb_folder import DATA, Folder, check_extent, sync_folder, why_no_room

ADDRESS_SPACE = 1 << 40  # reserved, not used: neither memory nor disk is taken until pages are
SNAPSHOT_PATIENCE = 30.0  # seconds that growing the map waits for open snapshots
BLOCK = 4_096  # keys looked up by one call
FORMAT = Table("_format")
VERSION_KEY = b"version"

Migration = Callable[[WriteTxn], None]
_Txn: TypeAlias = "lmdb.Transaction[bytes]"
_CORRUPT = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _explain(error: lmdb.Error, path: Path) -> StorageError:
    """The StorageError that says what an lmdb.Error means."""
    code = getattr(error, "code", 0)
    if code == errno.EIO and why_no_room(path) is not None:
        code = errno.ENOSPC  # LMDB reports a short write, a disk that filled up half way, as an I/O error
    if code in _NO_ROOM:
        return DiskFull(f"no room left for {path} ({os.strerror(code)}); free some, nothing committed was lost")
    if isinstance(error, _CORRUPT):
        return CorruptStore(f"{path} is damaged ({error}); restore a copy, or remove it and sync again from peers")
    if isinstance(error, lmdb.ReadonlyError) or code in (errno.EACCES, errno.EROFS, errno.EPERM):
        return StoreReadOnly(f"{path} cannot be written ({error}); check its owner and mount")
    if isinstance(error, lmdb.TxnFullError):
        return TransactionTooBig(f"{path}: more is pending than one transaction holds ({error}); commit more often")
    if "closed/deleted/dropped" in str(error):
        return StoreClosed(f"{path}: this store or snapshot was closed; open it or take it again")
    return DiskFailed(f"{path}: {error}; see the system log for the disk's own words")


class _Reader:
    """Ordered reads through whatever LMDB transaction `_txn` gives."""

    def __init__(self, dbs: dict[Table, Any], path: Path) -> None:
        self._dbs = dbs
        self._path = path

    def _txn(self) -> _Txn:
        raise StoreClosed(f"{self._path}: no transaction is open")

    def get(self, table: Table, key: bytes) -> bytes | None:
        try:
            return self._txn().get(key, db=self._dbs[table])
        except lmdb.BadValsizeError:
            return None
        except lmdb.Error as error:
            raise _explain(error, self._path) from error

    def get_many(self, table: Table, sorted_keys: Iterable[bytes]) -> Iterator[Item]:
        try:
            keys = iter(sorted_keys)
            while block := list(islice(keys, BLOCK)):
                found: list[Item] = self._txn().cursor(db=self._dbs[table]).getmulti([k for k in block if k])
                yield from found
        except lmdb.Error as error:
            raise _explain(error, self._path) from error

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
            raise _explain(error, self._path) from error

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
            raise _explain(error, self._path) from error

    def prefix(self, table: Table, prefix: bytes, reverse: bool = False, limit: int | None = None) -> Iterator[Item]:
        return self.scan(table, prefix, after_prefix(prefix), reverse, limit)

    def last(self, table: Table) -> Item | None:
        return next(self._down(table, b"", None), None)

    def count(self, table: Table) -> int:
        try:
            return self._txn().stat(self._dbs[table])["entries"]
        except lmdb.Error as error:
            raise _explain(error, self._path) from error

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
            raise _explain(error, self._path) from error

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
            raise _explain(error, self._path) from error

    def beginning(self, table: Table, sorted_starts: Iterable[Item]) -> Iterator[tuple[bytes, bytes, bytes]]:
        try:
            cursor = self._txn().cursor(db=self._dbs[table])
            seek, value = cursor.set_range_dup, cursor.value
            for key, start in sorted_starts:
                if seek(key, start) and (found := value()).startswith(start):
                    yield key, start, found
        except lmdb.Error as error:
            raise _explain(error, self._path) from error


class _Snapshot(_Reader):
    """Reads of one commit."""

    def __init__(self, txn: _Txn, dbs: dict[Table, Any], path: Path) -> None:
        super().__init__(dbs, path)
        self._open = txn

    def _txn(self) -> _Txn:
        return self._open


class _Op(NamedTuple):
    """One journalled operation: a method of _Writer that works on a raw transaction, and its arguments."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]


class _Writer(_Reader):
    """The pending transaction: begun by the first use, journalled, and ended by the engine's commit or rollback."""

    def __init__(self, engine: "LmdbEngine") -> None:
        super().__init__(engine.dbs, engine.path)
        self.journal: list[_Op] = []
        self._engine = engine
        self._open: _Txn | None = None
        self._owner = 0

    def _txn(self) -> _Txn:
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
            raise _explain(error, self._path) from error

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
                raise _explain(error, self._path) from error
            self.journal = journal
            return result

    def commit(self) -> None:
        """Commit the journal. A full map can show as late as here, for commit itself writes the list of free pages."""
        while self.journal:
            try:
                txn, self._open = self._txn(), None
                txn.commit()
                self.journal = []
            except lmdb.MapFullError:
                self._replay()
            except lmdb.Error as error:
                self.drop()
                raise _explain(error, self._path) from error
        self.drop()

    def drop(self) -> None:
        """Forget what is pending, and end the transaction."""
        txn, written, self._open, self.journal = self._open, bool(self.journal), None, []
        if txn is None:
            return
        if not written:
            with suppress(lmdb.Error):
                txn.commit()  # nothing to do, and unlike abort never waits for readers
            return
        with self._engine.hush():
            txn.abort()


def _put(txn: _Txn, db: Any, key: bytes, value: bytes) -> None:
    txn.put(key, value, db=db)


def _put_many(txn: _Txn, db: Any, items: list[Item], append: bool) -> None:
    with txn.cursor(db=db) as cursor:
        cursor.putmulti(items, append=append)


def _delete(txn: _Txn, db: Any, key: bytes, value: bytes) -> bool:
    return txn.delete(key, value, db=db)


def _delete_range(txn: _Txn, db: Any, start: bytes, stop: bytes | None) -> int:
    gone = 0
    with txn.cursor(db=db) as cursor:
        found = cursor.set_range(start)
        while found and (stop is None or cursor.key() < stop):
            found = cursor.delete() and cursor.key() != b""  # b"": it was the last entry
            gone += 1
    return gone


class LmdbEngine:
    """A store in the folder at path.

    version: the format this program writes; migrations[v] takes a store from v to v + 1, and each is one commit.
    map_size: bytes of address space to start with; it doubles when needed.
    read_only: read beside the process that writes. A folder that cannot be written opens read-only by itself.
    Raises StoreLocked, StoreVersion, StoreReadOnly, CorruptStore, DiskFull.
    """

    def __init__(
        self,
        path: Path,
        tables: Iterable[Table],
        *,
        version: int = 1,
        migrations: Mapping[int, Migration] | None = None,
        map_size: int = ADDRESS_SPACE,
        read_only: bool = False,
    ) -> None:
        self.path = path
        self.tables = tuple(tables)
        self.dbs: dict[Table, Any] = {}
        self._map_size = map_size
        self._gate = threading.Condition()
        self._readers: list[int] = []
        self._hushed = 0
        self._closed = False
        self._folder = Folder(path, read_only)
        self.writable = self._folder.writable
        try:
            self._env = self._open()
            self._writer = _Writer(self)
            self._settle_version(version, migrations or {})
        except BaseException:
            self.close()
            raise

    def _open(self) -> lmdb.Environment:
        """The environment, its extent checked before any page is touched, its tables opened."""
        mode: dict[str, Any] = {"readonly": not self.writable, "create": self.writable, "mode": 0o600}
        mode["lock"] = self.writable or os.access(self.path / "lock.mdb", os.W_OK)
        mode |= {"max_dbs": len(self.tables) + 1, "map_size": self._map_size, "readahead": False, "lib_version": 0}
        try:
            env = lmdb.Environment(str(self.path), **mode)
        except lmdb.Error as error:
            raise _explain(error, self.path) from error
        try:
            check_extent(self.path, env.info()["last_pgno"], env.stat()["psize"], self.writable)
            for table in (FORMAT, *self.tables):
                self.dbs[table] = env.open_db(table.name.encode(), dupsort=table.dupsort, create=self.writable)
        except lmdb.NotFoundError as error:
            env.close()
            raise StoreVersion(f"{self.path} lacks a table ({error}); open it once with the node") from error
        except lmdb.Error as error:
            env.close()
            raise _explain(error, self.path) from error
        except BaseException:
            env.close()
            raise
        return env

    def _settle_version(self, version: int, migrations: Mapping[int, Migration]) -> None:
        """Bring the store to this program's format, or refuse it."""
        with self.read() as snapshot:
            stored = snapshot.get(FORMAT, VERSION_KEY)
        found = version if stored is None and self._folder.is_new else int.from_bytes(stored or b"", "big")
        missing = [step for step in range(found, version) if step not in migrations]
        if found > version:
            raise StoreVersion(f"{self.path} has format {found}, this program knows only {version}; use a newer one")
        if missing or (found < version and not self.writable):
            raise StoreVersion(
                f"{self.path} has format {found}, not {version}; open it once with a node that can migrate it"
            )
        for step in range(found, version):
            migrations[step](self._writer)
            self._set_version(step + 1)
        if self.writable and stored is None:
            self._set_version(version)
        if self.writable and self._folder.is_new:
            self._folder.mark()

    def _set_version(self, version: int) -> None:
        self._writer.put(FORMAT, VERSION_KEY, version.to_bytes(4, "big"))
        self._writer.commit()

    @property
    def pending(self) -> bool:
        return bool(self._writer.journal)

    def write(self) -> WriteTxn:
        if not self.writable:
            raise StoreReadOnly(
                f"{self.path} was opened for reading only; make it writable, or write through its owner"
            )
        return self._writer

    def commit(self) -> None:
        self._writer.commit()

    def rollback(self) -> None:
        self._writer.drop()

    def begin_write(self) -> _Txn:
        """A raw write transaction. After a failed write of its meta page LMDB wants the environment opened anew."""
        self._refuse_closed()
        try:
            return self._env.begin(write=True)
        except lmdb.PanicError:
            with self._still():
                self._env.close()
                self._env = self._open()
            return self.begin_write()
        except lmdb.Error as error:
            raise _explain(error, self.path) from error

    def grow(self) -> None:
        """Double the map. No transaction of this process is open meanwhile, for LMDB moves the map."""
        with self._still():
            self._map_size = 2 * self._env.info()["map_size"]
            try:
                self._env.set_mapsize(self._map_size)
            except lmdb.Error as error:
                raise _explain(error, self.path) from error

    @contextmanager
    def hush(self) -> Iterator[None]:
        """Hold new snapshots back. py-lmdb's abort waits until no thread is inside LMDB: busy readers starve it."""
        with self._gate:
            self._hushed += 1
        try:
            yield
        finally:
            with self._gate:
                self._hushed -= 1
                self._gate.notify_all()

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Hold new snapshots back and wait for the open ones to end."""
        with self.hush():
            with self._gate:
                own = threading.get_ident() in self._readers
                if own or not self._gate.wait_for(lambda: not self._readers, SNAPSHOT_PATIENCE):
                    whose = "the writing thread itself" if own else "another thread"
                    raise SnapshotHeld(
                        f"{self.path}: the map must move, but {whose} holds a snapshot; what was pending was dropped"
                    )
            yield

    @contextmanager
    def read(self) -> Iterator[_Reader]:
        me = threading.get_ident()
        with self._gate:
            # a thread that holds a snapshot already may take another, else the two would wait for each other
            self._gate.wait_for(lambda: not self._hushed or me in self._readers)
            self._refuse_closed()
            self._readers.append(me)
        txn: _Txn | None = None
        try:
            txn = self._begin_read()
            yield _Snapshot(txn, self.dbs, self.path)
        finally:
            if txn is not None:
                txn.abort()
            with self._gate:
                self._readers.remove(me)
                self._gate.notify_all()

    def _begin_read(self) -> _Txn:
        try:
            return self._env.begin()
        except lmdb.MapResizedError:  # the writing process grew the map
            with self._gate:
                if len(self._readers) > 1:
                    raise SnapshotHeld(f"{self.path} has grown in another process; end the open snapshots") from None
                self._env.set_mapsize(0)
            return self._begin_read()
        except lmdb.Error as error:
            raise _explain(error, self.path) from error

    def compact(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise StorageError(f"{path} is not empty; give a new folder for the copy")
        self._refuse_closed()
        try:
            self._env.copy(str(path), compact=True)
        except lmdb.Error as error:
            raise _explain(error, path) from error
        with (path / DATA).open("rb+") as copy:
            os.fsync(copy.fileno())
        (path / "STORE").touch(0o600)
        sync_folder(path)

    def sizes(self) -> Sizes:
        with self.read() as snapshot:
            info, page = self._env.info(), self._env.stat()["psize"]
            entries = {table.name: snapshot.count(table) for table in self.tables}
            return Sizes(info["map_size"], (info["last_pgno"] + 1) * page, entries)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreClosed(f"{self.path}: this store was closed; open it again")

    def close(self) -> None:
        with self._gate:
            closed, self._closed = self._closed, True
        if closed:
            return
        if hasattr(self, "_writer"):
            self._writer.drop()
        if hasattr(self, "_env"):
            self._env.close()
        self._folder.release()
