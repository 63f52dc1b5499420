"""An item of media: a picture, a film or a sound that content names by its blob. Posts have many, and a picture of a
profile is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from banyan_schema.compound import record
from banyan_schema.fields import HASH, number, optional, text

MAX_TYPE, MAX_DESCRIPTION, MAX_BLURHASH = 128, 8_192, 128
"""The most bytes of UTF-8 of a media type, the description of a picture or film, and a blurhash."""


class Media(NamedTuple):
    """A picture, a film or a sound: a blob, and what is shown before it is there. `blob`: its root, 32 bytes. `size`:
    bytes. `type`: a media type (`image/jpeg`). `width`, `height`: pixels. `preview`: the blob of a smaller picture.
    Captions of a film are the next item, of the type `text/vtt`, and their description is their language."""

    blob: bytes
    size: int
    type: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    description: str | None = None
    blurhash: str | None = None
    preview: bytes | None = None

    @property
    def is_picture(self) -> bool:
        """As far as its type says."""
        return self.type.startswith("image/")


MEDIA = record(
    "an item of media",
    Media,
    HASH,
    number("the size of an item of media"),
    text("a media type", MAX_TYPE),
    optional(number("a width")),
    optional(number("a height")),
    optional(number("a duration, in milliseconds,")),
    optional(text("a description", MAX_DESCRIPTION)),
    optional(text("a blurhash", MAX_BLURHASH)),
    optional(HASH),
)


def blobs_of(media: Iterable[Media]) -> list[bytes]:
    """The roots that these items name, previews first."""
    items = list(media)
    return [item.preview for item in items if item.preview is not None] + [item.blob for item in items]
