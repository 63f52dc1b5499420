"""The signed log of an account, as the file that `banyan export` writes: what a browser checks a page with. It needs no
token, because all of it is public; what an account says to itself is sealed in it."""

from __future__ import annotations

from hashlib import sha256

import anyio.to_thread
from starlette.responses import Response

from banyan_web.door_files import remove
from banyan_web.endpoint import Ask, Endpoints, Web
from banyan_web.refusals import Refused

ENDPOINTS = Endpoints()
MOST = 64 << 20
"""Bytes of an archive that a browser is given."""


@ENDPOINTS.get("/archives/{did}")
async def archive(web: Web, ask: Ask) -> Response:
    """All that is held of one account, with signatures."""
    if web.bounds.archives_full:
        raise Refused(503, "Many browsers check at the moment; try again soon.", {"retry-after": "10"})
    async with web.bounds.archives:
        return await _answer(web, ask)


async def _answer(web: Web, ask: Ask) -> Response:
    folder = web.files.made_folder()
    path = folder / "account.banyan"
    try:
        await web.call("account.export", account=ask.path["did"], path=str(path), readers=True, most=MOST)
        if path.stat().st_size > MOST:
            raise Refused(413, f"The account has more than {MOST >> 20} MiB: use `banyan export`.")
        raw = await anyio.to_thread.run_sync(path.read_bytes)
    finally:
        remove(folder)
    tag = f'"{sha256(raw).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache", "content-type": "application/octet-stream"}
    if tag in ask.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(raw, headers=headers)
