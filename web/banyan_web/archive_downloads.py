"""Archives of accounts over HTTP: written one after the other, so that other slow reads do not wait for them, and sent
from the disk piece by piece, as fast as the client takes them. Few are sent at a time, since each is a file of the
disk; but for whose it is and platforms, the size is bounded, and known before anything is written."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeAlias

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from banyan_web.door_files import PIECE, remove
from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.refusals import HttpRefusal, too_much

MOST = 64 << 20
"""Bytes of an archive that is given to anybody."""
OF_ADDRESS, OF_ALL = 4, 32
"""Archives that are being sent: to one address, and to all."""
_SENDING = "archives"
Over: TypeAlias = Callable[[], None]


async def archive_of(web: DoorContext, ask: DoorRequest, account: str, whole: bool = False) -> tuple[BinaryIO, Over]:
    """The file, which has no name any more, and what closes it: call that once. whole: of any size. Raises
    HttpRefusal."""
    if not web.bounds.open(_SENDING, ask.address, OF_ADDRESS, OF_ALL):
        raise too_much("archives", "Many archives are being sent; take these first, then try again.")
    try:
        file = await _written(web, account, None if whole else MOST)
    except BaseException:
        web.bounds.close(_SENDING, ask.address)
        raise

    def over() -> None:
        file.close()
        web.bounds.close(_SENDING, ask.address)

    if not whole and os.fstat(file.fileno()).st_size > MOST:
        over()
        raise HttpRefusal(413, f"The account has more than {MOST >> 20} MiB: use `banyan export`.", gate="archives")
    return file, over


async def _written(web: DoorContext, account: str, most: int | None) -> BinaryIO:
    if web.bounds.archives_full:
        raise too_much("archives", "Many archives are written at the moment; try again soon.", status=503)
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
    """Calls `over` at its end, which closes the file."""

    def __init__(self, file: BinaryIO, over: Over, headers: dict[str, str]) -> None:
        super().__init__(headers={"content-type": "application/octet-stream", **headers})
        self._file, self._over = file, over
        self.headers["content-length"] = str(os.fstat(file.fileno()).st_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
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


# The signed log of an account, as the file that `banyan export` writes: what a browser checks a page with. It needs no
# token, because all of it is public; what an account says to itself is sealed in it.

ENDPOINTS = Endpoints()


@ENDPOINTS.get("/archives/{did}")
async def archive(web: DoorContext, ask: DoorRequest) -> Response:
    """All that is held of one account, with signatures."""
    file, over = await archive_of(web, ask, ask.path["did"])
    try:
        tag = await to_thread.run_sync(_tag, file)
    except BaseException:
        over()
        raise
    headers = {"etag": tag, "cache-control": "no-cache"}
    if ask.has(tag):
        over()
        return Response(status_code=304, headers=headers)
    return FileAnswer(file, over, headers)


def _tag(file: BinaryIO) -> str:
    digest = sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return f'"{digest.hexdigest()[:32]}"'
