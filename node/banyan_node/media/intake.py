"""Puts a file of this machine into the blobs: what it is, what of it is stored, that it stayed the same, and the item
of media made of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from banyan_crdt.blob import MAX_BLOB, BlobList, BlobRoot
from banyan_crdt.errors import Malformed
from banyan_node.context import Context
from banyan_node.home.folder import Home
from banyan_node.media.decoders import Decoders
from banyan_node.media.local_blobs import BlobNote, about_bytes, about_of, whole
from banyan_node.media.probe import looked, refuse
from banyan_node.operator_errors import CallError
from banyan_schema.media import Media
from banyan_storage.blobs import BlobStore

MakeRoom = Callable[[int], None]
"""Makes room for so many bytes, or raises CallError."""


def put_file(
    blobs: BlobStore, decoders: Decoders, home: Path | None, path: str, side: int, make_room: MakeRoom
) -> tuple[BlobList, BlobNote]:
    """The blob of a file, and what is known of it. Durable when this returns. home: of the node, whose own files are
    not taken; None: this is one that was uploaded. side: see `looked`. Raises CallError with one sentence, and then
    nothing is kept."""
    with _opened(path, home) as (file, name):
        before = os.fstat(file.fileno())
        make_room(before.st_size)
        with looked(file, name, side, decoders) as found:
            preview = None
            if found.preview is not None:
                preview = _put(blobs, found.preview.read, BlobNote(found.preview_type), name)
            about = _with(found.about, None if preview is None else preview.root)
            read = _unchanging(found.file, file, before, name)
            return _put(blobs, read, about, name), about


def _with(about: BlobNote, preview: BlobRoot | None) -> BlobNote:
    if preview is None:
        return about
    return BlobNote(about.type, about.width, about.height, about.duration_ms, about.blurhash, preview.hex(), about.note)


def _put(blobs: BlobStore, read: Callable[[int], bytes], about: BlobNote, name: str) -> BlobList:
    try:
        return blobs.put(read, lambda of: about_bytes(about))
    except Malformed as error:
        raise refuse(name, f"cannot be stored: {error}") from None


def _unchanging(stored: IO[bytes], file: IO[bytes], before: os.stat_result, name: str) -> Callable[[int], bytes]:
    """Reads what is stored. At its end, the file itself must be what it was before it was first read."""

    def read(size: int) -> bytes:
        raw = stored.read(size)
        if len(raw) < size:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise refuse(name, "changed while it was read; try again when it is complete")
        return raw

    return read


@contextmanager
def _opened(path: str, home: Path | None) -> Iterator[tuple[IO[bytes], str]]:
    """The file, and its name for sentences. A pipe or a device is not waited for."""
    where = Path(path)
    if not where.is_absolute():
        raise CallError("bad_request", f"'{path[:200]}' is not an absolute path: the node may run in another folder.")
    name = "The upload" if home is None else f"The file '{where.name[:100]}'"
    try:
        handle = os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise refuse(name, f"cannot be opened ({why}): {path[:200]}") from None
    try:
        _check(os.fstat(handle), where, home, name)
    except BaseException:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb", buffering=0) as file:
        yield file, name


def _check(found: os.stat_result, where: Path, home: Path | None, name: str) -> None:
    """Raises CallError for what cannot be posted whatever is in it."""
    if stat.S_ISDIR(found.st_mode):
        raise refuse(name, "is a folder; name one of the files in it")
    if not stat.S_ISREG(found.st_mode):
        raise refuse(name, "is no ordinary file: a pipe or a device cannot be posted")
    if home is not None and Home(home).is_own(where):
        raise refuse(name, "is in the folder of the node itself, whose files are not posted")
    if not found.st_size:
        raise refuse(name, "is empty")
    if found.st_size > MAX_BLOB:
        raise refuse(name, f"has {found.st_size:,} bytes; at most {MAX_BLOB:,} can be posted")


# Items of media of what was put here: those of posts, and the pictures of profiles.


def item_of(ctx: Context, blob: str, description: str | None, now: float) -> Media:
    """An item whose blobs are here, so that whoever reads the post can have them. Raises CallError."""
    root = BlobRoot(bytes.fromhex(blob))
    held, about = whole(ctx, root), about_of(ctx.blobs, root)
    if about is None:
        raise CallError("refused", f"The blob {blob[:16]}... came from a peer; put the file itself first.", 409)
    preview = None if about.preview is None else BlobRoot(bytes.fromhex(about.preview))
    for one in (root, preview):
        if one is not None:
            whole(ctx, one)
            ctx.blobs.want(one, int(now))
    return Media(
        root,
        held.size,
        about.type,
        about.width,
        about.height,
        about.duration_ms,
        (description or "").strip() or None,
        about.blurhash,
        preview,
    )


def picture_of(ctx: Context, blob: str, description: str | None, now: float) -> tuple[str, Media]:
    """A picture for a profile: its description, which is the value of its field, and the picture without one. Raises
    CallError."""
    item = item_of(ctx, blob, description, now)
    if not item.is_picture:
        raise CallError("bad_request", f"The blob {blob[:16]}... is no picture but {item.type}; put a picture instead.")
    return item.description or "", item._replace(description=None)
