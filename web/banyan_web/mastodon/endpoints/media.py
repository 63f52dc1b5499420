"""Files: taking them from apps, and giving out those that a post or a profile shows.

Nothing is given out for being here: drafts name blobs too. Who sent a file sees it by its upload's own id, which is in
the address that only its app was told: an app shows pictures without its token. The id has 40 random digits, opens the
file until it is posted or for a day, and what it opens is kept in no cache. What is posted is given out as the post is.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Any, cast

import anyio
import anyio.to_thread
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from banyan_node.operator_errors import CallError
from banyan_node.server.blob_files import PIECE, part_of
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.mastodon.compose_store import (
    PendingUpload,
    begin_upload,
    describe_upload,
    drop_upload,
    end_upload,
    new_upload,
    say_reading,
    upload,
    upload_of,
)
from banyan_web.mastodon.entities.media import attachment
from banyan_web.params import text
from banyan_web.platform.requests import given_key, keep, key_for
from banyan_web.refusals import HttpRefusal, answer, of_call

ENDPOINTS = Endpoints()
FETCH_S = 8.0
"""How long a blob that is not here yet is fetched from peers."""
_SHOWN = ("image/jpeg", "image/png", "image/webp", "image/gif", "video/", "audio/")
_MAGIC = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))
_PLAIN = "application/octet-stream"
LONGEST = 1_500


@ENDPOINTS.post("/api/v2/media", "write:media", files=True)
async def send(web: DoorContext, ask: DoorRequest) -> Any:
    """A picture is read at once; anything else after the answer, 202."""
    stored, path = await _stored(web, ask)
    if path is None:
        return _shown_as(web, stored, 202)
    if stored.kind.startswith("image/"):
        return await _put(web, stored, path)
    work = BackgroundTask(_put_later, web, stored, path)
    sent = answer(_waiting(stored), 202)
    sent.background = work
    return sent


@ENDPOINTS.post("/api/v1/media", "write:media", files=True)
async def send_and_wait(web: DoorContext, ask: DoorRequest) -> Any:
    stored, path = await _stored(web, ask)
    return _shown_as(web, stored, 202) if path is None else await _put(web, stored, path)


async def _stored(web: DoorContext, ask: DoorRequest) -> tuple[PendingUpload, Path | None]:
    """The file in a private file of its own; None if it came before under its Idempotency-Key. Raises HttpRefusal."""
    given = ask.params.get("file")
    if not isinstance(given, UploadFile):
        raise HttpRefusal(422, "Validation failed: File can't be blank")
    focus, said = _focus(ask.params), _description(ask.params)
    said_kind = (given.content_type or "").partition(";")[0].strip().lower()[:100]
    kind = await anyio.to_thread.run_sync(_kind, given.file, said_kind)
    key = None
    if given_key(ask) is not None:
        key = key_for(ask, {**ask.params, "file": await anyio.to_thread.run_sync(_digest, given.file)})
    id_ = await keep(web, key, new_upload())
    begun = begin_upload(web.door, id_, ask.account, kind, said, focus or (0.0, 0.0))
    path = await anyio.to_thread.run_sync(web.files.copied, given.file) if begun else None
    return upload_of(web, id_, ask.account), path


def _kind(file: IO[bytes], said: str) -> str:
    """Many clients say no type: a picture is known by its first bytes."""
    file.seek(0)
    found = _sniffed(file.read(16))
    return said if found == _PLAIN else found


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(cast(Any, file), "sha256").hexdigest()


async def _put(web: DoorContext, stored: PendingUpload, path: Path) -> dict[str, Any]:
    """Stores the file as a blob. Raises HttpRefusal, with the reason."""
    made, failed = None, ""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say_reading, web.door, stored.id)
            try:
                made = await web.call("media.put", path=str(path))
            except HttpRefusal as why:
                failed = why.message.replace(f"'{path.name}' ", "")
            tasks.cancel_scope.cancel()
    finally:
        await anyio.to_thread.run_sync(lambda: path.unlink(missing_ok=True))
    end_upload(web.door, stored.id, made, failed or None)
    if made is None:
        raise HttpRefusal(422, failed)
    return _entity(web, stored._replace(made=made))


async def _put_later(web: DoorContext, stored: PendingUpload, path: Path) -> None:
    """Whether or not who sent it waits."""
    with anyio.CancelScope(shield=True):
        try:
            await _put(web, stored, path)
        except HttpRefusal:
            return  # it is noted, and the next question for it says so


def _entity(web: DoorContext, stored: PendingUpload) -> dict[str, Any]:
    return attachment(web, stored.row, stored.id, stored.focus, f"?upload={stored.id}")


def _waiting(stored: PendingUpload) -> dict[str, Any]:
    kind = stored.kind.partition("/")[0]
    return {
        "id": stored.id,
        "type": kind if kind in ("video", "audio", "image") else "unknown",
        **dict.fromkeys(("url", "preview_url", "remote_url", "preview_remote_url", "text_url")),
        "meta": {},
        "description": stored.description,
        "blurhash": None,
    }


@ENDPOINTS.get("/api/v1/media/{id}", "write:media")
async def show(web: DoorContext, ask: DoorRequest) -> Any:
    """206 while it is being read; 422 if it cannot be posted, or if whatever read it died."""
    return _shown_as(web, upload_of(web, ask.path["id"], ask.account), 206)


def _shown_as(web: DoorContext, stored: PendingUpload, waits: int) -> Any:
    """waits: the status while it is being read. Raises HttpRefusal."""
    if stored.failed:
        raise HttpRefusal(422, stored.failed)
    return answer(_waiting(stored), waits) if stored.made is None else _entity(web, stored)


@ENDPOINTS.put("/api/v1/media/{id}", "write:media", files=True)
async def describe(web: DoorContext, ask: DoorRequest) -> Any:
    found = upload_of(web, ask.path["id"], ask.account)
    said = _description(ask.params) if "description" in ask.params else found.description
    focus = _focus(ask.params) or found.focus
    describe_upload(web.door, found.id, said, focus)
    return await show(web, ask)


@ENDPOINTS.delete("/api/v1/media/{id}", "write:media")
async def drop(web: DoorContext, ask: DoorRequest) -> Any:
    """Of an upload that is not posted; the node erases its bytes within a day."""
    drop_upload(web.door, upload_of(web, ask.path["id"], ask.account).id)
    return {}


def _description(params: dict[str, Any]) -> str | None:
    said = text(params, "description", "").strip()
    if len(said) > LONGEST:
        raise HttpRefusal(422, f"Validation failed: Description is too long (maximum is {LONGEST} characters)")
    return said or None


def _focus(params: dict[str, Any]) -> tuple[float, float] | None:
    said = text(params, "focus", "")
    if not said:
        return None
    try:
        x, y = (float(part) for part in said.split(","))
        if -1 <= x <= 1 and -1 <= y <= 1:
            return x, y
    except ValueError:
        pass
    raise HttpRefusal(422, "focus is two numbers from -1 to 1, with a comma between them.")


# -- giving them out


@ENDPOINTS.get("/media/{blob}")
async def bytes_of(web: DoorContext, ask: DoorRequest) -> Any:
    """The bytes of a blob that a post or a profile shows, or a part of them."""
    blob, headers = ask.path["blob"], ask.request.headers
    if len(blob) != 64 or any(one not in "0123456789abcdef" for one in blob):
        raise HttpRefusal(404, "Nothing is here.")
    shown = await _shown(web, blob, text(ask.params, "upload", ""))
    size, tag, asked = shown["size"], f'"{blob}"', headers.get("range", "")
    if headers.get("if-range", tag) != tag:
        asked = ""
    keep = "private, no-store" if "upload" in shown else "public, immutable, max-age=31536000"
    kept = {"etag": tag, "cache-control": keep, "accept-ranges": "bytes"}
    if ask.has(tag):
        return Response(status_code=304, headers=kept)
    part = part_of(asked, size)
    if part is None:
        raise HttpRefusal(
            416, f"No bytes of the file, which has {size}, are in that range.", {"content-range": f"bytes */{size}"}
        )
    first = await _beginning(web, blob) if shown["type"] is None else b""
    kind = shown["type"] or _sniffed(first)
    fine = kind.startswith(_SHOWN)
    head = {
        **kept,
        "content-type": kind if fine else _PLAIN,
        "content-length": str(part.length),
        "content-disposition": "inline" if fine else "attachment",
        "x-content-type-options": "nosniff",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    if part.partial:
        head["content-range"] = f"bytes {part.first}-{part.first + part.length - 1}/{size}"
    status = 206 if part.partial else 200
    if ask.request.method == "HEAD":
        return Response(status_code=status, headers=head)
    return StreamingResponse(_pieces(web, blob, part.first, part.first + part.length), status, head)


async def _beginning(web: DoorContext, blob: str) -> bytes:
    """Raises HttpRefusal if it went meanwhile."""
    try:
        return await web.backend.piece(blob, 0, 16)
    except CallError as why:
        raise of_call(why) from why


async def _pieces(web: DoorContext, blob: str, at: int, end: int) -> AsyncIterator[bytes]:
    while at < end:
        raw = await web.backend.piece(blob, at, min(PIECE - at % PIECE, end - at))
        if not raw:
            return
        at += len(raw)
        yield raw


async def _shown(web: DoorContext, blob: str, key: str) -> dict[str, Any]:
    """Type and size of a blob that may be given out, and is here whole. Raises HttpRefusal."""
    own = upload(web.door, key) if key else None
    if own is not None and not own.posted and own.made is not None and blob in (own.made["blob"], own.made["preview"]):
        size = (await web.call("media.show", blob=blob))["size"]
        return {"type": own.made["type"] if blob == own.made["blob"] else None, "size": size, "upload": key}
    found: dict[str, Any] = await web.call("media.shown", blob=blob)
    if not found["whole"]:
        fetched = await web.call("media.fetch", blob=blob, wait_s=FETCH_S)
        if not fetched["whole"]:
            raise HttpRefusal(404, "The file is not here yet; it is fetched from other nodes. Try again soon.")
        found["size"] = fetched["size"]
    return found


def _sniffed(raw: bytes) -> str:
    """Of a preview whose type nobody said: of a picture only."""
    if raw.startswith(b"RIFF") and raw.startswith(b"WEBP", 8):
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if raw.startswith(magic)), _PLAIN)
