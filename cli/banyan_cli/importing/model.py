"""What the readers of archives find: items that become posts, ties to people and posts, fields and pictures of a
profile, and what is left out and why. A reader is a function that finds these in order, and finds the same each time it
is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

Audience: TypeAlias = Literal["public", "unlisted"]
TieKind: TypeAlias = Literal["follow", "block", "mute", "member", "bookmark", "react", "repost"]


class Attachment(NamedTuple):
    """A picture, a film or a sound. path: in the archive. description: empty if there is none."""

    path: str
    description: str = ""


class Item(NamedTuple):
    """A post to be. id: at its service. parent: the id of the item that it answers. tags: None: those in the text.
    link: where it can be seen at its service. answers: where that can be seen which it answers, if it is not in the
    archive. place: where it stands in the archive. caption: words of a post without text, if its pictures come."""

    id: str
    text: str
    time_ms: int | None
    place: str
    parent: str | None = None
    lang: str | None = None
    warning: str | None = None
    audience: Audience = "public"
    tags: tuple[str, ...] | None = None
    media: tuple[Attachment, ...] = ()
    link: str | None = None
    answers: str | None = None
    caption: str = ""


class Tie(NamedTuple):
    """who: names of one person at the service, the best known first; none: who moves in. item: a post of that person.
    title: of the list that the person is on."""

    kind: TieKind
    who: tuple[str, ...] = ()
    item: str | None = None
    title: str | None = None
    emoji: str | None = None
    place: str = ""


class ProfileLine(NamedTuple):
    """A field of the profile."""

    name: str
    value: str


class ProfilePicture(NamedTuple):
    """A picture of the profile. name: `avatar` or `banner`. place: which file of the archive tells of it."""

    name: str
    item: Attachment
    place: str


class Omission(NamedTuple):
    """Something that does not come. why: the same words for all of its kind. place, name: which one."""

    why: str
    place: str
    name: str = ""


Found: TypeAlias = Item | Tie | ProfileLine | ProfilePicture | Omission


@dataclass(frozen=True)
class ArchiveContents:
    """service: a part of the keys of posts. read: finds all in order, anew at each call. notes: what to know of this
    archive."""

    service: str
    read: Callable[[], Iterator[Found]]
    notes: tuple[str, ...] = ()


MOST_ID = 1_024
"""Characters of an id."""
PRIVATE = "posts that only followers or the people named could see"
REPOSTS = "reposts of other people's posts"
BROKEN = "items that cannot be read"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


def plain(text: Any) -> str:
    """A text without what is no text: control characters, halves of surrogate pairs. Empty if it is no string."""
    if not isinstance(text, str):
        return ""
    clean: str = _CONTROLS.sub(_line_or_nothing, text.replace("\r\n", "\n"))
    return clean if clean.isascii() else clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _line_or_nothing(found: re.Match[str]) -> str:
    return "\n" if found[0] in "\r\u2028\u2029" else ""


def line(text: Any) -> str:
    """As `plain`, on one line."""
    return " ".join(plain(text).split())


def iso_ms(text: Any) -> int | None:
    """Milliseconds since 1970 of a time in ISO 8601 (UTC where it does not say); None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        when = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
    except ValueError:
        return None
    return ms(when)


def ms(when: datetime) -> int | None:
    """Milliseconds since 1970, UTC where it does not say."""
    try:
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def seconds_ms(value: Any) -> int | None:
    """Milliseconds of a number of seconds; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e13:
        return None
    return int(value * 1000)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; an object alone is a list of one."""
    some = value if isinstance(value, list) else [value]
    return [one for one in some if isinstance(one, dict)]


def texts(value: Any) -> list[str]:
    """The strings of a list; a string alone is a list of one."""
    some = value if isinstance(value, list) else [value]
    return [one for one in some if isinstance(one, str)]


def any_ms(text: str) -> int | None:
    """Milliseconds of a time as people's tables have it: seconds or milliseconds since 1970, or ISO 8601."""
    try:
        number = float(text)
    except ValueError:
        return iso_ms(text)
    return int(number) if 1e11 <= abs(number) < 1e16 else seconds_ms(number)
