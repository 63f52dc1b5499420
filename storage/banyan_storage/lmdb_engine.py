"""The engine on disk: one LMDB environment in a folder, its map growing by itself.

The pending transaction is in lmdb_writes.py, what reads share in lmdb_reads.py.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from banyan_storage.engine import Sizes, Table, WriteTxn
from banyan_storage.errors import (
    CorruptStore,
    SnapshotHeld,
    StorageError,
    StoreClosed,
    StoreReadOnly,
    StoreVersion,
    repair_it,
)
from banyan_storage.lmdb_folder import DATA, DRAFT, LOCK, Folder, check_extent, make_folder, put_data
from banyan_storage.lmdb_pages import Pages
from banyan_storage.lmdb_reads import Reader, Snapshot, Txn, explain
from banyan_storage.lmdb_writes import LmdbWriter

# A copy row by row, for `LmdbEngine.rewrite`: a copy of the pages would have what was deleted between their rows. It is
# not durable before `lmdb_folder.put_data`.

COPIED = 10_000
"""Rows of a transaction of the copy."""


def copy_rows(env: lmdb.Environment, tables: Mapping[Table, Any], copy: Path, map_size: int) -> None:
    """Writes what the last commit holds to the new file `copy`. Raises lmdb.Error."""
    how: dict[str, Any] = {"subdir": False, "lock": False, "sync": False, "mode": 0o600}
    how |= {"map_size": map_size, "max_dbs": len(tables)}
    with lmdb.Environment(str(copy), **how) as to, env.begin() as now:
        for table, rows in tables.items():
            into = to.open_db(table.name.encode(), **table.kind)
            with now.cursor(rows) as cursor:
                found = cursor.iternext(keys=True, values=True)
                while batch := list(islice(found, COPIED)):
                    with to.begin(db=into, write=True) as txn, txn.cursor() as end:
                        end.putmulti(batch, append=not table.dupsort)


ADDRESS_SPACE = 1 << 40  # only reserved: it uses no memory and no disk
SNAPSHOT_PATIENCE = 30.0  # seconds that growing the map waits for open snapshots
REWRITE_PATIENCE = 5.0  # the same of writing the data file anew, which can be done later
WALKS = 10
"""Attempts to read the pages of one commit while another process makes more."""
FORMAT = Table("_format", walked=True)
VERSION_KEY = b"version"

Migration = Callable[[WriteTxn], None]


class LmdbEngine:
    """A store in the folder at path.

    version: the format this program writes; migrations[v] takes a store from v to v + 1, and each is one commit.
    map_size: bytes of address space to start with; it doubles when needed.
    read_only: read while another process writes. A folder that cannot be written is opened so too.
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
        self.commits = 0  # of something written, by this object; any thread may read it
        self._folder = Folder(path, read_only)
        self.writable = self._folder.writable
        try:
            self._env = self._open()
            self._writer = LmdbWriter(self)
            self._settle_version(version, migrations or {})
        except BaseException:
            self.close()
            raise

    def _open(self) -> lmdb.Environment:
        """Opens the environment and its tables, after checking the file's length. A missing file is made."""
        self._lock = self._lock_file()
        mode: dict[str, Any] = {"readonly": not self.writable, "create": self.writable, "mode": 0o600}
        mode["lock"] = self.writable or os.access(self.path / LOCK, os.W_OK)
        mode |= {"max_dbs": len(self.tables) + 1, "map_size": self._map_size, "readahead": False, "lib_version": 0}
        try:
            if self.writable and not (self.path / DATA).exists():
                self._make()
            env = lmdb.Environment(str(self.path), **mode)
        except lmdb.Error as error:
            raise explain(error, self.path) from error
        try:
            check_extent(self.path, env.info()["last_pgno"], env.stat()["psize"], self.writable)
            self._check_pages(env)
            # One for all: each new table would wait for the disk. What a read transaction opens is gone with it.
            with env.begin(write=True) if self.writable else nullcontext() as txn:
                for table in (FORMAT, *self.tables):
                    self.dbs[table] = env.open_db(table.name.encode(), txn, create=self.writable, **table.kind)
        except lmdb.NotFoundError as error:
            env.close()
            raise StoreVersion(
                f"{self.path} lacks a table ({error}): an earlier version wrote it; run `banyan up` once "
                "where it can be written"
            ) from error
        except lmdb.Error as error:
            env.close()
            raise explain(error, self.path) from error
        except BaseException:
            env.close()
            raise
        return env

    def _check_pages(self, env: lmdb.Environment) -> None:
        """Raises CorruptStore if a page of a `walked` table is damaged: LMDB would abort there, or not find a row."""
        walked = [table.name for table in (FORMAT, *self.tables) if table.walked]
        for _ in range(WALKS):
            with Pages(self.path / DATA) as pages, env.begin() as txn:  # which keeps the pages of its commit
                if pages.meta.txn == txn.id():
                    for fault in pages.check(walked):
                        raise CorruptStore(f"{self.path / DATA} is damaged: {fault}; {repair_it(self.path)}")
                    return

    def _make(self) -> None:
        """Makes an empty data file beside its place: LMDB's own first pages are no file before their first sync."""
        with tempfile.TemporaryDirectory(prefix="new-", dir=self.path) as draft:
            lmdb.Environment(draft, lock=False, mode=0o600, map_size=self._map_size).close()
            put_data(Path(draft) / DATA, self.path)

    def _settle_version(self, version: int, migrations: Mapping[int, Migration]) -> None:
        """Migrate the store to this program's format, or refuse it."""
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
        written = self.pending
        self._writer.commit()
        self.commits += written

    def rollback(self) -> None:
        self._writer.drop()

    def begin_write(self) -> Txn:
        """A raw write transaction. After a failed write of its meta page, LMDB's environment must be reopened."""
        self._refuse_closed()
        try:
            return self._env.begin(write=True)
        except lmdb.PanicError:
            with self._still():
                self._env.close()
                self._env = self._open()
            return self.begin_write()
        except lmdb.Error as error:
            raise explain(error, self.path) from error

    def grow(self) -> None:
        """Double the map. No transaction of this process may be open meanwhile, because LMDB moves the map."""
        with self._still():
            self._map_size = 2 * self._env.info()["map_size"]
            try:
                self._env.set_mapsize(self._map_size)
            except lmdb.Error as error:
                raise explain(error, self.path) from error

    @contextmanager
    def hush(self) -> Iterator[None]:
        """Delay new snapshots. py-lmdb's abort waits until no thread is in LMDB, so busy readers starve it."""
        with self._gate:
            self._hushed += 1
        try:
            yield
        finally:
            with self._gate:
                self._hushed -= 1
                self._gate.notify_all()

    @contextmanager
    def _still(self, patience: float = SNAPSHOT_PATIENCE) -> Iterator[None]:
        """Delay new snapshots and wait for the open ones to end."""
        with self.hush():
            with self._gate:
                own = threading.get_ident() in self._readers
                if own or not self._gate.wait_for(lambda: not self._readers, patience):
                    whose = "the writing thread itself" if own else "another thread"
                    raise SnapshotHeld(
                        f"{self.path}: the map must move, but {whose} holds a snapshot; what was pending was dropped"
                    )
            yield

    @contextmanager
    def read(self) -> Iterator[Reader]:
        me = threading.get_ident()
        with self._gate:
            # a thread that already holds a snapshot may take another, otherwise this would be a deadlock
            self._gate.wait_for(lambda: not self._hushed or me in self._readers)
            self._refuse_closed()
            self._readers.append(me)
        snapshot: Snapshot | None = None
        try:
            snapshot = self._begin_read()
            yield snapshot
        finally:
            if snapshot is not None:
                snapshot.end()
            with self._gate:
                self._readers.remove(me)
                self._gate.notify_all()

    def _begin_read(self) -> Snapshot:
        self._follow()
        try:
            return Snapshot(self._env.begin(), self.dbs, self.path)
        except lmdb.MapResizedError:  # the writing process grew the map
            with self._gate:
                if len(self._readers) > 1:
                    raise SnapshotHeld(f"{self.path} has grown in another process; end the open snapshots") from None
                self._env.set_mapsize(0)
            return self._begin_read()
        except lmdb.Error as error:
            raise explain(error, self.path) from error

    def _follow(self) -> None:
        """Opens the files of the store again if the writing process has put others there (`rewrite`). The old data file
        is closed, and then gone, with the last snapshot of it."""
        if self.writable:
            return
        with self._gate:
            if self._lock_file() not in (self._lock, None):
                self.dbs = {}
                self._env = self._open()
                self._writer = LmdbWriter(self)  # the old one refers to the old tables

    def _lock_file(self) -> int | None:
        """Which file lock.mdb is. `rewrite` puts it in its place after the data file that belongs to it."""
        try:
            return (self.path / LOCK).stat().st_ino
        except FileNotFoundError:
            return None

    def compact(self, path: Path) -> None:
        make_folder(path)
        if any(path.iterdir()):
            raise StorageError(f"{path} is not empty; give a new folder for the copy")
        self._refuse_closed()
        draft = path / DRAFT
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb") as copy:
                self._env.copyfd(copy.fileno(), compact=True)
        except lmdb.Error as error:
            draft.unlink()
            raise explain(error, path) from error
        (path / "STORE").touch(0o600)
        put_data(draft, path)

    def rewrite(self) -> None:
        """Writes the data file anew, row by row, so that no byte of what was deleted is in it. (`compact` copies pages,
        and LMDB leaves what was deleted between the rows of a page and behind large values.) Nothing may be pending.
        It needs room for a copy. Snapshots are open meanwhile, and writes wait. Raises SnapshotHeld if a snapshot of
        this process stays open; then call it again later. Other processes take the new file at their next read."""
        self._refuse_closed()
        if self.pending:
            raise ValueError("commit what is pending before the data file is written anew")
        self._writer.drop()
        draft = self.path / DRAFT
        try:
            with self._still(REWRITE_PATIENCE):  # before the work
                pass
            copy_rows(self._env, self.dbs, draft, self._map_size)
            with self._still(REWRITE_PATIENCE):
                self._env.close()
                put_data(draft, self.path)
                (self.path / LOCK).unlink()  # it counts the commits of the old file
                self._folder.make_room_for_readers()
                self._env = self._open()
        except lmdb.Error as error:
            raise explain(error, self.path) from error
        finally:
            draft.unlink(missing_ok=True)

    def sizes(self) -> Sizes:
        with self.read() as reader:  # the map must not move meanwhile
            info, page = self._env.info(), self._env.stat()["psize"]
            used = (info["last_pgno"] + 1) * page
            return Sizes(info["map_size"], used, min(used, reader.pages() * page))

    def forget_dead_readers(self) -> int:
        """Ends the snapshots of processes that were killed, whose pages could not be used again before. Returns how
        many."""
        with self.read():  # the environment must stay open meanwhile
            return int(self._env.reader_check())

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
