"""A blob that is being fetched: chunks come in any order, and each is checked before it is written.

A kill costs the chunks that were not written yet. A power cut may also cost chunks whose bytes had not reached the
disk: whoever goes on hashes every claimed chunk first. The blob gets its name once all of it is synced.
"""

from __future__ import annotations

import os
from contextlib import suppress

from banyan_crdt.blob import CHUNK, BlobList
from banyan_crdt.errors import Malformed
from banyan_storage.blobs.files import BlobPaths, on_disk, read_all, write_all
from banyan_storage.lmdb_folder import sync_folder

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
