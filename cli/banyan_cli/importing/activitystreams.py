"""ActivityStreams as JSON: an outbox or a collection of notes, as Mastodon, Pleroma, Misskey and their kin write them.

Public and unlisted notes come. An edit (`Update`) gives its text to the note, a `Delete` takes it away. HTML becomes
plain text.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from banyan_cli.errors import BadInput
from banyan_cli.importing.archives import Archive, packed_in
from banyan_cli.importing.html_text import text_of
from banyan_cli.importing.model import (
    BROKEN,
    MOST_ID,
    PRIVATE,
    ArchiveContents,
    Attachment,
    Audience,
    Found,
    Item,
    Omission,
    ProfileLine,
    ProfilePicture,
    Tie,
    dicts,
    iso_ms,
    line,
    plain,
    texts,
)
from banyan_cli.importing.streams import Broken, items

SERVICE = "activitypub"
"""Ids of notes are addresses, so all servers that speak ActivityPub are one service."""
EVERYBODY = {"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"}
NOTES = {"Note", "Article", "Question", "Page", "Image", "Video", "Audio"}
ARRAYS = ("orderedItems", "items")
MOST_HTML = 4 << 20
"""Characters of HTML of one note."""
LONG = "texts of more than 4 MiB of HTML"
OTHERS = "posts of others"
LIKE = "❤️"


def wants(name: str) -> bool:
    return name.endswith(".json")


def reading(archive: Archive) -> ArchiveContents:
    """All JSON files of it. Raises BadInput if there is none."""
    files = sorted(archive.files)
    if not files:
        raise packed_in(archive) or BadInput(
            f"{archive.label} has no .json file; expected an outbox or a collection of notes."
        )

    def read() -> Iterator[Found]:
        changed = dict[str, dict[str, Any]]()
        for name in files:
            for _, one in _items(archive, name):
                if isinstance(one, dict) and one.get("type") in ("Update", "Delete"):
                    _note_change(one, changed)
        for name in files:
            yield from notes(archive, name, changed)

    return ArchiveContents(SERVICE, read)


def _note_change(one: dict[str, Any], changed: dict[str, dict[str, Any]]) -> None:
    """The last change of each object, by the time that it was made, as far as that is said."""
    named = id_of(one.get("object"))
    last = changed.get(named or "")
    if named and (last is None or str(one.get("published") or "~") >= str(last.get("published") or "~")):
        changed[named] = one


def _items(archive: Archive, name: str) -> Iterator[tuple[str, Any]]:
    """(place, item), the items of a file that is one note or one page of a collection too."""
    with archive.open(name) as stream:
        for number, one in enumerate(items(stream, *ARRAYS, "first"), 1):
            where = f"{name}, item {number}"
            if isinstance(one, dict) and any(key in one for key in ARRAYS):  # the first page, within its collection
                for inner, part in enumerate((part for key in ARRAYS for part in dicts(one.get(key))), 1):
                    yield f"{where}.{inner}", part
            else:
                yield where, one


def notes(archive: Archive, name: str, changed: dict[str, dict[str, Any]] | None = None) -> Iterator[Found]:
    """What the items of a file become. changed: the last `Update` or `Delete` of an object, by its id."""
    mine: str | None = None
    for where, one in _items(archive, name):
        author = _author(one)
        mine = mine or (id_of(one.get("actor")) if isinstance(one, dict) else None) or author
        if isinstance(one, Broken):
            yield Omission(BROKEN, where, one.why)
        elif author is not None and author != mine:
            yield Omission(OTHERS, where, author)
        elif isinstance(one, dict):
            yield from _of(one, where, changed or {})
        elif not isinstance(one, str) or not one.startswith("http"):
            yield Omission(BROKEN, where, "it is no object")


def _author(one: Any) -> str | None:
    """Who says it; of a post within, who wrote that, because nobody brings what another one wrote."""
    if not isinstance(one, dict):
        return None
    note = one.get("object") if one.get("type") == "Create" else None
    inside = id_of(note.get("attributedTo")) if isinstance(note, dict) else None
    return inside or id_of(one.get("actor")) or id_of(one.get("attributedTo"))


def _of(one: dict[str, Any], where: str, changed: dict[str, dict[str, Any]]) -> Iterator[Found]:
    kind = one.get("type")
    if kind == "Announce":
        if (uri := id_of(one.get("object"))) is not None:
            yield Tie("repost", handles_of(uri), uri, place=where)
        else:
            yield Omission(BROKEN, where, "a repost without its object")
    elif kind in ("Create", *NOTES):
        note = one.get("object") if kind == "Create" else one
        if not isinstance(note, dict) or note.get("type") not in NOTES:
            yield Omission("items that are no posts", where, line(str(note))[:60])
            return
        last = changed.get(id_of(note) or "")
        if last is not None and last.get("type") == "Delete":
            yield Omission("posts that were deleted there", where, id_of(note) or "")
            return
        newer = last.get("object") if last is not None else None
        yield note_item({**note, **newer} if isinstance(newer, dict) else note, one, where)
    elif kind not in ("Update", "Delete"):
        yield Omission("items that are no posts", where, line(str(kind))[:60])


def note_item(note: dict[str, Any], around: dict[str, Any], where: str) -> Item | Omission:
    """A note as an item. around: the activity that it is the object of, or itself."""
    uri = id_of(note)
    if uri is None:
        return Omission(BROKEN, where, "a note without an id")
    audience = _audience(note, around)
    if audience is None:
        return Omission(PRIVATE, where, uri)
    html, lang = _content(note)
    if len(html) > MOST_HTML:
        return Omission(LONG, where, uri)
    said = [line(note.get("name")) if note.get("type") != "Note" else "", plain(text_of(html))]
    said += [f"- {line(o.get('name'))}" for key in ("oneOf", "anyOf") for o in dicts(note.get(key))]
    tags = [line(tag.get("name")) for tag in dicts(note.get("tag")) if tag.get("type") == "Hashtag"]
    parent = id_of(note.get("inReplyTo"))
    return Item(
        uri,
        "\n\n".join(part for part in said[:2] if part) + "".join("\n" + option for option in said[2:]),
        iso_ms(note.get("published")) if note.get("published") else iso_ms(around.get("published")),
        where,
        parent,
        lang,
        line(note.get("summary")) or None,
        audience,
        tuple(tags) if tags else None,
        tuple(_attachments(note)),
        _link(note, uri),
        parent if parent and parent.startswith("http") else None,
    )


def _audience(note: dict[str, Any], around: dict[str, Any]) -> Audience | None:
    """None where followers, or those named, alone could see it; so too where nothing is said. Where a post and what is
    around it say different things, fewer see it."""
    told = [_told(one) for one in (note, around) if one.get("to") or one.get("cc")]
    if not told or None in told:
        return None
    return "unlisted" if "unlisted" in told else "public"


def _told(one: dict[str, Any]) -> Audience | None:
    if EVERYBODY & set(texts(one.get("to"))):
        return "public"
    return "unlisted" if EVERYBODY & set(texts(one.get("cc"))) else None


def _content(note: dict[str, Any]) -> tuple[str, str | None]:
    """Its HTML, and its language where that is said."""
    html, by_lang = note.get("content"), note.get("contentMap")
    if not isinstance(by_lang, dict):
        return (html if isinstance(html, str) else ""), None
    known = {lang: text for lang, text in by_lang.items() if isinstance(text, str)}
    if not isinstance(html, str):
        html = next(iter(known.values()), "")
    langs = [lang for lang, text in known.items() if text == html]
    return html, langs[0] if len(langs) == 1 and langs[0] != "und" else None


def _attachments(note: dict[str, Any]) -> Iterator[Attachment]:
    for one in dicts(note.get("attachment")):
        found = one.get("url") or one.get("href")
        path = found if isinstance(found, str) else next((line(u.get("href")) for u in dicts(found)), "")
        if path:
            yield Attachment(plain(path).lstrip("/"), plain(one.get("name") or one.get("summary")))


def _link(note: dict[str, Any], uri: str) -> str | None:
    found = note.get("url")
    shown = found if isinstance(found, str) else next((line(u.get("href")) for u in dicts(found)), uri)
    return shown if shown.startswith("http") else None


def id_of(thing: Any) -> str | None:
    """The id of an object, or of a link to one; at most MOST_ID characters."""
    found = thing.get("id") if isinstance(thing, dict) else thing
    return plain(found) or None if isinstance(found, str) and len(found) <= MOST_ID else None


def handles_of(uri: str) -> tuple[str, ...]:
    """`name@host` of the author of a post, where its address tells."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return (uri,)
    way = [step for step in parts.path.split("/") if step]
    for before, name in zip(["", *way], way, strict=False):
        if before == "users" or name.startswith("@"):
            name = name.removeprefix("@")
            return (name if "@" in name else f"{name}@{parts.netloc}",)
    return (uri,)


def actor_fields(actor: dict[str, Any]) -> Iterator[ProfileLine]:
    """The profile of an actor."""
    yield ProfileLine("name", line(actor.get("name") or actor.get("preferredUsername")))
    yield ProfileLine("bio", plain(text_of(str(actor.get("summary") or "")[:MOST_HTML])))
    for one in dicts(actor.get("attachment")):
        if one.get("type") == "PropertyValue" and line(one.get("name")).lower() not in ("name", "bio"):
            yield ProfileLine(line(one.get("name")), line(text_of(str(one.get("value") or "")[:MOST_HTML])))


def actor_pictures(actor: dict[str, Any], place: str) -> Iterator[ProfilePicture]:
    """The pictures of an actor's profile."""
    for name, word in (("avatar", "icon"), ("banner", "image")):
        for one in islice(_attachments({"attachment": actor.get(word)}), 1):
            yield ProfilePicture(name, one, place)
