"""The audit log: every act of an operator, an admin or a moderator, one line of JSON each, in the folder `audit`.

The invariants: the line of an act is on the disk before the act is done, so after a crash the log may name an act that
was not done, and never lacks one that was. An act that is refused gets a second line that says so. Lines are only
appended, by several processes, which take turns by a lock on the folder. Each line has the SHA-256 of the line before
it, so a line that is changed or taken out breaks the chain. That proves nothing against somebody who may write the
folder and makes the whole chain again, unless the hash of a later line was kept elsewhere.

The folder has files of FILE_BYTES, named after their first line; beyond FILES of them the oldest one is removed.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from banyan_node.operator_errors import HomeError
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_folder import make_folder, sync_folder

FILE_BYTES, FILES = 8 << 20, 16
LONGEST, TEXT, ITEMS, DEEP = 16 << 10, 500, 50, 4
"""Bytes of a line; characters of a text, items of a list and levels of what an act was given that are written down."""
SCANNED = 50_000
"""Lines that one call of `page` looks at."""
START = "0" * 64
"""What stands before the first line."""


class Actor(NamedTuple):
    """who: `operator` (who has the home or the control token), the DID of a moderator, `token ID (label)`, or `node`
    for the log itself. via: control, command, api or page. why: in their words."""

    who: str
    via: str
    why: str | None = None


OPERATOR, AT_REST = Actor("operator", "control"), Actor("operator", "command")
MENDED = "audit.mended"
"""What stands in the place of a line that a crash broke off: how many bytes, and their SHA-256."""


class AuditLine(msgspec.Struct, frozen=True):
    """n: from 1, without gaps. at_ms: milliseconds since 1970. do: a method of the node, or what the door did. given:
    to what and how. refused, of: that the act with the number `of` was not done, and why. before: the SHA-256 of the
    line before, in hexadecimal."""

    n: int
    at_ms: int
    who: str
    via: str
    do: str
    given: dict[str, Any]
    why: str | None
    of: int | None
    refused: str | None
    before: str


class Chain(NamedTuple):
    """first: the number of the first line that is kept; 0: none is. last: of the last one, and `head` its SHA-256.
    broken: the number of the first line that is not what the one behind it says, or is unreadable, or before which
    lines were taken out; None: none. unfinished: bytes behind the last line that are no whole line."""

    first: int
    last: int
    head: str
    broken: int | None
    unfinished: int


class _End(NamedTuple):
    """Where the log ends: in which file, behind how many bytes of whole lines, with which line. torn: what stands
    behind it."""

    path: Path | None
    size: int
    n: int
    head: str
    torn: bytes = b""


class AuditLog:
    """Any thread and any process."""

    def __init__(self, folder: Path, file_bytes: int = FILE_BYTES, files: int = FILES) -> None:
        self.folder = folder
        self._file_bytes, self._files = file_bytes, files

    def append(
        self, by: Actor, do: str, given: Mapping[str, Any], of: int | None = None, refused: str | None = None
    ) -> int:
        """Writes a line, durably, and returns its number. of, refused: see `AuditLine`. Raises StorageError."""
        try:
            with self._locked():
                end = self._end()
                if end.torn:
                    lost = {"bytes": len(end.torn), "sha256": _hash(end.torn)}
                    self._write(end, _next(end, Actor("node", by.via), MENDED, lost))
                    end = self._end()
                self._write(end, _next(end, by, do, given, of, refused))
                return end.n + 1
        except (OSError, HomeError) as error:
            why = getattr(error, "strerror", None) or error
            raise StorageError(f"the audit log {self.folder} cannot be written ({why}), so nothing was done") from error

    def page(
        self, after: int | None, before: int | None, limit: int, wanted: Callable[[AuditLine], bool]
    ) -> tuple[list[AuditLine], int | None]:
        """Lines, and the number of the last one that was looked at; None if no more is there. after: the oldest first,
        behind that number; else the newest first, before the number `before`."""
        found, last = list[AuditLine](), None
        lines = self._forward(after) if after is not None else self._backward(before)
        for looked, (n, raw) in enumerate(lines):
            if len(found) == limit or looked == SCANNED:
                return found, last
            last, one = n, _read(raw)
            if one is not None and wanted(one):
                found.append(one)
        return found, None

    def verify(self) -> Chain:
        """Reads all of it."""
        first = last = 0
        head, broken, paths = START, None, self._paths()
        for at, path in enumerate(paths):
            lines, rest = _split(path)
            if rest and at + 1 < len(paths):  # of a file that is done
                lines.append((int(path.stem) + len(lines), rest))
            for n, raw in lines:
                one = _read(raw)
                begins = not first and (
                    one is not None and one.before == START if n == 1 else len(paths) >= self._files
                )
                follows = n == last + 1 and one is not None and one.before == head
                if broken is None and not (one is not None and one.n == n and (begins or follows)):
                    broken = n
                first, last, head = first or n, n, _hash(raw)
        return Chain(first, last, head, broken, self._unfinished() if paths else 0)

    def head(self) -> str:
        """The SHA-256 of the last line in hexadecimal, without reading the others. Raises StorageError."""
        with self._locked():
            return self._end().head

    def _unfinished(self) -> int:
        with self._locked():  # nobody writes
            return len(_torn(self._paths()[-1])[1])

    # -- files

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("*.jsonl") if path.stem.isdigit())

    def _forward(self, after: int) -> Iterator[tuple[int, bytes]]:
        paths = self._paths()
        for at, path in enumerate(paths):
            if at + 1 < len(paths) and int(paths[at + 1].stem) <= after + 1:
                continue
            yield from ((n, raw) for n, raw in _lines(path) if n > after)

    def _backward(self, before: int | None) -> Iterator[tuple[int, bytes]]:
        for path in reversed(self._paths()):
            if before is None or int(path.stem) < before:
                yield from ((n, raw) for n, raw in reversed(_lines(path)) if before is None or n < before)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.folder.exists():
            make_folder(self.folder)
            sync_folder(self.folder.parent)
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _end(self) -> _End:
        """Raises StorageError if the last line is none."""
        paths = self._paths()
        if not paths:
            return _End(None, 0, 0, START)
        torn = _torn(paths[-1])[1]
        size = paths[-1].stat().st_size - len(torn)
        for path in reversed(paths):
            line = _torn(path)[0].rstrip(b"\n").rpartition(b"\n")[2]
            if line:
                last = _read(line)
                if last is None:
                    raise StorageError(f"the end of {path} is damaged: move {self.folder} away, and a new log begins")
                return _End(paths[-1], size, last.n, _hash(line), torn)
        return _End(paths[-1], size, int(paths[-1].stem) - 1, START, torn)

    def _write(self, end: _End, line: bytes) -> None:
        path, at = end.path, end.size
        new = path is None or (at >= self._file_bytes and not end.torn)
        if path is None or new:
            path, at = self.folder / f"{end.n + 1:012d}.jsonl", 0
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            if os.pwrite(handle, line + b"\n", at) != len(line) + 1:
                raise OSError(28, "no room left")  # the next line takes the place of what was written
            if end.torn:
                os.ftruncate(handle, at + len(line) + 1)
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            for old in self._paths()[: -self._files]:
                old.unlink()
            sync_folder(self.folder)


def _last_bytes(path: Path) -> bytes:
    """The end of a file, with the whole of its last line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        at = max(0, size - 2 * LONGEST)
        file.seek(at)
        raw = file.read()
        if at and raw.count(b"\n") < 2:  # a crash left much behind the last line
            file.seek(0)
            raw = file.read()
    return raw


