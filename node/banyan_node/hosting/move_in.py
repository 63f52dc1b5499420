"""What a person brings from another service, as content of an account here.

The key of a post is made from the service and the id that the post has there. So the same post of a newer archive has
the same key, on every device of the account, and one that was deleted here stays deleted.

A text that is longer than a post becomes a thread: each part answers the one before.
"""

import unicodedata
from collections.abc import Iterable
from typing import Literal, NamedTuple

from banyan_crdt.codec import encode
from banyan_crdt.ids import CellKey, H
from banyan_schema.media import MAX_DESCRIPTION, Media
from banyan_schema.social import MAX_LANG, MAX_TEXT, Audience, Post, ReplyTo, Target, post_key, tags_in
from banyan_schema.social.post import MAX_TAGS, MAX_WARNING

MOST_TEXT = 1 << 20
"""Bytes of UTF-8 of a text that is brought: a thread of some 33 posts. Longer ones are files, not posts."""
MARKS = 64
"""So many marks belong to one letter at most. Normalising takes time with the square of how many follow one another:
160,000 take 25 s, in which a node does nothing else."""
SHORT = 4_096
"""Characters of a text that is normalised whatever its marks."""
SHORTEST = 16
"""Bytes of a description: one of which less fits is left out."""
Moved = Literal["came", "here", "added", "deleted", "refused"]
"""came: written now. here: it was here. added: it was here without pictures, and has them now. deleted: it was here,
and was deleted here. refused: it cannot come."""
DESCRIPTIONS = 16 << 10
"""Bytes of UTF-8 of all descriptions of one post: with the longest text, and as many pictures as it may have, they
still fit into an entry."""


class PostSettings(NamedTuple):
    """What is said around the text of a post. tags: None: those that the text names."""

    lang: str | None
    warning: str | None
    audience: Audience
    tags: tuple[str, ...] | None


def moved_key(salt: bytes, service: str, item: str, part: int = 0) -> CellKey:
    """The key of the post that `item` of `service` becomes here, or of a later part of it. salt: the account's."""
    return post_key(salt, H("moved post", encode([service.encode(), item.encode(), part]))[:16])


def list_id(service: str, title: str) -> bytes:
    """The id of the list that a list of this title becomes, 16 bytes."""
    return H("moved list", encode([service.encode(), title.encode()]))[:16]


def posts_of(
    keys: Iterable[CellKey],
    me: Target,
    text: list[str],
    reply: ReplyTo | None,
    created_ms: int | None,
    words: PostSettings,
    media: tuple[Media, ...] = (),
) -> list[tuple[CellKey, Post]]:
    """The posts that one item becomes, each with its key. me: the first of them, which has the media."""
    lang = words.lang if words.lang and len(words.lang.encode()) <= MAX_LANG else None
    warning = shorten(unicodedata.normalize("NFC", words.warning or "").strip(), MAX_WARNING) or None
    out: list[tuple[CellKey, Post]] = []
    for number, (key, part) in enumerate(zip(keys, text, strict=True)):
        tags = tags_in(part) if words.tags is None or number else known_tags(words.tags)
        at = None if created_ms is None else created_ms + number
        shown = () if number else media
        out.append((key, Post(part, reply, None, lang, at, warning, words.audience, tags, media=shown)))
        reply = ReplyTo(me if reply is None else reply.root, Target(me.account, key))
    return out


def known_tags(given: Iterable[str]) -> tuple[str, ...]:
    """Those that are tags here, each once, without `#`."""
    folded = (unicodedata.normalize("NFC", tag.strip().removeprefix("#")) for tag in given)
    return tuple(dict.fromkeys(tag for tag in folded if tags_in(f"#{tag}") == (tag,)))[:MAX_TAGS]


def shorten(text: str, most: int) -> str:
    """The text, or its beginning and an ellipsis, in at most so many bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode("utf-8", "ignore").rstrip() + "…"


def described(media: Iterable[Media]) -> tuple[Media, ...]:
    """The same, with descriptions that fit into a post."""
    out, room = list[Media](), DESCRIPTIONS
    for item in media:
        told = unicodedata.normalize("NFC", (item.description or "")[:MAX_DESCRIPTION]).strip()
        told = shorten(told, min(MAX_DESCRIPTION, room)) if room > SHORTEST else ""
        room -= len(told.encode())
        out.append(item._replace(description=told or None))
    return tuple(out)


def unfit(text: str, alone: bool = True) -> str | None:
    """Why a text cannot come, or None. alone: the post shows nothing beside it."""
    if alone and not text.strip():
        return "it has no text"
    if len(text.encode()) > MOST_TEXT:
        return f"its text has more than {MOST_TEXT:,} bytes"
    return f"it has more than {MARKS} marks on one letter" if _overmarked(text) else None


def _overmarked(text: str) -> bool:
    if len(text) <= SHORT or text.isascii():
        return False
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MARKS:
            return True
    return False


def split(text: str, most: int = MAX_TEXT) -> list[str]:
    """The text in parts of at most so many bytes of UTF-8: cut between paragraphs, else lines, sentences, words, and at
    worst between characters, but never between a letter and its marks."""
    out = []
    while len(raw := text.encode()) > most:
        head = raw[:most].decode("utf-8", "ignore")
        at = _cut(head, text)
        out.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [part for part in [*out, text] if part]


def _cut(head: str, text: str) -> int:
    """How many characters of the text the first part has. head: all that fit."""
    for mark in ("\n\n", "\n", ". ", "? ", "! ", " "):
        at = head.rfind(mark, len(head) // 2)
        if at > 0:
            return at + len(mark)
    ends = range(len(head), max(1, len(head) - MARKS), -1)
    return next(
        (at for at in ends if not unicodedata.combining(text[at]) and text[at] not in "\u200d\ufe0f"), len(head)
    )
