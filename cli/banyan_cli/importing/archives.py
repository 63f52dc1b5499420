"""Reads the files of an archive that a service made: a zip, a tar (packed or not), a folder, or one file.

An archive is not trusted. Nothing is unpacked but the files that are asked for, and these are read as a stream. Names
that lead out of the archive, and links, are not read. A file that unpacks to very much more than it is, or to more than
it declares, is refused while it is read. A tar cannot be read at a place, so what is wanted of it is copied once to a
temporary file.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, TypeAlias, cast

from banyan_cli.errors import BadInput

MOST_FILES = 2_000_000
"""Files in one archive: their names are held in memory, about 300 bytes each."""
MOST_FILE = 64 << 30
"""Bytes of one file, unpacked."""
UNPACKED, MOST_UNPACKED = 64 << 20, 200
"""A file may unpack to so many bytes, or to so many times its own. Archives of posts pack to a tenth, and those of a
machine that repeats itself to a hundredth; zip can pack zeros to a thousandth."""
IN_MEMORY = 8 << 20
"""Bytes of a file of a tar that are kept in memory; more goes to a temporary file."""
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    UnicodeDecodeError,
    NotImplementedError,
    OSError,
)
"""What the readers of zip and tar raise at bytes that are none."""

Opener: TypeAlias = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Archive:
    """label: how messages call it. files: name -> opens it, of the wanted ones. names: of all files. left_out: names
    that are not read, each with why."""

    label: str
    files: Mapping[str, Opener]
    names: frozenset[str]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """The bytes of a wanted file. Raises BadInput where it is damaged, or a bomb."""
        try:
            with self.files[name]() as stream:
                yield stream
        except _DAMAGED as error:
            raise BadInput(f"{self.label}: {name} is damaged ({error}); fetch the archive again.") from error
        except RuntimeError as error:  # zipfile's word for a file that needs a password
            raise BadInput(
                f"{self.label}: {name} cannot be read ({error}); make the archive without a password."
            ) from error

    def wanted(self, *ends: str) -> list[str]:
        """The wanted files whose path ends so, by name. `posts/a.json` ends in `a.json` and in `posts/a.json`."""
        return sorted(n for n in self.files if any(n == e or n.endswith("/" + e) for e in ends))


@contextmanager
def open_archive(path: Path, wants: Callable[[str], bool]) -> Iterator[Archive]:
    """wants: whether a file is to be read, by its name. Raises BadInput."""
    if not path.exists():
        raise BadInput(f"{path} does not exist.")
    with ExitStack() as stack:
        try:
            archive = _opened(path, wants, stack)
        except (*_DAMAGED, ValueError, IndexError, OverflowError) as error:
            raise BadInput(f"{path} is damaged or not complete ({error}); fetch it again.") from error
        yield archive


def _opened(path: Path, wants: Callable[[str], bool], stack: ExitStack) -> Archive:
    found: Found
    if path.is_dir():
        found = _folder(path)
    elif zipfile.is_zipfile(path):
        found = _zip(stack.enter_context(zipfile.ZipFile(path)))
    elif _is_tar(path):
        found = _tar(path, wants, stack)
    elif path.stat().st_size == 0:
        raise BadInput(f"{path} is empty.")
    elif path.name.lower().endswith((".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2")):
        raise BadInput(f"{path} is damaged or not complete; fetch it again.")
    else:
        found = iter([(path.name, partial(_file, path))])
    files, names, left_out = dict[str, Opener](), set[str](), dict[str, str]()
    for number, (raw, what) in enumerate(found):
        if number >= MOST_FILES:
            raise BadInput(f"{path} has more than {MOST_FILES:,} files; no archive of one account has.")
        name, why = _safe(raw)
        if isinstance(what, str) or why is not None:
            left_out[name] = why or str(what)
            continue
        names.add(name)
        if what is not None and wants(name):
            files[name] = what
    if not names:
        raise BadInput(f"{path} has no files.")
    return Archive(str(path), files, frozenset(names), left_out)


Found: TypeAlias = Iterator[tuple[str, Opener | str | None]]
"""Name, and what opens it, or why it is not read, or None where it is not wanted."""


def _safe(raw: str) -> tuple[str, str | None]:
    """The name of a file, and why it is not read."""
    name = raw.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\0" in name or (len(name) > 1 and name[1] == ":"):
        return raw, "its name leads out of the archive"
    return "/".join(parts), None


# --- a folder, a file -------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Found:
    for base, _, names in os.walk(path, followlinks=False):
        for name in sorted(names):
            at = Path(base, name)
            shown = at.relative_to(path).as_posix()
            mode = at.lstat().st_mode
            if stat.S_ISREG(mode):
                yield shown, partial(_file, at)
            else:
                yield shown, "it is a link" if stat.S_ISLNK(mode) else "it is no file"


def _file(path: Path) -> BinaryIO:
    return path.open("rb")


# --- zip --------------------------------------------------------------------------------------------------------------


def _zip(archive: zipfile.ZipFile) -> Found:
    for info in archive.infolist():
        if not info.filename or info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            yield info.filename, "it is a link"
        else:
            yield info.filename, partial(_of_zip, archive, info)


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    most = min(info.file_size, _most(info.compress_size))
    if info.file_size > most:
        raise _bomb(info.filename, info.compress_size, info.file_size)
    return _bounded(archive.open(info), info.filename, info.compress_size, most)


def _most(packed: int) -> int:
    return min(MOST_FILE, max(UNPACKED, MOST_UNPACKED * packed))


def _bomb(name: str, packed: int, unpacked: int) -> BadInput:
    return BadInput(
        f"{name}: {packed:,} bytes unpack to {unpacked:,} or more, which no file of posts does; nothing more is read."
    )


class _Bounded(RawIOBase):
    """A stream that refuses to give more than `most` bytes."""

    def __init__(self, stream: IO[bytes], name: str, packed: int, most: int) -> None:
        super().__init__()
        self._stream, self._named, self._packed, self._most, self._read = stream, name, packed, most, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        found = self._stream.read(len(view))
        self._read += len(found)
        if self._read > self._most:
            raise _bomb(self._named, self._packed, self._read)
        view[: len(found)] = found
        return len(found)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _bounded(stream: IO[bytes], name: str, packed: int, most: int) -> BinaryIO:
    return BufferedReader(_Bounded(stream, name, packed, most), 1 << 18)


# --- tar --------------------------------------------------------------------------------------------------------------


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (EOFError, zlib.error, lzma.LZMAError):  # damaged, and so named below
        return path.name.lower().endswith((".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"))


def _tar(path: Path, wants: Callable[[str], bool], stack: ExitStack) -> Found:
    """Reads it once from start to end, and keeps what is wanted."""
    packed = path.stat().st_size
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in archive:
            name, why = _safe(member.name)
            if member.isdir():
                continue
            if not member.isfile():
                yield member.name, "it is a link" if member.issym() or member.islnk() else "it is no file"
            elif why is None and wants(name):
                if member.size > _most(packed):
                    raise _bomb(name, packed, member.size)
                yield member.name, _kept(archive, member, stack)
            else:
                yield member.name, None


def _kept(archive: tarfile.TarFile, member: tarfile.TarInfo, stack: ExitStack) -> Opener:
    kept = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed with the archive
    stack.callback(kept.close)
    stream = archive.extractfile(member)
    assert stream is not None
    while chunk := stream.read(1 << 20):
        kept.write(chunk)
    kept.flush()
    return partial(_again, kept)


def _again(kept: tempfile.SpooledTemporaryFile[bytes]) -> BinaryIO:
    """From the start; closing it keeps the file, which may be read again. One reader at a time."""
    kept.seek(0)
    return BufferedReader(_Shared(kept), 1 << 18)


class _Shared(RawIOBase):
    def __init__(self, kept: tempfile.SpooledTemporaryFile[bytes]) -> None:
        super().__init__()
        self._kept = kept

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        found = self._kept.read(len(view))
        view[: len(found)] = found
        return len(found)
