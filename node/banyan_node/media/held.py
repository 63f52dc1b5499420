"""Blobs that must be here, and their bytes; and the sentences if they are not."""

from __future__ import annotations

import time
from typing import Protocol

from banyan_crdt.blob import BlobRoot
from banyan_node.operator_errors import CallError
from banyan_storage.blobs import BlobStore, HeldBlob

WANTED_S = 3_600
"""A blob that is read is noted as wanted, at most once in so many seconds."""


class HasBlobs(Protocol):
    """What reads blobs."""

    @property
    def blobs(self) -> BlobStore: ...


def unknown(root: BlobRoot) -> CallError:
    return CallError("not_found", f"The blob {root.hex()[:16]}... is not here, and nothing that is held names it.", 404)


def whole(at: HasBlobs, root: BlobRoot) -> HeldBlob:
    """A blob that is here whole. Raises CallError."""
    held = at.blobs.find(root)
    if held is None:
        raise CallError("not_found", f"The blob {root.hex()[:16]}... is not here; fetch it first (`media.fetch`).", 404)
    if not held.whole:
        have = f"{at.blobs.bytes_of(held):,} of {held.size:,} bytes"
        raise CallError("not_found", f"Of the blob {root.hex()[:16]}... {have} are here; fetch the rest first.", 404)
    return held


def read_part(at: HasBlobs, root: BlobRoot, offset: int, length: int) -> bytes:
    """Bytes of a blob that is here whole, checked against its hashes; fewer at its end. Notes that it is wanted. Raises
    CallError, and what `BlobStore.read` raises."""
    held = whole(at, root)
    data, now_s = at.blobs.read(root, offset, length), int(time.time())
    if held.wanted_s < now_s - WANTED_S:
        at.blobs.want(root, now_s)
    return data
