"""What others check without trusting this node: the proof of a post, and the archive of an account."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_web.door_files import remove
from banyan_web.endpoint import Ask, Endpoints, Shape, Web
from banyan_web.platform.acting import only, reading
from banyan_web.platform.reading import READ, has
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
PIECE = 256 << 10
_RAW = {"content-type": "application/octet-stream", "vary": "authorization"}


_PROOF = Shape(gives="application/octet-stream", tagged=True)
_ARCHIVE = Shape(gives="application/octet-stream")


@ENDPOINTS.get("/v1/posts/{account}/{key}/proof", READ, _PROOF)
async def proof(web: Web, ask: Ask) -> Response:
    """What proves a post, in the frames of an archive: its author's control log, and the signed run with it."""
    only(ask.params)
    await reading(web, ask)
    found = await web.call("post.proof", uri=f"{ask.path['account']}/{ask.path['key']}")
    tag = f'"{found["entry"][:32]}"'
    headers = _RAW | {"etag": tag, "cache-control": "private, no-cache"}
    if has(ask, tag):
        return Response(None, 304, headers)
    return Response(b64decode(found["archive"]), 200, headers)


@ENDPOINTS.get("/v1/accounts/{account}/archive", READ, _ARCHIVE)
async def archive(web: Web, ask: Ask) -> Response:
    """The archive of an account: all its entries and their content. Another node imports it."""
    only(ask.params)
    await reading(web, ask)
    if web.bounds.archives_full:
        raise Refused(503, "Many archives are written at the moment; try again soon.", {"retry-after": "10"})
    folder = await to_thread.run_sync(web.files.made_folder)
    path = folder / "archive"
    try:
        async with web.bounds.archives:
            await web.call("account.export", account=ask.path["account"], path=str(path), readers=True)
        file = await to_thread.run_sync(_open, path)
    finally:  # an open file stays readable
        await to_thread.run_sync(remove, folder)
    return _File(file)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


class _File(Response):
    """A file piece by piece, as fast as the client takes it. Closes it."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(headers=_RAW | {"cache-control": "no-store"})
        self._file = file
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with aclosing(self._pieces()) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        while piece := await to_thread.run_sync(self._file.read, PIECE):
            yield piece
