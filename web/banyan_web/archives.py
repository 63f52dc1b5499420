"""Archives of accounts over HTTP: written one after the other, so that other slow reads do not wait for them, and sent
from the disk piece by piece, as fast as the client takes them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_web.door_files import PIECE, remove
from banyan_web.endpoint import Web
from banyan_web.refusals import Refused


async def archive_of(web: Web, account: str, most: int | None = None) -> BinaryIO:
    """The file, which has no name any more: close it. most: the largest, in bytes. Raises Refused."""
    if web.bounds.archives_full:
        raise Refused(503, "Many archives are written at the moment; try again soon.", {"retry-after": "10"})
    folder = await to_thread.run_sync(web.files.made_folder)
    path = folder / "archive"
    try:
        async with web.bounds.archives:
            await web.call("account.export", account=account, path=str(path), readers=True, most=most)
        return await to_thread.run_sync(_open, path)
    finally:  # an open file stays readable
        await to_thread.run_sync(remove, folder)


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


class FileAnswer(Response):
    """Closes the file; then calls `over`."""

    def __init__(self, file: BinaryIO, headers: dict[str, str], over: Callable[[], None] = lambda: None) -> None:
        super().__init__(headers={"content-type": "application/octet-stream", **headers})
        self._file, self._over = file, over
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._file:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async with aclosing(self._pieces()) as pieces:
                    async for piece in pieces:
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._over()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        while piece := await to_thread.run_sync(self._file.read, PIECE):
            yield piece
