"""Pictures and films of an archive: found by the path that a post names, and copied to where a node can read them.

The copies are in a folder that this process alone reads and writes. It is removed at the end, and what a process left
that was killed is removed by the next one: a folder belongs to whoever has it locked.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from banyan_cli.importing.archives import Archive, Opener, no_room

PREFIX = "banyan-import-"
NO_MEDIA = ("heic", "heif", "avif", "jxl", "tif", "tiff", "bmp", "svg", "psd", "pdf")
"""How names of files end that are no pictures which a node takes."""


class AttachmentFiles:
    """The files that posts name, among all of an archive."""

    def __init__(self, archive: Archive, paths: Iterable[str]) -> None:
        """paths: all that posts name."""
        self._archive = archive
        self._openers: Mapping[str, Opener] | None = None
        wanted = {last for path in paths for way in _ways(path) if (last := _last(way))}
        self._by_last = dict[str, list[str]]()
        for name in archive.names:
            if (last := _last(name)) in wanted:
                self._by_last.setdefault(last, []).append(name)
        found = ((path, self._look(path)) for path in paths)
        self._names = {path: name for path, name in found if name is not None}

    def find(self, path: str) -> str | None:
        """The name in the archive, or None."""
        return self._names.get(path)

    def refused(self, name: str) -> str | None:
        """Why a file cannot be posted, as far as it can be told without reading it; or None."""
        if name in self._archive.empty:
            return "it is empty"
        end = name.lower().rpartition(".")[2]
        return f"{end.upper()} cannot be posted; JPEG, PNG, WebP and GIF can" if end in NO_MEDIA else None

    def _look(self, path: str) -> str | None:
        for way in _ways(path):
            some = [(_plain(name), name) for name in self._by_last.get(_last(way), ())]
            for plain, name in some:
                if plain == way:
                    return name
            # the archive may be in a folder; or the address of a server may stand before the path
            fits = [n for plain, n in some if plain.endswith("/" + way) or ("/" in plain and way.endswith("/" + plain))]
            if len(fits) == 1:
                return fits[0]
        return None

    @contextmanager
    def copied(self, name: str, folder: Path) -> Iterator[Path]:
        """A copy of a file of the archive in this folder, which is removed afterwards. Raises BadInput if it is damaged
        or a bomb, Failed if there is no room."""
        if self._openers is None:
            self._openers = self._archive.pick(set(self._names.values()))
        try:
            alone = Path(tempfile.mkdtemp(dir=folder))  # several of one name may be copied at a time
        except OSError as error:
            raise no_room(folder, error) from error
        copy = alone / re.sub(r"[^\w.-]", "_", name.rpartition("/")[2])[-60:]
        try:
            with self._archive.open(name, self._openers[name]) as stream:
                try:
                    out = copy.open("xb", buffering=0)
                except OSError as error:
                    raise no_room(folder, error) from error
                with out:
                    while chunk := stream.read(1 << 20):
                        try:
                            while chunk:
                                chunk = chunk[out.write(chunk) :]
                        except OSError as error:
                            raise no_room(folder, error) from error
            yield copy
        finally:
            shutil.rmtree(alone, ignore_errors=True)


def _ways(path: str) -> Iterator[str]:
    """A path as it is, and as it is if it is an address, or escaped as in one."""
    yield _plain(path)
    with suppress(ValueError):
        if path.startswith(("http://", "https://")):
            path = urlsplit(path).path.lstrip("/")
            yield _plain(path)
        if "%" in path:
            yield _plain(unquote(path))


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path).removeprefix("./")


def _last(path: str) -> str:
    return _plain(path).rpartition("/")[2]


@contextmanager
def copies() -> Iterator[Path]:
    """A folder for copies. Removes those of processes that ended without removing them. Raises Failed."""
    base = Path(tempfile.gettempdir())
    _sweep(base)
    try:
        while True:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():  # nobody swept it before it was locked
                break
            os.close(handle)
    except OSError as error:
        raise no_room(base, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(base: Path) -> None:
    for left in base.glob(PREFIX + "*"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(handle).st_uid == os.getuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