def _torn(path: Path) -> tuple[bytes, bytes]:
    """The end of a file: its last whole lines, and what stands behind them."""
    raw = _last_bytes(path)
    whole = raw.rfind(b"\n") + 1
    last = raw.rfind(b"\n", 0, max(0, whole - 1)) + 1
    if whole and _has_hole(raw[last : whole - 1]):
        whole = last
    return raw[:whole], raw[whole:]


def _has_hole(line: bytes) -> bool:
    """Whether a power cut left the end of this line and not all before it. No line has zeros."""
    return b"\0" in line


def _lines(path: Path) -> list[tuple[int, bytes]]:
    """(number, line) of a file. A line that is being written is left out."""
    return _split(path)[0]


def _split(path: Path) -> tuple[list[tuple[int, bytes]], bytes]:
    """(number, line) of a file, and what stands behind its last line."""
    *lines, rest = path.read_bytes().split(b"\n")
    if lines and _has_hole(lines[-1]):
        rest = lines.pop() + b"\n" + rest
    return list(enumerate(lines, int(path.stem))), rest


def _next(
    end: _End, by: Actor, do: str, given: Mapping[str, Any], of: int | None = None, refused: str | None = None
) -> bytes:
    what, how = (do, _short(given), _cut(by.why)), (of, _cut(refused), end.head)
    return _line(AuditLine(end.n + 1, time.time_ns() // 1_000_000, by.who, by.via, *what, *how))


def _hash(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def _read(raw: bytes) -> AuditLine | None:
    try:
        return msgspec.json.decode(raw, type=AuditLine)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _line(one: AuditLine) -> bytes:
    raw = msgspec.json.encode(one)
    if len(raw) <= LONGEST:
        return raw
    return msgspec.json.encode(msgspec.structs.replace(one, given={"cut": "it was too long"}))


def _cut(text: str | None) -> str | None:
    return None if text is None else _short(text)


def _short(value: Any, deep: int = 0) -> Any:
    """What is written down of a value."""
    if isinstance(value, str):
        whole = value.encode("utf-8", "replace").decode()
        return whole if len(whole) <= TEXT else whole[:TEXT] + "…"
    if isinstance(value, Mapping) and deep < DEEP:
        return {_short(str(key)): _short(one, deep + 1) for key, one in list(value.items())[:ITEMS]}
    if isinstance(value, list | tuple) and deep < DEEP:
        return [_short(one, deep + 1) for one in value[:ITEMS]]
    return value if value is None or isinstance(value, bool | int | float) else "…"
