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
import struct
from pathlib import Path
from types import TracebackType

from .errors import CorruptStore, StoreLocked, StoreReadOnly, begin_again

DATA, DRAFT = "data.mdb", "data.new"
"""The data file, and one that shall become it: a crash leaves the old one or the new one."""
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
            self._make_room_for_readers()

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

    def _make_room_for_readers(self) -> None:
        """Allocates the blocks of lock.mdb now: LMDB maps it, and on a full disk a missing block kills a reader."""
        table = os.open(self.path / "lock.mdb", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(table).st_size < _READER_TABLE:
                os.posix_fallocate(table, 0, _READER_TABLE)
        except OSError:
            os.ftruncate(table, 0)
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


_META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, free db, main db, last page, txn
_DB = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, branch, leaf, overflow pages, entries, root
_PAGE = struct.Struct("<QHHHH")  # number, pad, flags, lower, upper
_NODE = struct.Struct("<HHHH")  # low, high, flags, key size
_HEADER, _NONE = 16, (1 << 64) - 1
_BRANCH, _LEAF, _OVERFLOW, _LEAF2 = 1, 2, 4, 0x20
_BIG, _SUB = 1, 2


class _Walk:
    """Walks all pages in use of an LMDB 0.9 data file (64-bit, little-endian) with plain reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb", buffering=0)
        first = self._at(0, _HEADER + _META.size)
        self._page_size = _DB.unpack(_META.unpack_from(first, _HEADER)[4])[0]
        metas = [_META.unpack_from(self._at(i * self._page_size, _HEADER + _META.size), _HEADER) for i in (0, 1)]
        self.roots = [_DB.unpack(db)[7] for db in max(metas, key=lambda meta: meta[7])[4:6]]

    def __enter__(self) -> "_Walk":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def _at(self, offset: int, size: int) -> bytes:
        raw = os.pread(self._file.fileno(), size, offset)
        if len(raw) != size:
            raise CorruptStore(
                f"{self._path} was cut short: a page in use is at byte {offset}, the file ends at "
                f"{os.fstat(self._file.fileno()).st_size}; {begin_again(self._path.parent)}"
            )
        return raw

    def _damaged(self, what: str) -> CorruptStore:
        return CorruptStore(f"{self._path} is damaged: {what}; {begin_again(self._path.parent)}")

    def _page(self, number: int) -> tuple[bytes, int, int]:
        """A page, its flags, and its `lower` field; for an overflow page, the number of pages instead."""
        raw = self._at(number * self._page_size, self._page_size)
        found, _, flags, lower, upper = _PAGE.unpack_from(raw)
        if found != number:
            raise self._damaged(f"page {number} says it is page {found}")
        return raw, flags, lower | (upper << 16 if flags & _OVERFLOW else 0)

    def tree(self, root: int) -> None:
        """Checks every page below root."""
        todo = [] if root == _NONE else [root]
        while todo:
            raw, flags, lower = self._page(todo.pop())
            if flags & _LEAF2:
                continue
            if not flags & (_BRANCH | _LEAF):
                raise self._damaged(f"a page of kind {flags:#x} is no tree page")
            for (at,) in struct.iter_unpack("<H", raw[_HEADER:lower]):
                todo += self._below(raw, at, flags)

    def _below(self, raw: bytes, at: int, flags: int) -> list[int]:
        """The tree pages that a node leads to. Checks its overflow pages."""
        low, high, node_flags, key_size = _NODE.unpack_from(raw, at)
        if flags & _BRANCH:
            return [low | high << 16 | node_flags << 32]
        data = at + _NODE.size + key_size
        if node_flags & _BIG:
            number = int.from_bytes(raw[data : data + 8], "little")
            pages = self._page(number)[2]
            self._at((number + pages) * self._page_size - 1, 1)
        elif node_flags & _SUB:
            root: int = _DB.unpack_from(raw, data)[7]
            return [] if root == _NONE else [root]
        return []


def check_extent(path: Path, last_page: int, page_size: int, writable: bool) -> None:
    """Raises CorruptStore if data.mdb was cut short. LMDB itself leaves a file short if its last pages are free."""
    data = path / DATA
    extent = (last_page + 1) * page_size
    if data.stat().st_size >= extent:
        return
    check_pages(path)
    if writable:
        with contextlib.suppress(OSError):  # so that the next start need not check again
            os.truncate(data, extent)


def check_pages(path: Path) -> None:
    """Raises CorruptStore unless every page in use exists and has its number. Reads the whole tree."""
    with _Walk(path / DATA) as walk:
        for root in walk.roots:
            walk.tree(root)
