"""What is known of a blob that was put here, until a post says it: noted beside the blob."""

from __future__ import annotations

from msgspec import DecodeError, Struct, json

from banyan_crdt.blob import BlobRoot
from banyan_storage.blobs import BlobStore


class About(Struct, frozen=True):
    """type: a media type. width, height: pixels, as it is shown. preview: the root of a smaller picture, in
    hexadecimal. note: what the person who posts it should know, or null."""

    type: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    blurhash: str | None = None
    preview: str | None = None
    note: str | None = None


def about_bytes(about: About) -> bytes:
    return json.encode(about)


def about_of(blobs: BlobStore, root: BlobRoot) -> About | None:
    """None of a blob that came from a peer: its posts say it."""
    raw = blobs.about(root)
    try:
        return None if raw is None else json.decode(raw, type=About)
    except DecodeError:
        return None
