"""What a card under a link is made of: what a page says of itself, and a small picture. Both are read by processes of
their own (decoders.py), and nothing is kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from msgspec import DecodeError, Struct, json

from banyan_node.media.about import About
from banyan_node.media.decoders import Decoders
from banyan_node.media.looking import PICTURES, looked, refuse

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
    about: About


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
