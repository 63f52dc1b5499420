"""Pictures of a profile: files of a request become blobs of the node."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Any

from starlette.datastructures import UploadFile

from banyan_crdt.blob import CHUNK
from banyan_web.endpoint import DoorContext
from banyan_web.refusals import Refused

PICTURE_BYTES = 16 << 20
"""The largest file of a picture; the node makes it smaller."""


async def put(web: DoorContext, params: dict[str, Any], name: str) -> str | None:
    """The blob of the file of a parameter; None if it is not given. Raises Refused."""
    file = params.get(name)
    if file is None or file == "":
        return None
    if not isinstance(file, UploadFile):
        raise Refused(422, f"{name} is a file: send it as multipart/form-data.")
    raw = await file.read(PICTURE_BYTES + 1)
    if len(raw) > PICTURE_BYTES:
        raise Refused(422, f"{name} has more than {PICTURE_BYTES:,} bytes.")
    if not raw:
        raise Refused(422, f"{name} is empty.")
    chunks = [raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK)]
    begun = await web.call("upload.begin", size=len(raw), hashes=[sha256(chunk).hexdigest() for chunk in chunks])
    for number in begun["missing"]:
        data = b64encode(chunks[number]).decode()
        await web.call("upload.chunk", upload=begun["upload"], number=number, data=data)
    blob: str = (await web.call("media.put", upload=begun["upload"]))["blob"]
    return blob
