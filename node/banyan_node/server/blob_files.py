"""GET /v1/media/BLOB: the bytes of a picture or film, as players and browsers read them.

A range (`Range: bytes=1000-`) is answered with 206, so that a film is played from any place; HEAD answers without
bytes. The content type is what posts say, if it is one of pictures, films, sounds or captions, and else no type that a
browser opens: posts are of strangers, and a page of theirs must not run where a backend passes this on.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_node.operator_errors import CallError

PIECE = 1 << 20
_FAMILIES = ("image/jpeg", "image/png", "image/webp", "image/gif", "video/", "audio/", "text/vtt")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,64}")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Answers(Protocol):
    """What a blob needs of the backend."""

    async def answer(self, method: str, params: dict[str, Any]) -> Any: ...


class Part(NamedTuple):
    """Bytes from `first` on, `length` of them. partial: whether a range was asked for."""

    first: int
    length: int
    partial: bool


class BlobFiles:
    """refuse: the response of a refusal."""

    def __init__(self, backend: Answers, refuse: Callable[[str, str, int], Response]) -> None:
        self._backend, self._refuse = backend, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            if request.method not in ("GET", "HEAD"):
                raise CallError("not_here", f"{request.method} {request.url.path}: a blob is read with GET.", 405)
            blob = request.path_params["blob"]
            shown = await self._backend.answer("media.show", {"blob": blob})
            part = part_of(request.headers.get("range", ""), shown.size or 0)
            if not shown.whole or part is None:  # `media.read` says how much is here
                await self._backend.answer("media.read", {"blob": shown.blob, "length": 1})
                says = f"No bytes of the blob, which has {shown.size}, are in that range."
                refusal = self._refuse("bad_request", says, 416)
                refusal.headers["content-range"] = f"bytes */{shown.size}"
                await refusal(scope, receive, send)
                return
            left, at = (0 if request.method == "HEAD" else part.length), part.first
            raw = await self._piece(shown.blob, at, left)  # before anything is answered: the disk may have changed it
        except CallError as error:
            await self._refuse(error.code, error.message, error.status)(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": 206 if part.partial else 200, "headers": _head(shown, part)}
        )
        while raw:
            left, at = left - len(raw), at + len(raw)
            await send({"type": "http.response.body", "body": raw, "more_body": True})
            raw = await self._piece(shown.blob, at, left)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _piece(self, blob: str, at: int, left: int) -> bytes:
        """The next bytes of it; none if nothing is left. Raises CallError."""
        if not left:
            return b""
        read = await self._backend.answer("media.read", {"blob": blob, "offset": at, "length": min(PIECE, left)})
        return b64decode(read.data)


def part_of(asked: str, size: int) -> Part | None:
    """The bytes that a Range header asks for; all of them if it has another form, as RFC 9110 wants; None if none of
    them are in the blob."""
    found = _RANGE.fullmatch(asked.replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return Part(0, size, False)
    if not found[1]:
        last = min(size, int(found[2]))
        return Part(size - last, last, True) if last else None
    first, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    return Part(first, end - first, True) if first < end else None


def _head(shown: Any, part: Part) -> list[tuple[bytes, bytes]]:
    kind = shown.type or ""
    known = kind.startswith(_FAMILIES) and _TYPE.fullmatch(kind)
    head = [
        (b"content-type", kind.encode() if known else b"application/octet-stream"),
        (b"content-length", b"%d" % part.length),
        (b"accept-ranges", b"bytes"),
        (b"etag", b'"%s"' % shown.blob.encode()),
        (b"cache-control", b"private, immutable, max-age=31536000"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if part.partial:
        last = part.first + part.length - 1
        head.append((b"content-range", b"bytes %d-%d/%d" % (part.first, last, shown.size)))
    return head
