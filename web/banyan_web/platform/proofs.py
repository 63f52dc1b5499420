"""What others check without trusting this node: the proof of a post, and the archive of an account."""

from __future__ import annotations

from base64 import b64decode

from starlette.responses import Response

from banyan_web.archives import FileAnswer, archive_of
from banyan_web.endpoint import Ask, DoorContext, Endpoints, Shape
from banyan_web.platform.acting import is_platform, only, reading
from banyan_web.platform.reading import READ, has

ENDPOINTS = Endpoints()
_RAW = {"content-type": "application/octet-stream", "vary": "authorization"}


_PROOF = Shape(gives="application/octet-stream", tagged=True)
_ARCHIVE = Shape(gives="application/octet-stream")


@ENDPOINTS.get("/v1/posts/{account}/{key}/proof", READ, _PROOF)
async def proof(web: DoorContext, ask: Ask) -> Response:
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
async def archive(web: DoorContext, ask: Ask) -> Response:
    """The archive of an account: all its entries and their content. Another node imports it. One of more than 64 MiB is
    for its account and for a platform."""
    only(ask.params)
    who, account = await reading(web, ask), ask.path["account"]
    file, over = await archive_of(web, ask, account, whole=is_platform(ask.token) or who == account)
    return FileAnswer(file, over, _RAW | {"cache-control": "no-store"})
