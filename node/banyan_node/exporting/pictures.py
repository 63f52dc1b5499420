"""Pictures of a profile as files of an export: those that are here, each under the hash of its blob."""

from __future__ import annotations

from banyan_crdt.blob import BlobRoot
from banyan_node.exporting.sinks import Sink
from banyan_schema.media import Media
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StorageError

MOST = 64 << 20
"""Bytes of a picture that is read into memory: far more than one that Banyan made."""
_ENDS = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}
"""What a browser tells the type of a file by."""


def file_of(picture: Media) -> str:
    """The name of its file."""
    return picture.blob.hex() + _ENDS.get(picture.type, "")


def write_picture(blobs: BlobStore, picture: Media, sink: Sink, folder: str) -> bool:
    """Writes it; False if it is not here whole, or damaged. Raises OSError."""
    held = blobs.find(BlobRoot(picture.blob))
    if held is None or not held.whole or held.size > MOST:
        return False
    try:
        raw = blobs.read(held.root, 0, held.size)
    except StorageError:
        return False
    with sink.file(f"{folder}/{file_of(picture)}") as file:
        file.write(raw)
    return True
