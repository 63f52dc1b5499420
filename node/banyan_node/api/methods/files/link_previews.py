"""What a card under a link is made of: what a page says of itself, and a small picture, both fetched by a program."""

import os
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Annotated, NamedTuple

from msgspec import DecodeError, Meta, Struct, json

from banyan_node.api.declare import MethodTable, Request, Response, WorkContext
from banyan_node.home.folder import Home
from banyan_node.media.decoders import Decoders
from banyan_node.media.intake import PICTURES, looked, refuse
from banyan_node.media.local_blobs import BlobNote
from banyan_node.operator_errors import bad_request

# Both are read by processes of their own (decoders.py), and nothing is kept.

DEADLINE_S = 5.0
MOST = 512 << 10
"""Bytes of a small picture that are given out."""


class PageSaid(Struct, frozen=True):
    """Each is empty if the page does not say it. image: an address as it stands there. published: a time as it stands
    there."""

    title: str = ""
    description: str = ""
    image: str = ""
    image_description: str = ""
    site: str = ""
    author: str = ""
    published: str = ""
    lang: str = ""


class SmallPicture(NamedTuple):
    """about: of the small one."""

    raw: bytes
    about: BlobNote


def page_said(path: Path, charset: str, decoders: Decoders) -> PageSaid:
    """charset: of the head of the answer, or -. Raises CallError."""
    with path.open("rb") as file, tempfile.TemporaryFile() as nothing:
        given = [file.fileno(), nothing.fileno(), nothing.fileno()]
        try:
            return json.decode(decoders.run("page", charset, given, DEADLINE_S), type=PageSaid)
        except (TimeoutError, DecodeError):
            raise refuse("The page", "could not be read: the process that tried it ended") from None


def small_picture(path: Path, side: int, decoders: Decoders) -> SmallPicture:
    """A still or moving picture whose longer side has at most so many pixels. Raises CallError."""
    name = "The picture"
    with path.open("rb") as file, looked(file, name, side, decoders) as found:
        if found.about.type not in PICTURES:
            raise refuse(name, "is none of JPEG, PNG, WebP and GIF")
        size = os.fstat(found.file.fileno()).st_size
        if size > MOST:
            raise refuse(name, f"has {size:,} bytes when it was made smaller; at most {MOST:,} are given out")
        return SmallPicture(found.file.read(), found.about)


METHODS = MethodTable()


class LinkedPageRequest(Request):
    """path: of a file with HTML on the machine of the node, absolute. charset: that its server named."""

    path: str
    charset: Annotated[str, Meta(pattern="^[A-Za-z0-9_.:-]{1,40}$")] | None = None


class LinkedPage(Response):
    """Each is empty if the page does not say it. site: what the page calls its site. image, published: an address and a
    time as the page writes them."""

    title: str
    description: str
    image: str
    image_description: str
    site: str
    author: str
    published: str
    lang: str


class LinkedPictureRequest(Request):
    """path: of a file on the machine of the node, absolute. side: the longer side that it gets at most, pixels."""

    path: str
    side: Annotated[int, Meta(ge=16, le=1_024)] = 480


class LinkedPicture(Response):
    """data: base64."""

    type: str
    data: str
    width: int | None
    height: int | None
    blurhash: str | None


@METHODS.work("linked.page", "read", "refused")
def page(at: WorkContext, ask: LinkedPageRequest) -> LinkedPage:
    """Reads what a page of the web says of itself, in a process of its own. Nothing is kept."""
    said = page_said(_file(at, ask.path), ask.charset or "-", at.decoders)
    return LinkedPage(
        said.title,
        said.description,
        said.image,
        said.image_description,
        said.site,
        said.author,
        said.published,
        said.lang,
    )


@METHODS.work("linked.picture", "read", "refused")
def picture(at: WorkContext, ask: LinkedPictureRequest) -> LinkedPicture:
    """Makes a picture small, in a process of its own. Nothing is kept."""
    made = small_picture(_file(at, ask.path), ask.side, at.decoders)
    about = made.about
    data = b64encode(made.raw).decode()
    return LinkedPicture(about.type, data, about.width, about.height, about.blurhash)


def _file(at: WorkContext, path: str) -> Path:
    found = Path(path)
    if not found.is_absolute() or not found.is_file() or Home(at.home).is_own(found):
        raise bad_request(f"'{path[:200]}' is no absolute path of a file outside of the node's folder.")
    return found
