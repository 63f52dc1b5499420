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
_DAMAGED, _FULL = (
    "{file} is damaged ({why}); {remedy}",
    "no room left for {file}; free some, nothing committed was lost",
)
KINDS: tuple[tuple[type[StorageError], str, tuple[type[Exception], ...]], ...] = (
    (CorruptStore, _DAMAGED, (apsw.CorruptError, apsw.NotADBError, apsw.FormatError, UnicodeDecodeError)),
    (DiskFull, _FULL, (apsw.FullError,)),
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
_LEAST_ROOM = 1 << 16
"""Bytes. On a disk with less, a file that cannot be made or grow is reported as an I/O error."""


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
        kind, said = next(((kind, said) for kind, said, of in KINDS if isinstance(why, of)), (None, ""))
        if getattr(why, "extendedresult", 0) in _DAMAGED_PAGES:
            kind, said = CorruptStore, _DAMAGED
        elif getattr(why, "errno", 0) in _NO_ROOM or (kind in (DiskFailed, StoreReadOnly) and self._no_room()):
            kind, said = DiskFull, _FULL
        if kind is None:
            return None
        text = said.format(file=f"{self.name} {self.path}", why=why, remedy=self.remedy)
        return self.damaged(text) if kind is CorruptStore else kind(text)

    def _no_room(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _LEAST_ROOM
        except OSError:
            return False
