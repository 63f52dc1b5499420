"""Photos and films of Facebook that no post shows: of albums, and of the lists of photos and films in no album.

Those that were uploaded to an album one after another become one post, as Facebook showed them. What any post has is
not brought again. This also keeps back what was said in groups or on other people's timelines: such a post does not
come, and its photos are in an album too.

A photo is known by the number at the end of its file's name: Facebook's own, the same in all forms of the archive. A
post has as its id that of its first photo.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from banyan_cli.importing.facebook_texts import words_of
from banyan_cli.importing.model import BROKEN, MOST_ID, Attachment, Audience, Item, Omission, dicts, plain, seconds_ms
from banyan_cli.importing.streams import Broken

FILES = re.compile(r"(?:^|/)(?:album/\d+|(?:your_)?uncategorized_photos|your_photos|(?:your_)?videos)\.json$")
LISTS = ("photos", "photos_v2", "other_photos_v2", "videos_v2", "videos")
TOGETHER_S = 3_600
"""Of one album, a photo that was uploaded so soon after the one before belongs to the same post."""
MOST = 64
"""Photos of one post."""
_NUMBER = re.compile(r"(\d{6,})(?:_[a-z])?\.\w+$")


class Album(NamedTuple):
    """name: empty where there is none. time_ms: when it was last changed. photos: as the archive has them, each with
    its place there."""

    name: str
    about: str
    time_ms: int | None
    photos: list[tuple[str, Any]]


class _Photo(NamedTuple):
    id: str
    time_ms: int | None
    uri: str
    told: str
    where: str


def photo_id(uri: str) -> str:
    """Tells photos apart, whatever folders they are in."""
    name = plain(uri).rpartition("/")[2]
    found = _NUMBER.search(name)
    return found[1] if found else name


def posts(album: Album, taken: set[str], audience: Audience) -> Iterator[Item | Omission]:
    """The posts that its photos become. taken: ids of those that are in a post; these are added."""
    photos = list[_Photo]()
    for where, one in album.photos:
        uri = plain(one.get("uri")) if isinstance(one, dict) else ""
        if not uri:
            yield Omission(BROKEN, where, one.why if isinstance(one, Broken) else "it is of another form")
            continue
        this = photo_id(uri)
        if this not in taken:
            taken.add(this)
            time_ms = seconds_ms(one.get("creation_timestamp"))
            told = words_of(one.get("description")).strip()
            photos.append(_Photo(this, album.time_ms if time_ms is None else time_ms, uri, told, where))
    photos.sort(key=lambda photo: photo.time_ms or 0)
    some = list[_Photo]()
    for photo in photos:
        if some and not _together(album, some, photo):
            yield _post(album, some, audience)
            some = []
        some.append(photo)
    if some:
        yield _post(album, some, audience)


def _together(album: Album, some: list[_Photo], photo: _Photo) -> bool:
    last = some[-1].time_ms
    if not album.name or len(some) == MOST or last is None or photo.time_ms is None:
        return False
    return photo.time_ms - last <= TOGETHER_S * 1000


def _post(album: Album, some: list[_Photo], audience: Audience) -> Item:
    """Its words are those of its only photo, or else of the album."""
    first = some[0]
    words = "\n\n".join(part for part in (album.name, album.about) if part)
    alone = first.told if len(some) == 1 else ""
    media = tuple(Attachment(photo.uri, "" if alone else photo.told) for photo in some)
    this = f"photo:{first.id}"[:MOST_ID]
    return Item(this, alone, first.time_ms, first.where, audience=audience, media=media, caption=words)


def photos_of(post: Any) -> Iterator[str]:
    """The ids of the photos and films that a post has."""
    groups = dicts(post.get("attachments")) if isinstance(post, dict) else []
    for part in (part for group in groups for part in dicts(group.get("data"))):
        medium = part.get("media")
        if isinstance(medium, dict) and (uri := plain(medium.get("uri"))):
            yield photo_id(uri)
