"""What a card under a link is made of: a page and a picture that a program fetched."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import Declared, Request, Response, Working
from banyan_node.home.folder import Home
from banyan_node.media.linked import page_said, small_picture
from banyan_node.operator_errors import CallError

METHODS = Declared()


class LinkedPageRequest(Request, frozen=True, forbid_unknown_fields=True):
    """path: of a file with HTML on the machine of the node, absolute. charset: that its server named."""

    path: str
    charset: Annotated[str, Meta(pattern="^[A-Za-z0-9_.:-]{1,40}$")] | None = None


class LinkedPage(Response, frozen=True):
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


class LinkedPictureRequest(Request, frozen=True, forbid_unknown_fields=True):
    """path: of a file on the machine of the node, absolute. side: the longer side that it gets at most, pixels."""

    path: str
    side: Annotated[int, Meta(ge=16, le=1_024)] = 480


class LinkedPicture(Response, frozen=True):
    """data: base64."""

    type: str
    data: str
    width: int | None
    height: int | None
    blurhash: str | None


@METHODS.work("linked.page", "read", "refused")
def page(at: Working, ask: LinkedPageRequest) -> LinkedPage:
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
def picture(at: Working, ask: LinkedPictureRequest) -> LinkedPicture:
    """Makes a picture small, in a process of its own. Nothing is kept."""
    made = small_picture(_file(at, ask.path), ask.side, at.decoders)
    about = made.about
    data = b64encode(made.raw).decode()
    return LinkedPicture(about.type, data, about.width, about.height, about.blurhash)


def _file(at: Working, path: str) -> Path:
    found = Path(path)
    if not found.is_absolute() or not found.is_file() or Home(at.home).is_own(found):
        raise CallError("bad_request", f"'{path[:200]}' is no absolute path of a file outside of the node's folder.")
    return found
