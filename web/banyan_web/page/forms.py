"""How a form of a page is declared: it acts for who is logged in, and leads back to where it was."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response

from banyan_web.endpoint import DoorContext, DoorRequest, Endpoints
from banyan_web.page.rendering import as_page, reader
from banyan_web.params import texts
from banyan_web.refusals import HttpRefusal
from banyan_web.sessions import Visitor, local, writing

CHUNK = 262_144
"""Bytes of a chunk of an upload."""
Act: TypeAlias = Callable[[DoorContext, DoorRequest, Visitor], Awaitable[str | None]]


def form(endpoints: Endpoints, path: str, files: bool = False) -> Callable[[Act], Act]:
    """Declares what a form does. It returns where it leads; None: where the form says."""

    def declare(do: Act) -> Act:
        @endpoints.post(path, files=files)
        @as_page
        async def done(web: DoorContext, ask: DoorRequest) -> Response:
            me = writing(web, ask)
            to = await do(web, ask, me)
            return RedirectResponse(to or back(ask), 303)

        return do

    return declare


def somebody(web: DoorContext, ask: DoorRequest) -> Visitor:
    """Who is logged in. Raises HttpRefusal."""
    me = reader(web, ask)
    if me is None:
        raise HttpRefusal(401, "Log in first.")
    return me


def back(ask: DoorRequest, word: str = "") -> str:
    """Where the form says, with a word that the page there says: `said_WORD` of form_translations.py."""
    to = local(ask.params.get("to"))
    return saying(to, word) if word else to


def saying(path: str, word: str) -> str:
    parts = urlsplit(path)
    query = "&".join([part for part in parts.query.split("&") if part and not part.startswith("said=")])
    return urlunsplit(("", "", parts.path, f"{query}&said={word}".lstrip("&"), parts.fragment))


def undone(ask: DoorRequest) -> bool:
    """Whether the form takes back what it did."""
    return ask.params.get("undo") == "1"


def sure(ask: DoorRequest) -> None:
    """Raises HttpRefusal unless the box beside the button is checked."""
    if ask.params.get("sure") != "1":
        raise HttpRefusal(422, "Check the box beside the button first.")


def files_of(ask: DoorRequest, name: str) -> list[UploadFile]:
    """The files of a parameter, those that are there. Raises HttpRefusal."""
    given = ask.params.get(name, [])
    given = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str | UploadFile) for one in given):
        raise HttpRefusal(422, f"{name} is a list of files.")
    return [one for one in given if isinstance(one, UploadFile) and one.filename]


async def media_of(
    web: DoorContext, ask: DoorRequest, name: str = "media", alts: str = "alt"
) -> list[dict[str, str | None]]:
    """The files of a form as items of media, each with its description."""
    said, given = texts(ask.params, alts), ask.params.get(name, [])
    described = dict[int, str]()
    if isinstance(given, list):  # an empty field of a file has a description too
        described = {id(one): text for one, text in zip(given, said, strict=False) if isinstance(one, UploadFile)}
    return [
        {"blob": await put(web, file), "description": described.get(id(file), "").strip() or None}
        for file in files_of(ask, name)
    ]


async def put(web: DoorContext, file: UploadFile) -> str:
    """The blob of a file that a form brought. Raises HttpRefusal."""
    raw = await file.read()
    chunks = [raw[at : at + CHUNK] for at in range(0, len(raw), CHUNK)]
    if not chunks:
        raise HttpRefusal(422, "The file is empty.")
    begun = await web.call("upload.begin", size=len(raw), hashes=[sha256(chunk).hexdigest() for chunk in chunks])
    for number in begun["missing"]:
        data = b64encode(chunks[number]).decode()
        await web.call("upload.chunk", upload=begun["upload"], number=number, data=data)
    return str((await web.call("media.put", upload=begun["upload"]))["blob"])
