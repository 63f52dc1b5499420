"""The files of an archive that a service made (a zip, a tar, packed or not, a folder, or one file), and whose it is.

An archive is not trusted. Nothing is unpacked but the files that are asked for, and these are read as a stream. Names
that lead out of the archive, and links, are not read. A file that unpacks to very much more than it is, or to more than
it declares, is refused while it is read. A tar cannot be read at a place, so what is wanted of it is copied to a
temporary file without a name.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, TypeAlias, cast

from banyan_cli.errors import BadInput, Failed
from banyan_cli.importing.plan import ordinary

MOST_FILES = 2_000_000
"""Files in one archive: their names are held in memory, about 300 bytes each."""
MOST_FILE = 64 << 30
"""Bytes of one file, unpacked."""
UNPACKED, MOST_UNPACKED = 64 << 20, 200
"""A file may unpack to so many bytes, or to so many times its own. Archives of posts pack to a tenth, and those of a
machine that repeats itself to a hundredth; zip can pack zeros to a thousandth."""
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    UnicodeDecodeError,
    NotImplementedError,  # what zipfile raises at a way of packing that it does not know
    OSError,
)
"""What the readers of zip and tar raise at bytes that are none."""

PACKED = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2")
"""How the names of archives end."""

Opener: TypeAlias = Callable[[], BinaryIO]


@dataclass(frozen=True)
class Archive:
    """label: how messages call it. files: name -> opens it, of the wanted ones. names: of all files. left_out: names
    that are not read, each with why. pick: the same as files, of others that turn out to be wanted; raises BadInput,
    and Failed if there is no room for those of a tar. empty: names of those without a byte."""

    label: str
    files: Mapping[str, Opener]
    names: frozenset[str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    pick: Callable[[Collection[str]], Mapping[str, Opener]] = lambda names: {}
    empty: frozenset[str] = frozenset()

    @contextmanager
    def open(self, name: str, opener: Opener | None = None) -> Iterator[BinaryIO]:
        """The bytes of a wanted file, or of one that was picked. Raises BadInput where it is damaged, or a bomb."""
        try:
            with (opener or self.files[name])() as stream:
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
    if not path.is_dir():
        ordinary(path)
    with ExitStack() as stack:
        files, names, left_out = dict[str, Opener](), set[str](), dict[str, str]()
        empty = set[str]()
        for name, what, size in _safely(path, wants, stack):
            if isinstance(what, str):
                left_out[name] = what
                continue
            names.add(name)
            if not size:
                empty.add(name)
            if what is not None and wants(name):
                files[name] = what
        if not names:
            why = f": {next(iter(left_out.values()))}" if left_out else ""
            raise BadInput(f"{path} has no files that can be read{why}.")

        def pick(some: Collection[str]) -> dict[str, Opener]:
            found = _safely(path, some.__contains__, stack)
            return {name: what for name, what, _ in found if name in some and callable(what)}

        yield Archive(str(path), files, frozenset(names), left_out, pick, frozenset(empty))


def _safely(path: Path, wants: Callable[[str], bool], stack: ExitStack) -> Found:
    """All files, by safe names. Raises BadInput."""
    try:
        for number, (raw, what, size) in enumerate(_found(path, wants, stack)):
            if number >= MOST_FILES:
                raise BadInput(f"{path} has more than {MOST_FILES:,} files; no archive of one account has.")
            name, why = _safe(raw)
            yield name, why or what, size
    except (*_DAMAGED, ValueError, IndexError, OverflowError) as error:
        raise BadInput(f"{path} is damaged or not complete ({error}); fetch it again.") from error


def _found(path: Path, wants: Callable[[str], bool], stack: ExitStack) -> Found:
    if path.is_dir():
        return _folder(path)
    if zipfile.is_zipfile(path):
        return _zip(stack.enter_context(zipfile.ZipFile(path)))
    if _is_tar(path):
        return _tar(path, wants, stack)
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty.")
    if path.name.lower().endswith(PACKED):
        raise BadInput(f"{path} is damaged or not complete; fetch it again.")
    return iter([(path.name, partial(_file, path), path.stat().st_size)])


Found: TypeAlias = Iterator[tuple[str, Opener | str | None, int]]
"""Name; what opens it, or why it is not read, or None where it is not wanted; bytes as it declares."""


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
            about = at.lstat()
            if stat.S_ISREG(about.st_mode):
                yield shown, partial(_file, at), about.st_size
            else:
                yield shown, "it is a link" if stat.S_ISLNK(about.st_mode) else "it is no file", 0


def _file(path: Path) -> BinaryIO:
    return path.open("rb")


# --- zip --------------------------------------------------------------------------------------------------------------


def _zip(archive: zipfile.ZipFile) -> Found:
    for info in archive.infolist():
        if not info.filename or info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            yield info.filename, "it is a link", 0
        else:
            yield info.filename, partial(_of_zip, archive, info), info.file_size


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
    packed, kept = path.stat().st_size, _Kept(stack)
    with path.open("rb") as raw, tarfile.open(fileobj=raw, mode="r|*") as archive:
        for member in archive:
            name, why = _safe(member.name)
            if member.isdir():
                continue
            if not member.isfile():
                yield member.name, "it is a link" if member.issym() or member.islnk() else "it is no file", 0
            elif why is None and wants(name):
                if kept.size + member.size > _most(packed):
                    raise _bomb(name, packed, kept.size + member.size)
                stream = archive.extractfile(member)
                assert stream is not None
                yield member.name, kept.keep(stream), member.size
            else:
                yield member.name, None, member.size


class _Kept:
    """What is wanted of a tar, one after another in one temporary file, which a crash removes too."""

    def __init__(self, stack: ExitStack) -> None:
        self._file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the archive
        self.size = 0

    def keep(self, stream: IO[bytes]) -> Opener:
        start = self.size
        while chunk := stream.read(1 << 20):
            try:
                self._file.write(chunk)
                self._file.flush()
            except OSError as error:
                raise no_room(tempfile.gettempdir(), error) from error
            self.size += len(chunk)
        return partial(self._again, start, self.size)

    def _again(self, start: int, end: int) -> BinaryIO:
        return BufferedReader(_Part(self._file.fileno(), start, end), 1 << 18)


class _Part(RawIOBase):
    """A part of a file. Closing it leaves the file open."""

    def __init__(self, handle: int, at: int, end: int) -> None:
        super().__init__()
        self._handle, self._at, self._end = handle, at, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        found = os.pread(self._handle, min(len(view), self._end - self._at), self._at)
        view[: len(found)] = found
        self._at += len(found)
        return len(found)


def no_room(folder: str | Path, error: OSError) -> Failed:
    """The refusal where a temporary file cannot be written."""
    return Failed(
        f"{folder} cannot take a temporary file ({error.strerror}); free some room, or name another folder by TMPDIR."
    )


# Whose archive a file is: a person who took the wrong command is told the right one.

_SIGNS: dict[str, str] = {
    "mastodon": r"(^|/)(outbox|actor)\.json$",
    "twitter": r"(^|/)(tweets?|note-tweet|follow(er|ing)|account)(-part\d+)?\.js$",
    "facebook": r"(^|/)(your_facebook_activity|posts/your_posts|profile_information/|comments_and_reactions/|friends/)",
    "youtube": r"(^|/)(YouTube[^/]*/|subscriptions/|subscriptions\.csv$|playlists?/|watch-history\.)",
}
_HTML = re.compile(r"(^|/)(start_here|index|your_posts[^/]*)\.html$")


def service_of(names: frozenset[str]) -> str | None:
    """The command that reads such files, or None."""
    for service, sign in _SIGNS.items():
        found = re.compile(sign)
        if any(found.search(name) for name in names):
            return service
    return None


def packed_in(archive: Archive) -> BadInput | None:
    """The refusal of an archive whose files are archives."""
    packed = sorted(name for name in archive.names if name.lower().endswith(PACKED))
    if not packed:
        return None
    more = f" and {len(packed) - 1:,} more" if packed[1:] else ""
    return BadInput(f"{archive.label} holds another archive, {packed[0]}{more}: unpack it, then import what was in it.")


def no_such_files(archive: Archive, service: str, expected: str) -> BadInput:
    """The refusal of an archive that has nothing of this service."""
    other = service_of(archive.names)
    if other is not None and other != service:
        return BadInput(f"{archive.label} is an archive of {other.capitalize()}: use `banyan import {other}`.")
    if service == "facebook" and any(_HTML.search(name) for name in archive.names):
        return BadInput(f"{archive.label} has web pages; ask Facebook for your information again, as JSON.")
    if packed := packed_in(archive):
        return packed
    some = ", ".join(sorted(archive.names)[:3])
    return BadInput(f"{archive.label} is no archive of {service.capitalize()}: expected {expected}; it has {some}.")
