"""Where an export is written, and its pictures: a file, a folder or a zip, under another name until it is whole.

The invariants: nothing that exists is overwritten, and what has the asked-for name is whole and on the disk. What an
interrupted export left is removed by the next one to the same name, or resumed.
"""

import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from banyan_crdt.blob import BlobRoot
from banyan_schema.media import Media
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StorageError
from banyan_storage.lmdb_folder import sync_folder

DRAFT = ".banyan-partial"
"""What stands behind the name, and a dot in front of it, until the export is whole."""


class Sink(Protocol):
    """Takes files one after another, each written from its beginning to its end."""

    def file(self, name: str) -> AbstractContextManager[IO[bytes]]: ...


class FolderSink:
    """Files in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def file(self, name: str) -> Iterator[IO[bytes]]:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:
            yield file

    def has(self, name: str) -> bool:
        return (self.path / name).exists()


class ZipSink:
    """Members of a zip, which may be larger than 4 GiB."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @contextmanager
    def file(self, name: str) -> Iterator[IO[bytes]]:
        with self._archive.open(name, "w", force_zip64=True) as member:
            yield member


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name once it is whole; else nothing is left of it. Raises FileExistsError, OSError."""
    with resumed_file(path) as file:
        file.truncate()
        try:
            yield file
        except BaseException:
            draft_of(path).unlink()
            raise


@contextmanager
def resumed_file(path: Path) -> Iterator[BinaryIO]:
    """As `new_file`, with what an interrupted one left; an error leaves it again. Raises FileExistsError, also if
    somebody else writes it now, OSError."""
    _refuse_taken(path)
    if (draft := draft_of(path)).is_dir() or draft.is_symlink():
        remove_draft(draft)
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    with os.fdopen(handle, "r+b") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise FileExistsError(path) from error
        if not draft.exists() or not os.path.samefile(draft, handle):  # who had the lock ended it
            raise FileExistsError(path)
        yield file
        file.flush()
        os.fsync(handle)
        try:
            os.link(draft, path)  # unlike rename, it fails if the file exists
        finally:
            draft.unlink()
    sync_folder(path.parent)


@contextmanager
def new_folder(path: Path) -> Iterator[FolderSink]:
    """A folder that gets its name once all its files are whole. Raises FileExistsError, OSError."""
    _refuse_taken(path)
    remove_draft(draft := draft_of(path))
    try:
        draft.mkdir(0o700)
        yield FolderSink(draft)
        os.sync()  # one for all: there may be a hundred thousand files
        if path.exists():
            raise FileExistsError(path)
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sync_folder(path.parent)


@contextmanager
def new_zip(path: Path) -> Iterator[ZipSink]:
    """As `new_file`, a zip."""
    with new_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        yield ZipSink(archive)


def draft_of(path: Path) -> Path:
    """Where an export is until it is whole."""
    return path.with_name(f".{path.name}{DRAFT}")


def remove_draft(draft: Path) -> None:
    """What is left of an export, if anything is."""
    if draft.is_dir() and not draft.is_symlink():
        shutil.rmtree(draft)
    else:
        draft.unlink(missing_ok=True)


def _refuse_taken(path: Path) -> None:
    """Raises FileExistsError."""
    if path.exists() or path.is_symlink():
        raise FileExistsError(path)


# Pictures and films as files of an export: those that are here, each under the hash of its blob.

MOST = 64 << 20
"""Bytes that are read into memory at once: far more than a picture that Banyan made."""
_ENDS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/quicktime": ".mov",
    "video/x-matroska": ".mkv",
    "video/mpeg": ".mpg",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/wav": ".wav",
    "audio/aac": ".aac",
    "text/vtt": ".vtt",
}
"""What a browser tells the type of a file by."""


def file_of(medium: Media) -> str:
    """The name of its file."""
    return medium.blob.hex() + _ENDS.get(medium.type, "")


def write_medium(blobs: BlobStore, medium: Media, sink: Sink, folder: str) -> bool:
    """Writes it; False if it is not here whole, or damaged. Raises OSError, StorageError if it is damaged meanwhile."""
    held = blobs.find(BlobRoot(medium.blob))
    if held is None or not held.whole:
        return False
    later = range(MOST, held.size, MOST)
    try:
        first = blobs.read(held.root, 0, MOST)
        for at in later:  # damage is found before the file is begun
            blobs.read(held.root, at, MOST)
    except StorageError:
        return False
    with sink.file(f"{folder}/{file_of(medium)}") as file:
        file.write(first)
        for at in later:
            file.write(blobs.read(held.root, at, MOST))
    return True
