"""The signed log of an account, as the file that `banyan export` writes: what a browser checks a page with. It needs no
token, because all of it is public; what an account says to itself is sealed in it."""

from __future__ import annotations

from hashlib import sha256
from typing import BinaryIO

from anyio import to_thread
from starlette.responses import Response

from banyan_web.archives import FileAnswer, archive_of
from banyan_web.door_files import PIECE
from banyan_web.endpoint import Ask, DoorContext, Endpoints

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/archives/{did}")
async def archive(web: DoorContext, ask: Ask) -> Response:
    """All that is held of one account, with signatures."""
    file, over = await archive_of(web, ask, ask.path["did"])
    try:
        tag = await to_thread.run_sync(_tag, file)
    except BaseException:
        over()
        raise
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in ask.request.headers.get("if-none-match", ""):
        over()
        return Response(status_code=304, headers=headers)
    return FileAnswer(file, over, headers)


def _tag(file: BinaryIO) -> str:
    digest = sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return f'"{digest.hexdigest()[:32]}"'
