"""The bytes of pictures, films and sounds, or a range of them, so that a film is played from any place."""

from __future__ import annotations

import re

from starlette.responses import Response

from banyan_node.server.blob_files import part_of
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
PIECE = 4 << 20
"""Bytes of one answer at most; a player asks for the next ones."""
_SHOWN = re.compile(r"image/(jpeg|png|webp|gif)|(video|audio)/[a-z0-9.+-]{1,64}|text/vtt")


@ENDPOINTS.get("/media/{blob}")
async def media(web: Web, ask: Ask) -> Response:
    """A blob that is here. Its type is one that runs no script."""
    blob = ask.path["blob"]
    if not re.fullmatch(r"[0-9a-f]{64}", blob):
        raise Refused(404, "That is no blob.")
    about = await web.call("media.show", blob=blob)
    asked = ask.request.headers.get("range", "")
    part = part_of(asked, about["size"] or 0)
    if not about["whole"] or part is None:
        raise Refused(404 if not about["whole"] else 416, "These bytes are not here.")
    kind = about["type"] if _SHOWN.fullmatch(about["type"] or "") else "application/octet-stream"
    headers = {
        "content-type": "text/vtt; charset=utf-8" if kind == "text/vtt" else kind,
        "etag": f'"{blob}"',
        "cache-control": "public, max-age=31536000, immutable",
        "accept-ranges": "bytes",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    if ask.request.headers.get("if-none-match") == f'"{blob}"':
        return Response(status_code=304, headers=headers)
    length = min(part.length, PIECE) if part.partial else part.length
    raw, at, end = b"", part.first, part.first + length
    while at < end:
        piece = await web.backend.piece(blob, at, min(1 << 20, end - at))
        if not piece:
            break
        raw, at = raw + piece, at + len(piece)
    if part.partial:
        headers["content-range"] = f"bytes {part.first}-{at - 1}/{about['size']}"
    return Response(raw, 206 if part.partial else 200, headers)
