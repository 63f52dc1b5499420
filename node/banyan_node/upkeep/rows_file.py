"""A row store on disk (frontier/persistence.py): one file of columns, written by a thread and mapped when it is loaded.

    0       magic 8 | crc u32 of the rest | format u32 | columns u32 | about u32 | tail u64 u64 u32
            then for each column  offset u64 | used u64 | room u64 | crc u32,  then about
    4096    columns, each at a multiple of 4096, with holes after the used bytes; then the tail

The header is written after all else is synced, and the file gets its name after the header is synced. So the name
always leads to a whole file, old or new. Checksums detect later damage on disk. The mapping is private: writes to the
columns stay in this process, and the kernel may drop pages that were not written to.
"""

from __future__ import annotations

import mmap
import os
import queue
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from banyan_replica.frontier.persistence import Bytes, Size
from banyan_storage.lmdb_folder import sync_folder

log = structlog.get_logger("banyan")
MAGIC, FORMAT = b"bnyrows\n", 1
PAGE = 4_096
CHECKED = 2 << 20
"""Bytes that one step of `check` reads: a few ms."""
WAITING = 32
"""Pieces that may wait to be written: 32 MB."""
SYNCED = 16 << 20
"""Bytes between two syncs. One large sync at the end would delay a commit of the store for as long."""
_HEAD = struct.Struct("<8sIIIIQQI")
_COLUMN = struct.Struct("<QQQI")
_CRC_FROM = 12


class _ColumnPlace(NamedTuple):
    offset: int
    used: int
    room: int
    crc: int


class FileRowStore:
    """Keeps rows in the file `path`; its draft is `path`.new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: FileDraft | None = None

    def load(self) -> FileSavedRows | None:
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return _opened(handle)
        except (OSError, ValueError, struct.error):
            os.close(handle)
            return None

    def draft(self, columns: Sequence[Size]) -> FileDraft:
        self._last = FileDraft(self.path, columns, self._last)
        return self._last


def _opened(handle: int) -> FileSavedRows:
    """Raises OSError; ValueError and struct.error if it is no such file, or cut short."""
    raw = os.pread(handle, PAGE, 0)
    magic, crc, version, columns, about, *tail = _HEAD.unpack_from(raw)
    ends = _HEAD.size + columns * _COLUMN.size
    if magic != MAGIC or version != FORMAT or zlib.crc32(raw[_CRC_FROM : ends + about]) != crc:
        raise ValueError("no header")
    places = [_ColumnPlace(*_COLUMN.unpack_from(raw, _HEAD.size + k * _COLUMN.size)) for k in range(columns)]
    last = _ColumnPlace(tail[0], tail[1], tail[1], tail[2])
    if os.fstat(handle).st_size != last.offset + last.used:
        raise ValueError("cut short")
    return FileSavedRows(handle, raw[ends : ends + about], places, last)


class FileSavedRows:
    def __init__(self, handle: int, about: bytes, places: Sequence[_ColumnPlace], tail: _ColumnPlace) -> None:
        whole = np.frombuffer(mmap.mmap(handle, 0, access=mmap.ACCESS_COPY), np.uint8)
        self.about = about
        self.columns: Sequence[Bytes] = [whole[p.offset : p.offset + p.room] for p in places]
        self.tail = os.pread(handle, tail.used, tail.offset)
        self._handle, self._places = handle, (*places, tail)
        weakref.finalize(self, os.close, handle)

    def check(self) -> Iterator[bool]:
        for place in self._places:
            crc = 0
            for start in range(0, place.used, CHECKED):
                size = min(CHECKED, place.used - start)
                try:
                    crc = zlib.crc32(os.pread(self._handle, size, place.offset + start), crc)
                except OSError:
                    yield False
                yield True
            if crc != place.crc:
                yield False


class FileDraft:
    """before: the previous draft, whose thread may still be writing."""

    def __init__(self, path: Path, columns: Sequence[Size], before: FileDraft | None) -> None:
        self._path, self._draft = path, path.with_name(path.name + ".new")
        self._places, end = list[_ColumnPlace](), PAGE
        for size in columns:
            self._places.append(_ColumnPlace(end, 0, size.room, 0))
            end = _whole(end + size.room)
        self._end = end
        self._queue: queue.Queue[tuple[int, bytes] | tuple[bytes, bytes] | None] = queue.Queue(WAITING)
        self._over = threading.Event()
        self.fault: str | None = None
        self._dropped = False
        self._before = before
        threading.Thread(target=self._write, name="rows", daemon=True).start()

    @property
    def free(self) -> bool:
        return not self._queue.full()

    def put(self, column: int, data: bytes) -> None:
        self._queue.put((column, data))

    def finish(self, about: bytes, tail: bytes) -> None:
        self._queue.put((about, tail))

    @property
    def done(self) -> bool:
        return self._over.is_set()

    def wait(self) -> None:
        self._over.wait()

    def drop(self) -> None:
        self._dropped = True
        self._queue.put(None)

    # -- on the thread

    def _write(self) -> None:
        if self._before is not None:
            self._before.wait()
            self._before = None
        handle = -1
        try:
            handle = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._take(handle)
        except OSError as error:
            self.fault = f"{self._path} cannot be written ({error.strerror}); the next start reads every head instead"
            log.warning("rows are not kept", why=self.fault)
            self._draft.unlink(missing_ok=True)
            self._over.set()
            while (item := self._queue.get()) is not None and not isinstance(item[0], bytes):
                pass  # so that a caller of `put` does not wait for ever
        finally:
            if handle >= 0:
                os.close(handle)
            self._over.set()

    def _take(self, handle: int) -> None:
        unsynced = 0
        while (item := self._queue.get()) is not None:
            first, data = item
            if self._dropped:
                continue
            if isinstance(first, bytes):
                self._seal(handle, first, data)
                return
            place = self._places[first]
            _write_at(handle, data, place.offset + place.used)
            self._places[first] = place._replace(used=place.used + len(data), crc=zlib.crc32(data, place.crc))
            unsynced += len(data)
            if unsynced >= SYNCED:
                os.fsync(handle)
                unsynced = 0
        self._draft.unlink(missing_ok=True)

    def _seal(self, handle: int, about: bytes, tail: bytes) -> None:
        os.ftruncate(handle, self._end + len(tail))
        _write_at(handle, tail, self._end)
        os.fsync(handle)
        columns = b"".join(_COLUMN.pack(*place) for place in self._places)
        count = len(self._places)
        head = _HEAD.pack(MAGIC, 0, FORMAT, count, len(about), self._end, len(tail), zlib.crc32(tail))
        crc = zlib.crc32(head[_CRC_FROM:] + columns + about)
        _write_at(handle, head[:8] + crc.to_bytes(4, "little") + head[_CRC_FROM:] + columns + about, 0)
        os.fsync(handle)
        self._draft.replace(self._path)
        sync_folder(self._path.parent)


def _write_at(handle: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def _whole(size: int) -> int:
    return -(-size // PAGE) * PAGE
