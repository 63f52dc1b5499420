"""What SQLite raises, as errors of the storage: for each file that is a database of SQLite.

Every class of error of SQLite is either in KINDS or one of a mistake of this program, which is raised as it is.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import apsw

from banyan_storage.errors import CorruptStore, DiskFailed, DiskFull, StorageError, StoreClosed, StoreReadOnly

FAILURES = (apsw.Error, OSError, UnicodeDecodeError)
KINDS: tuple[tuple[type[StorageError], str, tuple[type[Exception], ...]], ...] = (
    (
        CorruptStore,
        "{file} is damaged ({why}); {remedy}",
        (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, UnicodeDecodeError),
    ),
    (DiskFull, "no room left for {file}; free some, nothing committed was lost", (apsw.FullError,)),
    (
        StoreReadOnly,
        "{file} cannot be opened and written ({why}); check its owner and mount",
        (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError, PermissionError, FileNotFoundError),
    ),
    (
        DiskFailed,
        "{file} is used by another process for too long ({why}); try again",
        (apsw.BusyError, apsw.LockedError, apsw.ProtocolError),
    ),
    (StoreClosed, "{file} was closed; open it again", (apsw.ConnectionClosedError,)),
    (
        DiskFailed,
        "{file}: {why}; see the system log for errors of the disk",
        (apsw.IOError, apsw.NoLFSError, apsw.NoMemError, apsw.TooBigError, apsw.InterruptError, OSError)
        + (apsw.VFSFileClosedError, apsw.VFSNotImplementedError),
    ),
)
"""The error of the storage and its sentence for each of SQLite, and for those of the system where a file is opened; the
first one counts."""
_DAMAGED_PAGES = (apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEAST_ROOM, _PERHAPS_FULL = 1 << 16, (apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, OSError)
"""Bytes, and how SQLite reports on a disk with less that a file cannot be made or grow."""


class SqliteFile(NamedTuple):
    """How errors name a file, and what its operator does about damage. damaged: the error of damage."""

    path: Path
    name: str
    remedy: str
    damaged: type[StorageError] = CorruptStore

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Around all that uses the file. Raises StorageError."""
        try:
            yield
        except FAILURES as why:
            first = why.__context__  # the end of a transaction fails after what ended it
            found = self.explain(first if isinstance(first, FAILURES) else why)
            if found is None:
                raise
            raise found from why

    def explain(self, why: Exception) -> StorageError | None:
        """None: a mistake of this program."""
        meant = type(why)
        if getattr(why, "extendedresult", 0) in _DAMAGED_PAGES:
            meant = apsw.CorruptError
        elif getattr(why, "errno", 0) in _NO_ROOM or (isinstance(why, _PERHAPS_FULL) and self._no_room()):
            meant = apsw.FullError
        for kind, said, of in KINDS:
            if issubclass(meant, of):
                text = said.format(file=f"{self.name} {self.path}", why=why, remedy=self.remedy)
                return self.damaged(text) if kind is CorruptStore else kind(text)
        return None

    def _no_room(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _LEAST_ROOM
        except OSError:
            return False
