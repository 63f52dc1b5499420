"""GET /v1/media/BLOB: the bytes of a picture or film, as players and browsers read them.

A range (`Range: bytes=1000-`) is answered with 206, so that a film is played from any place; HEAD answers without
bytes. The reading ends when the client is gone. The content type is what posts say, if it is one of pictures, films,
sounds or captions, and else no type that a browser opens: posts are of strangers, and a page of theirs must not run
where a backend passes this on.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.operator_errors import CallError

PIECE = 1 << 20
"""Bytes that are read at a time, a number of chunks: so no chunk is read and hashed twice."""
_FAMILIES = ("image/jpeg", "image/png", "image/webp", "image/gif", "video/", "audio/", "text/vtt")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,64}")
_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


class BlobBackend(Protocol):
    """What a blob needs of the backend."""

    async def answer(self, method: str, params: dict[str, Any]) -> Any: ...

    async def piece(self, blob: str, offset: int, length: int) -> bytes: ...


class ByteRange(NamedTuple):
    """Bytes from `first` on, `length` of them. partial: whether a range was asked for."""

    first: int
    length: int
    partial: bool


class BlobFiles:
    """refuse: the response of a refusal."""

    def __init__(self, backend: BlobBackend, refuse: Callable[[CallError], Response]) -> None:
        self._backend, self._refuse = backend, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            if request.method not in ("GET", "HEAD"):
                raise CallError("not_here", f"{request.method} {request.url.path}: a blob is read with GET.", 405)
            blob = request.path_params["blob"]
            shown = await self._backend.answer("media.show", {"blob": blob})
            tag, asked = f'"{shown.blob}"', request.headers.get("range", "")
            if request.headers.get("if-range", tag) != tag:
                asked = ""
            part = part_of(asked, shown.size or 0)
            if not shown.whole or part is None:  # `media.read` says how much is here
                await self._backend.answer("media.read", {"blob": shown.blob, "length": 1})
                says = f"No bytes of the blob, which has {shown.size}, are in that range."
                refusal = self._refuse(CallError("bad_request", says, 416))
                refusal.headers["content-range"] = f"bytes */{shown.size}"
                await refusal(scope, receive, send)
                return
            if _has(request.headers.getlist("if-none-match"), tag):
                await send({"type": "http.response.start", "status": 304, "headers": _kept(shown, blob)})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            end = part.first + (0 if request.method == "HEAD" else part.length)
            raw = await self._piece(shown.blob, part.first, end)  # before the answer: the disk may have changed it
        except CallError as error:
            await self._refuse(error)(scope, receive, send)
            return
        status, at = 206 if part.partial else 200, part.first
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_gone, receive, tasks.cancel_scope)
            await send({"type": "http.response.start", "status": status, "headers": _head(shown, part, blob)})
            while raw:
                at += len(raw)
                await send({"type": "http.response.body", "body": raw, "more_body": True})
                raw = await self._piece(shown.blob, at, end)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()

    async def _piece(self, blob: str, at: int, end: int) -> bytes:
        """The next bytes of it; none if nothing is left. Raises CallError."""
        return await self._backend.piece(blob, at, min(PIECE - at % PIECE, end - at)) if at < end else b""


async def until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Waits until the client is gone, and cancels."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _has(tags: list[str], tag: str) -> bool:
    """Whether an If-None-Match header names the tag, as RFC 9110 has it."""
    return any(one.strip().removeprefix("W/") in (tag, "*") for line in tags for one in line.split(","))


def part_of(asked: str, size: int) -> ByteRange | None:
    """The bytes that a Range header asks for; all of them if it has another form, as RFC 9110 wants; None if none of
    them are in the blob."""
    found = _RANGE.fullmatch(asked)
    if found is None or not (found[1] or found[2]):
        return ByteRange(0, size, False)
    if not found[1]:
        last = min(size, int(found[2]))
        return ByteRange(size - last, last, True) if last else None
    first, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return ByteRange(first, end - first, True) if first < end else None


def _kept(shown: Any, asked: str) -> list[tuple[bytes, bytes]]:
    """How long the answer may be kept. asked: the blob as it was asked for; its first digits may be those of another
    blob tomorrow."""
    immutable = asked == shown.blob
    return [
        (b"etag", b'"%s"' % shown.blob.encode()),
        (b"cache-control", b"private, immutable, max-age=31536000" if immutable else b"private, no-cache"),
    ]


def _head(shown: Any, part: ByteRange, asked: str) -> list[tuple[bytes, bytes]]:
    kind = shown.type or ""
    known = kind.startswith(_FAMILIES) and _TYPE.fullmatch(kind)
    head = [
        (b"content-type", kind.encode() if known else b"application/octet-stream"),
        (b"content-length", b"%d" % part.length),
        (b"accept-ranges", b"bytes"),
        *_kept(shown, asked),
        (b"x-content-type-options", b"nosniff"),
    ]
    if part.partial:
        last = part.first + part.length - 1
        head.append((b"content-range", b"bytes %d-%d/%d" % (part.first, last, shown.size)))
    return head
