"""A blob: the bytes of a file, named by their content. Posts name pictures and films so.

The file is cut into chunks of CHUNK bytes; the last one is shorter. Its **list** is the SHA-256 of each chunk, in
order, and its **root** is H("blob", size u64 || list). So a list that a peer sends proves itself, and then each chunk
does, in any order and from any peer. The root commits to the size, so nobody can append to a blob or cut it.

A flat list, and no tree: the longest has MAX_BLOB / CHUNK * 32 = 2 MiB, which is sent once for 16 GiB.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, NewType

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import H

BlobRoot = NewType("BlobRoot", bytes)
"""32 bytes: H("blob", size u64 || SHA-256 of each chunk)."""

CHUNK = 256 * 1024
"""Bytes of a chunk: what is lost when a fetch is interrupted, and what is hashed before any of it is used."""
MAX_BLOB = 1 << 34
"""The most bytes of a blob: 16 GiB, hours of film."""
HASH_BYTES = 32


class BlobList(NamedTuple):
    """The size of a blob, and the hashes of its chunks one after the other."""

    size: int
    hashes: bytes

    @property
    def chunks(self) -> int:
        """How many chunks it has."""
        return len(self.hashes) // HASH_BYTES

    @property
    def root(self) -> BlobRoot:
        """The name of the blob."""
        return BlobRoot(H("blob", self.size.to_bytes(8, "big") + self.hashes))

    def hash_at(self, chunk: int) -> bytes:
        """The hash of a chunk, 32 bytes."""
        return self.hashes[chunk * HASH_BYTES : (chunk + 1) * HASH_BYTES]

    def size_at(self, chunk: int) -> int:
        """Bytes of a chunk: CHUNK, and what is left in the last."""
        return min(CHUNK, self.size - chunk * CHUNK)

    def is_chunk(self, chunk: int, raw: bytes | memoryview) -> bool:
        """Whether these bytes are that chunk."""
        return len(raw) == self.size_at(chunk) and chunk_hash(raw) == self.hash_at(chunk)


def chunk_hash(raw: bytes | memoryview) -> bytes:
    """The hash of a chunk, 32 bytes: SHA-256 of its bytes alone, as many tools make it."""
    return hashlib.sha256(raw).digest()


def chunks_of(size: int) -> int:
    """How many chunks a blob of so many bytes has. Raises Malformed if no blob has this size."""
    if not 0 < size <= MAX_BLOB:
        raise Malformed(f"a blob has 1 to {MAX_BLOB} bytes, and this one {size}")
    return (size + CHUNK - 1) // CHUNK


def blob_of(raw: bytes) -> BlobList:
    """The list of a blob whose bytes are all in memory. Raises Malformed if it is empty or too large."""
    chunks_of(len(raw))
    hashes = [chunk_hash(raw[at : at + CHUNK]) for at in range(0, len(raw), CHUNK)]
    return BlobList(len(raw), b"".join(hashes))


def check_list(root: BlobRoot, size: int, hashes: bytes) -> BlobList:
    """The list, if it is that of the root. Raises Malformed if the size is not possible, if there is another number of
    hashes than chunks, or if the root is another one."""
    chunks = chunks_of(size)
    if len(hashes) != chunks * HASH_BYTES:
        raise Malformed(f"a blob of {size} bytes has {chunks} chunks, and its list {len(hashes)} bytes of hashes")
    found = BlobList(size, hashes)
    if found.root != root:
        raise Malformed(f"this list is of blob {found.root.hex()[:16]}, and {root.hex()[:16]} was asked for")
    return found
