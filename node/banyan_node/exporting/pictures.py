"""Pictures and films as files of an export: those that are here, each under the hash of its blob."""

from __future__ import annotations

from banyan_crdt.blob import BlobRoot
from banyan_node.exporting.sinks import Sink
from banyan_schema.media import Media
from banyan_storage.blobs import BlobStore
from banyan_storage.errors import StorageError

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
