"""Blobs that must be here, their bytes and what is noted of them; and the sentences if they are not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Protocol

from msgspec import DecodeError, Struct, json

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


# What is known of a blob that was put here, until a post says it.


class BlobNote(Struct, frozen=True):
    """type: a media type. width, height: pixels, as it is shown. preview: the root of a smaller picture, in
    hexadecimal. note: what the person who posts it should know, or null."""

    type: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    blurhash: str | None = None
    preview: str | None = None
    note: str | None = None


def about_bytes(about: BlobNote) -> bytes:
    return json.encode(about)


def about_of(blobs: BlobStore, root: BlobRoot) -> BlobNote | None:
    """None of a blob that came from a peer: its posts say it."""
    raw = blobs.about(root)
    try:
        return None if raw is None else json.decode(raw, type=BlobNote)
    except DecodeError:
        return None


# Which uploads something is done with at this moment.


class UploadLocks:
    """Chunks of an upload may come at once; a blob is made of it, or it is dropped, alone. Any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._alone = set[BlobRoot]()
        self._beside = Counter[BlobRoot]()

    @contextmanager
    def alone(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError if anything else is done with the upload."""
        with self._lock:
            if root in self._alone or self._beside[root]:
                raise _busy(root)
            self._alone.add(root)
        try:
            yield
        finally:
            with self._lock:
                self._alone.discard(root)

    @contextmanager
    def beside(self, root: BlobRoot) -> Iterator[None]:
        """Raises CallError while somebody has the upload alone."""
        with self._lock:
            if root in self._alone:
                raise _busy(root)
            self._beside[root] += 1
        try:
            yield
        finally:
            with self._lock:
                self._beside[root] -= 1
                if not self._beside[root]:
                    del self._beside[root]


def _busy(root: BlobRoot) -> CallError:
    says = f"Something else is being done with the upload {root.hex()[:16]}...: wait for its answer."
    return CallError("refused", says, 409)
