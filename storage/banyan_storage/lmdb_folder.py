"""The folder of a store, below LMDB: its lock, and whether its data file is whole.

Layout: `data.mdb` and `lock.mdb` are LMDB's. The one writing process holds `LOCK`, which names its pid. `STORE` marks
that a store was made here, so that a lost data file is reported as damage and not replaced by a new store.

LMDB maps the data file, and reading a mapped page beyond the file's end kills the process. So if a file is shorter than
its meta page says, every page in use is checked here with plain reads before LMDB reads any.
"""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from banyan_storage.errors import CorruptStore, DiskFull, StoreLocked, StoreReadOnly, begin_again, repair_it
from banyan_storage.lmdb_pages import Pages

DATA, DRAFT = "data.mdb", "data.new"
"""The data file, and one that shall become it: a crash leaves the old one or the new one."""
LOCK = "lock.mdb"
"""LMDB's table of readers, in all processes."""
_READER_TABLE = 1 << 16  # bytes of lock.mdb, about a thousand readers


class Folder:
    """A store's folder. It is made if it is missing, and locked for writing if possible (`writable`)."""

    def __init__(self, path: Path, read_only: bool) -> None:
        self.path = path
        self._lock: int | None = None
        if not read_only:
            self._lock = self._take()
        self.writable = self._lock is not None
        self.is_new = not (path / "STORE").exists()
        self._check_marker()
        if self.writable:
            with contextlib.suppress(OSError):
                (path / DRAFT).unlink(missing_ok=True)  # of a program that was killed while it wrote the store anew
            self.make_room_for_readers()

    def _take(self) -> int | None:
        """The descriptor that holds LOCK, or None if the folder cannot be written."""
        try:
            make_folder(self.path)
            lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and (self.path / DATA).exists():
                return None
            raise StoreReadOnly(
                f"{self.path} cannot hold a store ({error.strerror}); choose a folder you own"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StoreLocked(f"{self.path} is in use by process {pid}; stop it, or use another folder") from None
        with contextlib.suppress(OSError):  # on a full disk the lock works, but names no pid
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock

    def _check_marker(self) -> None:
        data = self.path / DATA
        size = data.stat().st_size if data.exists() else 0
        if not self.is_new and size == 0:
            raise CorruptStore(f"{data} is gone, but a store was here; {begin_again(self.path)}")
        if not self.writable and size == 0:
            raise StoreReadOnly(f"{self.path} holds no store, and none can be made by a reader; start the node first")

    def make_room_for_readers(self) -> None:
        """Allocates the blocks of lock.mdb now: LMDB maps it, and on a full disk a missing block kills a reader. Raises
        DiskFull."""
        table = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(table).st_size < _READER_TABLE:
                os.posix_fallocate(table, 0, _READER_TABLE)
        except OSError as error:
            os.ftruncate(table, 0)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"no room left for {self.path}; free some, nothing committed was lost") from error
        finally:
            os.close(table)

    def mark(self) -> None:
        """Marks durably that a store is here; called after its first commit."""
        marker = os.open(self.path / "STORE", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fsync(marker)
        finally:
            os.close(marker)
        for folder in (self.path, self.path.parent):
            sync_folder(folder)
        self.is_new = False

    def release(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def make_folder(path: Path) -> None:
    """Makes a folder (0700) and those above it, if they are missing, and their names durable. Raises OSError."""
    missing = [folder for folder in path.parents if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (path, *missing):  # also of a folder that is there: who made it may have been killed before this
        with contextlib.suppress(PermissionError):  # a folder above that may not be read, such as /home
            sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def put_data(draft: Path, folder: Path) -> None:
    """Makes a file the data file of a store's folder, durably and in one step. Raises OSError."""
    with draft.open("rb+") as file:
        os.fsync(file.fileno())
    draft.replace(folder / DATA)
    sync_folder(folder)


def why_no_room(path: Path) -> int | None:
    """The errno of an attempt to make the data file a little larger, or None if that works."""
    try:
        data = os.open(path / DATA, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return None
    size = os.fstat(data).st_size
    try:
        wanted = bytes(1 << 16)
        return None if os.pwrite(data, wanted, size) == len(wanted) else errno.ENOSPC
    except OSError as error:
        return error.errno
    finally:
        os.ftruncate(data, size)
        os.close(data)


def check_extent(path: Path, last_page: int, page_size: int, writable: bool) -> None:
    """Raises CorruptStore if data.mdb was cut short. LMDB itself leaves a file short if its last pages are free."""
    data = path / DATA
    extent = (last_page + 1) * page_size
    if data.stat().st_size >= extent:
        return
    with Pages(data) as pages:
        for fault in pages.check():
            raise CorruptStore(f"{data} was cut short, {data.stat().st_size} bytes: {fault}; {repair_it(path)}")
    if writable:
        with contextlib.suppress(OSError):  # so that the next start need not check again
            os.truncate(data, extent)
