"""Blobs that must be here, and the sentences if they are not."""

from __future__ import annotations

from typing import Protocol

from banyan_crdt.blob import BlobRoot
from banyan_node.operator_errors import CallError
from banyan_storage.blobs import BlobStore, HeldBlob


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
