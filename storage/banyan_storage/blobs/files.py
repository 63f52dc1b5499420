"""The files of blobs, how they are written, and how a blob is fetched.

    blobs/new-*               a file that is being put; its root is not known yet
    blobs/ab/ROOT             the bytes of a whole blob and nothing else
    blobs/ab/ROOT.list        size u64, and the hash of each chunk; its time of change: when the blob was last wanted
    blobs/ab/ROOT.about       what is known of a blob that was put here; bytes of the caller
    blobs/ab/ROOT.pin         exists while the blob is kept whatever happens
    blobs/ab/ROOT.part        the chunks of an unfinished blob, each in its place
    blobs/ab/ROOT.held        a byte for each chunk: 1 if it came

ROOT is the root in hexadecimal, and ab its first two digits. A file appears under its name when it is whole and on the
disk: it is written beside it, synced and renamed, and then the folder is synced. `.held` may be ahead of `.part` after
a power cut, so each chunk that it claims is hashed again before a fetch goes on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from banyan_crdt.blob import CHUNK, HASH_BYTES, BlobList, BlobRoot
from banyan_crdt.errors import Malformed
from banyan_storage.errors import DiskFailed, DiskFull, StorageError
from banyan_storage.lmdb_folder import sync_folder

DRAFT = "new-"
SIZE_BYTES = 8
"""The size, before the hashes of a list."""
ENDINGS = ("", ".list", ".about", ".pin", ".part", ".held")


class DamagedBlob(StorageError):
    """A chunk on the disk is not what was written. It counts as missing from now on."""


class HeldBlob(NamedTuple):
    """What is held of a blob. size: bytes of the whole blob. whole: whether all of it is here. wanted_s: when somebody
    last wanted it, seconds since 1970."""

    root: BlobRoot
    size: int
    whole: bool
    pinned: bool
    wanted_s: int


class BlobPaths(NamedTuple):
    """Where the files of one blob are."""

    folder: Path
    root: BlobRoot

    def at(self, ending: str = "") -> Path:
        name = self.root.hex()
        return self.folder / name[:2] / (name + ending)

    @property
    def home(self) -> Path:
        return self.folder / self.root.hex()[:2]


@contextlib.contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turns errors of the disk into sentences. A file that is not there stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"the disk of {path} is full: make room; what was whole before is not lost") from error
        raise DiskFailed(f"{path} cannot be read or written ({error.strerror}): check the disk") from error


def write_all(handle: int, raw: bytes | memoryview, at: int) -> None:
    """All of these bytes at a place of the file: one call may write fewer."""
    left = memoryview(raw)
    while left:
        done = os.pwrite(handle, left, at)
        left, at = left[done:], at + done


def read_all(handle: int, size: int, at: int) -> bytes:
    """So many bytes from a place of the file; fewer only at its end."""
    found = os.pread(handle, size, at)
    while len(found) < size and (more := os.pread(handle, size - len(found), at + len(found))):
        found += more
    return found


def write_durably(path: Path, raw: bytes) -> None:
    """The file is there whole, or as it was before, also after a power cut. Several threads may write it at a time."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(handle, raw, 0)
        os.fsync(handle)
        draft.replace(path)
    finally:
        os.close(handle)
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def list_bytes(of: BlobList) -> bytes:
    """A list as its file has it."""
    return of.size.to_bytes(SIZE_BYTES, "big") + of.hashes


def list_size(path: Path) -> int:
    """The size that a list names; 0 if it cannot be read."""
    try:
        with path.open("rb") as file:
            return int.from_bytes(file.read(SIZE_BYTES), "big")
    except OSError:
        return 0


def hash_in(handle: int, chunk: int) -> bytes:
    """The hash of one chunk, from the open file of a list."""
    return read_all(handle, HASH_BYTES, SIZE_BYTES + chunk * HASH_BYTES)


# Chunks come in any order, and each is checked before it is written. A kill costs the chunks that were not written yet.
# A power cut may also cost chunks whose bytes had not reached the disk: whoever goes on hashes every claimed chunk
# first. The blob gets its name once all of it is synced.

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


class PartialBlob:
    """Made by `BlobStore.begin`. Any thread; chunks that different threads write are different chunks."""

    def __init__(self, paths: BlobPaths, of: BlobList) -> None:
        """Opens what is there, and hashes the chunks that are claimed. Raises StorageError."""
        self.list, self._paths = of, paths
        with on_disk(paths.folder):
            self._data = os.open(paths.at(".part"), _FLAGS, 0o600)
            try:
                self._held = os.open(paths.at(".held"), _FLAGS, 0o600)
            except OSError:
                os.close(self._data)
                raise
            try:
                os.ftruncate(self._data, of.size)
                self.held = bytearray(read_all(self._held, of.chunks, 0).ljust(of.chunks, b"\0"))
                for chunk in self.claimed():
                    if not of.is_chunk(chunk, read_all(self._data, of.size_at(chunk), chunk * CHUNK)):
                        self.held[chunk] = 0
                write_all(self._held, bytes(self.held), 0)
            except OSError:
                self.close()
                raise

    def claimed(self) -> list[int]:
        """The chunks that are here."""
        return [chunk for chunk, here in enumerate(self.held) if here == 1]

    def missing(self) -> list[int]:
        """The chunks that are not, in the order of the file."""
        return [chunk for chunk, here in enumerate(self.held) if here != 1]

    @property
    def bytes_held(self) -> int:
        last = self.list.chunks - 1
        short = CHUNK - self.list.size_at(last) if self.held[last] == 1 else 0
        return self.held.count(1) * CHUNK - short

    def write(self, chunk: int, raw: bytes) -> None:
        """Keeps a chunk. Raises Malformed, and writes nothing, if it is another; StorageError."""
        if not 0 <= chunk < self.list.chunks or not self.list.is_chunk(chunk, raw):
            raise Malformed(f"{len(raw)} bytes came that are not chunk {chunk} of blob {self._paths.root.hex()[:16]}")
        with on_disk(self._paths.folder):
            write_all(self._data, raw, chunk * CHUNK)
            write_all(self._held, b"\1", chunk)
        self.held[chunk] = 1

    def finish(self) -> None:
        """Gives the blob its name, durably. Raises ValueError while chunks are missing."""
        if missing := self.missing():
            raise ValueError(f"{len(missing)} chunks of blob {self._paths.root.hex()[:16]} are missing")
        with on_disk(self._paths.folder):
            os.fsync(self._data)
            self._paths.at(".part").replace(self._paths.at())
            sync_folder(self._paths.home)
        with suppress(OSError):
            self._paths.at(".held").unlink()
        self.close()

    def close(self) -> None:
        """Keeps what is there for the next time. A second close does nothing."""
        for name in ("_data", "_held"):
            handle = getattr(self, name, -1)
            if handle >= 0:
                setattr(self, name, -1)
                os.close(handle)
