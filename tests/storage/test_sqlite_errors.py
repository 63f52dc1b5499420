"""Whatever SQLite raises is an error of the storage, or a mistake of this program."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import pytest

from banyan_storage.errors import CorruptStore, DiskFailed, DiskFull, IndexDamaged, StorageError, StoreReadOnly
from banyan_storage.sqlite_errors import KINDS, SqliteFile

MISTAKES = {
    "Error": "the base of all",
    "ThreadingViolationError": "two threads in one call",
    "IncompleteExecutionError": "a statement that was not read to its end",
    "BindingsError": "too few values",
    "ExecutionCompleteError": "a cursor that was read to its end",
    "ExecTraceAbort": "no tracer is set",
    "ExtensionLoadingError": "none is loaded",
    "ConnectionNotClosedError": "a connection in use",
    "CursorClosedError": "a cursor of a closed one",
    "ForkingViolationError": "a connection taken over a fork",
    "NoFTS5Error": "SQLite is built with it",
    "InvalidContextError": "none is kept",
    "SQLError": "a statement that is wrong",
    "MismatchError": "a value of the wrong type",
    "NotFoundError": "a file control that there is not",
    "InternalError": "a mistake of SQLite",
    "MisuseError": "a call out of order",
    "RangeError": "a number of a value that there is not",
    "AuthError": "no authorizer is set",
    "AbortError": "no callback stops a statement",
    "SchemaChangeError": "SQLite prepares statements anew by itself",
    "ConstraintError": "a row that the tables forbid",
    "EmptyError": "SQLite does not use it",
}
"""The classes that are raised as they are, each with what must have happened."""
NO_ERRORS = (apsw.SQLITE_OK, apsw.SQLITE_ROW, apsw.SQLITE_DONE, apsw.SQLITE_NOTICE, apsw.SQLITE_WARNING)


def test_every_class_of_error_of_sqlite_has_its_place() -> None:
    known = {name for name, kind in vars(apsw).items() if isinstance(kind, type) and issubclass(kind, apsw.Error)}
    placed = [kind.__name__ for _, _, kinds in KINDS for kind in kinds if issubclass(kind, apsw.Error)]
    assert len(placed) == len(set(placed))
    assert set(placed) | MISTAKES.keys() == known
    assert not set(placed) & MISTAKES.keys()


def test_every_code_that_sqlite_may_return_has_the_error_of_its_class(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.db", "the file", "put a copy back")
    for name, code in apsw.mapping_result_codes.items():
        if not isinstance(name, str) or not isinstance(code, int) or code in NO_ERRORS:
            continue
        raised = apsw.exception_for(code)
        found = file.explain(raised)
        assert (found is None) == (type(raised).__name__ in MISTAKES), name
        if found is not None:
            assert str(file.path) in str(found), name


class Failing(apsw.VFS):
    """A disk that fails to read, with this code."""

    def __init__(self) -> None:
        self.fails = 0
        super().__init__("failing", "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> FailingFile:
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: Failing, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        if self._disk.fails:
            raise apsw.exception_for(self._disk.fails)
        return super().xRead(amount, offset)


@contextmanager
def made(path: Path, rows: int = 100, vfs: str | None = None) -> Iterator[apsw.Connection]:
    with closing(apsw.Connection(str(path), vfs=vfs)) as db:
        db.execute("create table if not exists a (b)")
        for n in range(rows):
            db.execute("insert into a values (?)", (str(n) * 400,))
        yield db


def test_real_failures_of_a_file_are_told_apart(tmp_path: Path) -> None:
    def said(kind: type[StorageError], path: Path, db: apsw.Connection | None, statement: str) -> str:
        file = SqliteFile(path, "the file", "put a copy back", IndexDamaged if path.name == "index" else CorruptStore)
        with pytest.raises(kind) as found, file.errors():
            list((db or apsw.Connection(str(path))).execute(statement))
        assert type(found.value) is kind
        assert str(path) in str(found.value)
        return str(found.value)

    path = tmp_path / "a"
    with made(path):
        pass
    read, write = "select sum(length(b)) from a", "insert into a values (zeroblob(100000))"
    with made(path) as db, made(path, 0) as other:
        other.execute("begin exclusive")
        assert "by another process" in said(DiskFailed, path, db, write)
        other.execute("rollback")
        db.execute("pragma max_page_count = 20")
        assert "no room left" in said(DiskFull, path, db, write)
        db.execute("pragma query_only = 1")
        assert "check its owner" in said(StoreReadOnly, path, db, write)
    assert "check its owner" in said(StoreReadOnly, tmp_path, None, read)
    whole = path.read_bytes()
    for name, kind in (("a", CorruptStore), ("index", IndexDamaged)):
        for at in (0, 8_192):
            (tmp_path / name).write_bytes(whole[:at] + b"\xab" * 4_096 + whole[at + 4_096 :])
            assert "put a copy back" in said(kind, tmp_path / name, None, read)
    disk = Failing()
    path.write_bytes(whole)
    with made(path, 0, "failing") as db:
        db.execute("pragma cache_size = 1")
        for code, failed in ((apsw.SQLITE_IOERR_READ, DiskFailed), (apsw.SQLITE_IOERR_DATA, CorruptStore)):
            disk.fails = code
            said(failed, path, db, read)
        disk.fails = 0


def test_a_mistake_of_the_program_stays_one_and_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a", "the file", "put a copy back")
    with made(file.path) as db:
        with pytest.raises(apsw.SQLError), file.errors():
            db.execute("select nothing from nowhere")
        with pytest.raises(ZeroDivisionError), file.errors():
            print(1 // 0)
    with pytest.raises(DiskFull), file.errors():
        raise OSError(errno.ENOSPC, "No space left on device")
