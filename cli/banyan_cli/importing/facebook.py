"""Facebook's "Download your information" as JSON, with its old and new names of folders.

Its texts are UTF-8 whose bytes were written as Latin-1 escapes, and are repaired. Posts have no ids there: the id of
one is its second, and its number in that second. The archive does not say who could see a post, so the person must
say who may see it here. What was said in groups does not come, because a group is not everybody; only the title of a
post tells it (facebook_texts.py). Albums are read last, because they have the photos of posts too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from banyan_cli.importing.archives import Archive, no_such_files
from banyan_cli.importing.facebook_texts import Where, where_of, words_of
from banyan_cli.importing.model import (
    BROKEN,
    MOST_ID,
    ArchiveContents,
    Attachment,
    Audience,
    Found,
    Item,
    Omission,
    ProfileLine,
    ProfilePicture,
    Tie,
    TieKind,
    dicts,
    line,
    plain,
    seconds_ms,
)
from banyan_cli.importing.streams import MOST_ITEM, Broken, items, unread

SERVICE = "facebook"
_ALBUM_FILES = re.compile(r"(?:^|/)(?:album/\d+|(?:your_)?uncategorized_photos|your_photos|(?:your_)?videos)\.json$")
_ALBUM_LISTS = ("photos", "photos_v2", "other_photos_v2", "videos_v2", "videos")
TOGETHER_S = 3_600
"""Of one album, a photo that was uploaded so soon after the one before belongs to the same post."""
MOST_PHOTOS = 64
"""Photos of one post."""
_PHOTO_NUMBER = re.compile(r"(\d{6,})(?:_[a-z])?\.\w+$")
COMMENTS = "comments on posts (add --comments to bring them as posts)"
REACTIONS = "reactions: the archive does not say to which posts"
GROUPS, EVENTS, ALBUMS = "posts and comments in groups", "events", "photos and films of albums (--no-albums)"
ALBUM_POSTS = (
    "Photos of albums that no post shows come as posts of their own; look at them, or leave them out with --no-albums."
)
_OTHER = "it is of another form"
MEMBERS = "memberships of groups"
TIMELINES = "posts on other people's timelines"
SAVED = "items that were saved, not posted"
ELSEWHERE = "posts in groups or on other people's timelines"
UNKNOWN = (
    "posts whose title does not say in a language that is read here where they were posted (look at them; "
    "--unknown-titles brings them)"
)
_POSTS = re.compile(r"(?:^|/)your_posts(?:__check_ins__photos_and_videos)?(?:_\d+)?\.json$")
_FILES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("posts", _POSTS),
    ("comments", re.compile(r"(?:^|/)comments(?:_and_reactions)?/comments(?:_and_reactions)?(?:_\d+)?\.json$")),
    ("comments", re.compile(r"(?:^|/)comments_and_reactions(?:_\d+)?\.json$")),
    ("reactions", re.compile(r"(?:^|/)(?:likes_and_reactions(?:_\d+)?|posts_and_comments)\.json$")),
    ("friends", re.compile(r"(?:^|/)friends/(?:your_)?friends\.json$")),
    ("blocked", re.compile(r"(?:^|/)blocked_(?:profiles|users)\.json$")),
    ("profile", re.compile(r"(?:^|/)profile_information/profile_information\.json$")),
    ("members", re.compile(r"(?:^|/)groups/your_group(?:s|_membership_activity)\.json$")),
    ("groups", re.compile(r"(?:^|/)groups/(?:group_posts_and_comments|your_(?:posts|comments)_in_groups)\.json$")),
    ("events", re.compile(r"(?:^|/)events/[^/]+\.json$")),
    ("albums", _ALBUM_FILES),
)
_OUT: dict[Where, str] = {"timeline": TIMELINES, "group": GROUPS, "elsewhere": ELSEWHERE, "saved": SAVED}
_GROUP_POSTS = ("group_posts_v2", "group_comments_v2", "group_posts")
_FACES = {
    **dict.fromkeys(("profile pictures", "profile photos", "ảnh đại diện"), "avatar"),
    **dict.fromkeys(("cover photos", "ảnh bìa"), "banner"),
}
"""Names of albums, in English and Vietnamese."""
_PEOPLE: dict[str, tuple[TieKind, tuple[str, ...]]] = {
    "friends": ("follow", ("friends_v2", "friends")),
    "blocked": ("block", ("blocked_users_v2", "blocked_users")),
}


def wants(name: str) -> bool:
    return _kind(name) is not None


def _kind(name: str) -> str | None:
    return next((kind for kind, pattern in _FILES if pattern.search(name)), None)


def reading(
    archive: Archive, audience: Audience, comments: bool = False, with_albums: bool = True, unknown_titles: bool = False
) -> ArchiveContents:
    """audience: of all posts. comments: whether they come as posts. with_albums: whether photos that no post shows do.
    unknown_titles: whether posts come whose title is not understood. Raises BadInput if there is nothing of
    Facebook."""
    if not archive.files:
        raise no_such_files(archive, "facebook", "your_posts_1.json or other JSON files")

    faces = dict(_faces(archive))

    def read() -> Iterator[Found]:
        seconds, taken = Counter[str](), {_photo_id(face.item.path) for face in faces.values()}
        yield from faces.values()
        for name in sorted(archive.files, key=lambda name: (_kind(name) == "albums", name)):
            kind = _kind(name)
            if kind == "posts":
                for where, one in _items(archive, name):
                    taken.update(_photos_of(one))
                    yield _post(one, where, seconds, audience, unknown_titles)
            elif kind == "albums" and with_albums:
                yield from _album_posts(_album(archive, name), taken, audience)
            elif kind == "comments":
                for where, one in _items(archive, name, "comments_v2", "comments"):
                    yield _comment(one, where, seconds, audience, comments)
                yield from _counted(archive, name, "reactions", set())
            elif kind in _PEOPLE:
                tie, keys = _PEOPLE[kind]
                for where, one in _items(archive, name, *keys):
                    who = line(one.get("name")) if isinstance(one, dict) else ""
                    yield Tie(tie, (who,), place=where) if who else unread(one, where, _OTHER)
            elif kind == "profile":
                for _, one in _items(archive, name, "profile_v2", "profile"):
                    yield from _profile(one)
            else:
                if kind == "groups":
                    for _, one in _items(archive, name, *_GROUP_POSTS):
                        taken.update(_photos_of(one))
                yield from _counted(archive, name, kind or "", {face.item.path for face in faces.values()})

    some = with_albums and any(_kind(name) == "albums" for name in archive.files)
    return ArchiveContents(SERVICE, read, (ALBUM_POSTS,) if some else ())


def _album(archive: Archive, name: str) -> _Album:
    def one(key: str) -> Any:
        return next((value for _, value in _items(archive, name, key) if not isinstance(value, Broken)), None)

    photos, cover = list(_items(archive, name, *_ALBUM_LISTS)), one("cover_photo")
    if cover is not None:  # which is one of the photos, but not always
        photos.append((f"{name}, the cover", cover))
    return _Album(
        line(one("name")), plain(one("description")).strip(), seconds_ms(one("last_modified_timestamp")), photos
    )


def _items(archive: Archive, name: str, *keys: str) -> Iterator[tuple[str, Any]]:
    with archive.open(name) as stream:
        for number, one in enumerate(items(stream, *keys), 1):
            try:
                found = one if isinstance(one, Broken) else repaired(one)
            except RecursionError:
                found = Broken("it is nested too deeply")
            yield f"{name}, item {number}", found


def repaired(value: Any) -> Any:
    """The value, with the bytes of its texts read as what they are."""
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            return value.encode("latin-1").decode("utf-8")
        except UnicodeError:
            return value
    if isinstance(value, list):
        return [repaired(one) for one in value]
    if isinstance(value, dict):
        return {repaired(key): repaired(one) for key, one in value.items()}
    return value


def _id(kind: str, stamp: int, seconds: Counter[str]) -> str:
    name = f"{kind}:{stamp}"
    seconds[name] += 1
    return name if seconds[name] == 1 else f"{name}:{seconds[name]}"


def _post(
    one: Any, where: str, seconds: Counter[str], audience: Audience, unknown_titles: bool = False
) -> Item | Omission:
    stamp = one.get("timestamp") if isinstance(one, dict) else None
    time_ms = seconds_ms(stamp)
    if time_ms is None:
        return unread(one, where, _OTHER)
    title, this = line(one.get("title")), _id("post", time_ms // 1000, seconds)
    place_of = where_of(title)
    if place_of in _OUT:
        return Omission(_OUT[place_of], where, title)
    if place_of == "unknown" and not unknown_titles:
        return Omission(UNKNOWN, where, title)
    text = "\n\n".join(told for part in dicts(one.get("data")) if (told := words_of(part.get("post")))).strip()
    media, lines = list[Attachment](), list[str]()
    for part in (part for group in dicts(one.get("attachments")) for part in dicts(group.get("data"))):
        medium, context, place = (_inside(part, key) for key in ("media", "external_context", "place"))
        note, event = _inside(part, "note"), _inside(part, "event")
        if uri := plain(medium.get("uri")):
            told = words_of(medium.get("description")).strip()
            media.append(Attachment(uri, "" if told == text else told))
        if address := line(context.get("url")):
            lines.append(address if address.startswith("http") else f"https://{address}")
        elif name := line(context.get("name")):
            lines.append(name)
        if name := line(place.get("name")):
            lines.append(f"📍 {name}")
        if name := line(event.get("name")):
            lines.append(f"📅 {name}")
        lines += [told for key in ("title", "text") if (told := words_of(note.get(key)).strip())]
    new = dict.fromkeys(part for part in lines if part not in text)
    said = "\n".join([*([text] if text else []), *new])
    return Item(this, said, time_ms, where, audience=audience, media=tuple(dict.fromkeys(media)))


def _inside(part: dict[str, Any], key: str) -> dict[str, Any]:
    found = part.get(key)
    return found if isinstance(found, dict) else {}


def _comment(one: Any, where: str, seconds: Counter[str], audience: Audience, wanted: bool) -> Item | Omission:
    if not isinstance(one, dict):
        return unread(one, where, _OTHER)
    for part in dicts(one.get("data")):
        said = _inside(part, "comment")
        time_ms = seconds_ms(said.get("timestamp", one.get("timestamp")))
        if not said or time_ms is None:
            continue
        this = _id("comment", time_ms // 1000, seconds)
        if said.get("group"):
            return Omission(GROUPS, where, line(said.get("group")))
        if not wanted:
            return Omission(COMMENTS, where, line(one.get("title")))
        found = (_inside(p, "media") for group in dicts(one.get("attachments")) for p in dicts(group.get("data")))
        media = tuple(Attachment(plain(m["uri"]), words_of(m.get("description"))) for m in found if plain(m.get("uri")))
        return Item(this, words_of(said.get("comment")), time_ms, where, audience=audience, media=media)
    return unread(one, where, _OTHER)


def _profile(one: Any) -> Iterator[ProfileLine]:
    """Name, words and city; no address, number or birthday."""
    if not isinstance(one, dict):
        return
    yield ProfileLine("name", line(_inside(one, "name").get("full_name")))
    bio = plain(_inside(one, "intro_bio").get("name")) or plain(one.get("about_me"))
    yield ProfileLine("bio", bio)
    yield ProfileLine("city", line(_inside(one, "current_city").get("name")))


def _faces(archive: Archive) -> Iterator[tuple[str, ProfilePicture]]:
    """The newest picture of the albums of profile and cover pictures, which everybody can see there."""
    for name in sorted(archive.files):
        if _kind(name) != "albums":
            continue
        with archive.open(name) as stream:
            try:
                album = repaired(json.loads(stream.read(MOST_ITEM)))
            except (ValueError, RecursionError):
                continue
        of = _FACES.get(line(album.get("name")).lower()) if isinstance(album, dict) else None
        photos = [one for one in dicts(album.get("photos")) if plain(one.get("uri"))] if of else []
        if of and photos:
            newest = max(photos, key=lambda one: seconds_ms(one.get("creation_timestamp")) or 0)
            told = plain(newest.get("description")).strip()
            yield of, ProfilePicture(of, Attachment(plain(newest["uri"]), told), name)


def _counted(archive: Archive, name: str, kind: str, come: set[str]) -> Iterator[Omission]:
    """What is counted and named, and does not come. come: paths of pictures that do."""
    keys = {
        "reactions": ("reactions_v2", "reactions"),
        "members": ("groups_joined_v2", "groups_joined"),
        "groups": _GROUP_POSTS,
        "events": ("your_events_v2", "event_responses_v2", "event_responses", "your_events"),
        "albums": _ALBUM_LISTS,
    }
    why = {"reactions": REACTIONS, "members": MEMBERS, "groups": GROUPS, "events": EVENTS, "albums": ALBUMS}[kind]
    for where, one in _items(archive, name, *keys[kind]):
        if isinstance(one, Broken):
            yield Omission(BROKEN, where, one.why)
        elif kind == "events" and isinstance(one, dict) and not one.get("name"):
            yield from (Omission(why, where, line(e.get("name"))) for answers in one.values() for e in dicts(answers))
        elif isinstance(one, dict) and plain(one.get("uri")) not in come:
            yield Omission(why, where, line(one.get("title") or one.get("name") or one.get("uri")))


# Photos and films that no post shows: of albums, and of the lists of photos and films in no album. Those that were
# uploaded to an album one after another become one post, as Facebook showed them. What any post has is not brought
# again. This also keeps back what was said in groups or on other people's timelines: such a post does not come, and its
# photos are in an album too.
#
# A photo is known by the number at the end of its file's name: Facebook's own, the same in all forms of the archive. A
# post has as its id that of its first photo.


class _Album(NamedTuple):
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


def _photo_id(uri: str) -> str:
    """Tells photos apart, whatever folders they are in."""
    name = plain(uri).rpartition("/")[2]
    found = _PHOTO_NUMBER.search(name)
    return found[1] if found else name


def _album_posts(album: _Album, taken: set[str], audience: Audience) -> Iterator[Item | Omission]:
    """The posts that its photos become. taken: ids of those that are in a post; these are added."""
    photos = list[_Photo]()
    for where, one in album.photos:
        uri = plain(one.get("uri")) if isinstance(one, dict) else ""
        if not uri:
            yield unread(one, where, _OTHER)
            continue
        this = _photo_id(uri)
        if this not in taken:
            taken.add(this)
            time_ms = seconds_ms(one.get("creation_timestamp"))
            told = words_of(one.get("description")).strip()
            photos.append(_Photo(this, album.time_ms if time_ms is None else time_ms, uri, told, where))
    photos.sort(key=lambda photo: photo.time_ms or 0)
    some = list[_Photo]()
    for photo in photos:
        if some and not _together(album, some, photo):
            yield _album_post(album, some, audience)
            some = []
        some.append(photo)
    if some:
        yield _album_post(album, some, audience)


def _together(album: _Album, some: list[_Photo], photo: _Photo) -> bool:
    last = some[-1].time_ms
    if not album.name or len(some) == MOST_PHOTOS or last is None or photo.time_ms is None:
        return False
    return photo.time_ms - last <= TOGETHER_S * 1000


def _album_post(album: _Album, some: list[_Photo], audience: Audience) -> Item:
    """Its words are those of its only photo, or else of the album."""
    first = some[0]
    words = "\n\n".join(part for part in (album.name, album.about) if part)
    alone = first.told if len(some) == 1 else ""
    media = tuple(Attachment(photo.uri, "" if alone else photo.told) for photo in some)
    this = f"photo:{first.id}"[:MOST_ID]
    return Item(this, alone, first.time_ms, first.where, audience=audience, media=media, caption=words)


def _photos_of(post: Any) -> Iterator[str]:
    """The ids of the photos and films that a post has."""
    groups = dicts(post.get("attachments")) if isinstance(post, dict) else []
    for part in (part for group in groups for part in dicts(group.get("data"))):
        medium = part.get("media")
        if isinstance(medium, dict) and (uri := plain(medium.get("uri"))):
            yield _photo_id(uri)
