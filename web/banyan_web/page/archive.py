"""The signed log of an account, as the file that `banyan export` writes: what a browser checks a page with. It needs no
token, because all of it is public; what an account says to itself is sealed in it."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import BinaryIO

from anyio import to_thread
from starlette.responses import Response

from banyan_web.archives import FileAnswer, archive_of
from banyan_web.door_files import PIECE
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
MOST = 64 << 20
"""Bytes of an archive that a browser is given."""
OF_ADDRESS, OF_ALL = 4, 32
"""Archives that are being sent, each a file of the disk: to one address, and to all."""
_SENDING = "archives"


@ENDPOINTS.get("/archives/{did}")
async def archive(web: Web, ask: Ask) -> Response:
    """All that is held of one account, with signatures."""
    if not web.bounds.open(_SENDING, ask.address, OF_ADDRESS, OF_ALL):
        raise Refused(429, "Many archives are being sent; take these first, then try again.", {"retry-after": "10"})
    try:
        file = await archive_of(web, ask.path["did"], MOST)
    except BaseException:
        web.bounds.close(_SENDING, ask.address)
        raise

    def over() -> None:
        file.close()
        web.bounds.close(_SENDING, ask.address)

    try:
        tag, size = await to_thread.run_sync(_seen, file)
        if size > MOST:
            raise Refused(413, f"The account has more than {MOST >> 20} MiB: use `banyan export`.")
    except BaseException:
        over()
        raise
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in ask.request.headers.get("if-none-match", ""):
        over()
        return Response(status_code=304, headers=headers)
    return FileAnswer(file, headers, over)


def _seen(file: BinaryIO) -> tuple[str, int]:
    """The tag of a file, and its size."""
    digest = sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return f'"{digest.hexdigest()[:32]}"', os.fstat(file.fileno()).st_size
