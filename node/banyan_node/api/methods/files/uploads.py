"""Files that come in pieces, over a line that breaks: what came stays, and each piece is checked.

The client cuts the file into chunks of 256 KiB and says the SHA-256 of each. An upload is named by these, so who begins
the same file again goes on with it, from any process. `media.put` makes a blob of it.
"""

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from banyan_crdt.blob import CHUNK, MAX_BLOB, BlobList, check_list
from banyan_crdt.errors import Malformed
from banyan_node.api.declare import EmptyRequest, MethodTable, NoResult, Request, Response, WorkContext
from banyan_node.api.json_types import BlobHex, BlobRef, Milliseconds, blob_hex, root_of
from banyan_node.api.methods.posts.post_rows import now_ms
from banyan_node.operator_errors import CallError, bad_request, conflict, not_found
from banyan_node.upkeep.storage_quota import said
from banyan_storage.blobs import HeldBlob

METHODS = MethodTable()
NAMED = 1_000
"""So many missing chunks are named."""
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class UploadRequest(Request):
    """size: bytes of the file. hashes: the SHA-256 of each 256 KiB of it, in order; the last chunk is shorter."""

    size: Annotated[int, Meta(ge=1, le=MAX_BLOB)]
    hashes: Annotated[list[Hash], Meta(min_length=1, max_length=MAX_BLOB // CHUNK)]


class ChunkRequest(Request):
    """number: of the chunk, from 0. data: its bytes, in base64."""

    upload: BlobRef
    number: Annotated[int, Meta(ge=0, lt=MAX_BLOB // CHUNK)]
    data: Annotated[str, Meta(max_length=CHUNK * 4 // 3 + 4)]


class UploadDropRequest(Request):
    upload: BlobRef


class Upload(Response):
    """upload: names it. missing: the first 1,000 chunks that have not come; none: give it to `media.put`. held: bytes
    that came."""

    upload: BlobHex
    size: int
    held: int
    missing: list[int]


class UploadRow(Response):
    """held: bytes that came. touched_ms: when it was begun, or its last chunk came; ms since 1970."""

    upload: BlobHex
    size: int
    held: int
    touched_ms: Milliseconds


class Uploads(Response):
    """Those first to which nothing came for longest."""

    uploads: list[UploadRow]


@METHODS.work("upload.begin", "write", "refused")
def begin(at: WorkContext, ask: UploadRequest) -> Upload:
    """Begins an upload, or tells what is missing of one. One that nobody goes on with is removed after a day."""
    of = BlobList(ask.size, bytes.fromhex("".join(ask.hashes)))
    try:
        check_list(of.root, of.size, of.hashes)
    except Malformed as error:
        raise bad_request(f"These are not the chunks of one file: {error}.") from None
    with at.in_use.beside(of.root):
        there = at.uploads.find(of.root)
        if there is None:
            _make_room(at, of.size)
        elif there.whole:  # a `media.put` of it was interrupted
            return Upload(blob_hex(of.root), of.size, of.size, [])
        partial = at.uploads.begin(of)
        try:
            return Upload(blob_hex(of.root), of.size, partial.bytes_held, partial.missing()[:NAMED])
        finally:
            partial.close()


def _make_room(at: WorkContext, size: int) -> None:
    """Makes room for an upload, beside those that were begun: what is begun can be finished. Raises CallError."""
    begun = at.uploads.used()
    try:
        at.make_room(begun + size)
    except CallError as error:
        if not begun:
            raise
        raise conflict(
            f"{error} Of this, {said(begun)} are for uploads that were begun (`uploads`, `upload.drop`)."
        ) from None


@METHODS.work("upload.chunk", "write", "not_found", "refused")
def chunk(at: WorkContext, ask: ChunkRequest) -> NoResult:
    """Keeps a chunk of an upload, in any order. A crash loses at most the chunks whose answers had not come."""
    try:
        raw = b64decode(ask.data, validate=True)
    except NotBase64:
        raise bad_request("The data of a chunk is base64.") from None
    with at.in_use.beside(root_of(ask.upload)):
        try:
            held = begun(at, ask.upload)
            at.uploads.keep(held, ask.number, raw)
            at.uploads.want(held.root, now_ms() // 1_000)
        except Malformed as error:
            raise bad_request(f"This is not chunk {ask.number} of the upload: {error}.") from None
    return NoResult()


@METHODS.work("uploads", "read")
def uploads(at: WorkContext, ask: EmptyRequest) -> Uploads:
    """The uploads that were begun, and for which there is room."""
    return Uploads(
        [
            UploadRow(blob_hex(one.root), one.size, at.uploads.bytes_of(one), 1_000 * one.wanted_s)
            for one in at.uploads.all()
        ]
    )


@METHODS.work("upload.drop", "write", "not_found", "refused")
def drop(at: WorkContext, ask: UploadDropRequest) -> NoResult:
    """Ends an upload without a blob."""
    with at.in_use.alone(root_of(ask.upload)):
        at.uploads.drop(begun(at, ask.upload).root)
    return NoResult()


def begun(at: WorkContext, upload: str) -> HeldBlob:
    """What came of an upload. Raises CallError."""
    held = at.uploads.find(root_of(upload))
    if held is None:
        raise not_found(f"No upload {upload[:16]}... is here: begin it (`upload.begin`).")
    return held


@contextmanager
def uploaded(at: WorkContext, upload: str) -> Iterator[Path]:
    """The file of an upload that came whole; the upload ends behind it, unless something is raised. Raises CallError
    while chunks are missing."""
    with at.in_use.alone(root_of(upload)):
        held = begun(at, upload)
        of = at.uploads.list_of(held.root)
        if of is None:
            raise not_found(f"The upload {upload[:16]}... is damaged: begin it again.")
        if not held.whole:
            partial = at.uploads.begin(of)
            try:
                if missing := partial.missing():
                    says = (
                        f"Of the upload {upload[:16]}... {len(missing):,} chunks have not come, such as {missing[0]}."
                    )
                    raise conflict(says)
                at.uploads.finished(partial)
            finally:
                partial.close()
        yield at.uploads.file(held.root)
        at.uploads.drop(held.root)
