"""Texts, paths and times on pages. What people wrote becomes HTML that a browser shows letter by letter, so that it can
be compared with what was signed. Markup is only added around it, and only the functions here make `Markup`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

from banyan_schema.dates import minute, moment
from banyan_web.endpoint import DoorContext
from banyan_web.mastodon.entities.statuses import uri_of
from banyan_web.refusals import HttpRefusal

_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What a page must not contain; each becomes U+FFFD. The script of the page does the same before it compares."""
_LINK = re.compile(r"https?://[^\s<>\"'`\\^{|}]{1,2000}|(?<![\w/&#])#\w{1,128}")
_CLOSING = ".,;:!?…)]»”’"
_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def readable(said: str) -> str:
    """Text without what a page must not contain. Carriage returns before a new line are left out, as browsers do."""
    return _UNREADABLE.sub("\ufffd", said.replace("\r\n", "\n"))


def linked(said: str) -> Markup:
    """Text with its addresses and tags as links."""
    said, parts, at = readable(said), list[Markup](), 0
    for found in _LINK.finditer(said):
        word = found[0].rstrip(_CLOSING)
        if word.startswith("#"):
            if word[1:].isdigit():
                continue
            where, rel = f"/tags/{quote(word[1:], safe='')}", ""
        else:
            where, rel = word, ' rel="nofollow ugc noopener noreferrer"'
        parts += [escape(said[at : found.start()]), Markup(f'<a href="{escape(where)}"{rel}>{escape(word)}</a>')]
        at = found.start() + len(word)
    return Markup("").join([*parts, escape(said[at:])])


def colour_of(blurhash: str | None) -> str:
    """The mean colour of a blurhash, as #rrggbb; a grey one for what is no blurhash."""
    value = 0
    for letter in (blurhash or "")[2:6]:
        if (digit := _BASE83.find(letter)) < 0:
            return "#808080"
        value = value * 83 + digit
    return f"#{value:06x}" if len(blurhash or "") >= 6 and value < 1 << 24 else "#808080"


def day(ms: int) -> str:
    """A time as a reader without scripts sees it."""
    return f"{minute(ms)} UTC"


def safe_site(address: str | None) -> str | None:
    """An address that may be a link."""
    return address if address and re.fullmatch(r"https?://[^\s<>\"]{1,2000}", address) else None


def tail(did: str) -> str:
    """An account in the path of a page: `/@z...`."""
    return did.removeprefix("did:banyan:")


def account_path(did: str) -> str:
    return f"/@{tail(did)}"


def post_path(uri: str) -> str:
    account, _, key = uri.partition("/")
    return f"{account_path(account)}/{key}"


def initial(name: str) -> str:
    """The first letter of a name, for a picture that is not there."""
    return next((letter for letter in readable(name) if letter.isalnum()), "·")


def hue(who: str) -> int:
    """One of eight colours, always the same of an account."""
    return sum(who.encode()[-8:]) % 8


def loved(reactions: list[str]) -> bool:
    """Whether a heart is among them, of whichever kind."""
    return any(emoji.startswith("\u2764") for emoji in reactions)


def size(count: int) -> str:
    """Bytes for people: 1.2 MB."""
    for unit, many in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= many:
            return f"{count / many:.1f} {unit}"
    return f"{count} B"


def clock(ms: int) -> str:
    """A place in a film: 1:02:03."""
    hours, rest = divmod(max(0, ms) // 1000, 3_600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def media_kind(item: dict[str, Any]) -> str:
    """How an item is shown: picture, film, sound, captions or file."""
    family = str(item["type"]).partition("/")[0]
    if item["type"] == "text/vtt":
        return "captions"
    return {"image": "picture", "video": "film", "audio": "sound"}.get(family, "file")


# -- whom and what a path names

_TAIL = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{40,44}")
_KEY = re.compile(r"[0-9a-f]{32}")
_NOBODY = "No account of this name is known here."


async def did_of(web: DoorContext, name: str) -> str:
    """The account of a name behind `/@`: a DID, the end of one, a confirmed handle (`an`, `an@other.example`), or a
    name that is hosted here. Raises HttpRefusal."""
    name = name.removeprefix("acct:").strip()
    if name.startswith("did:banyan:") or _TAIL.fullmatch(name.partition("@")[0]):
        return "did:banyan:" + name.removeprefix("did:banyan:").partition("@")[0]
    user, _, domain = name.partition("@")
    try:
        found = await web.call("handle.find", handle=f"{user}.{domain or web.server.domain}")
    except HttpRefusal:
        found = {"accounts": []}
    for one in found["accounts"]:
        if one["platforms"]:
            return str(one["account"])
    if domain in ("", web.server.domain) and user:
        named = await web.call("find", text=user)
        for one in named["accounts"]:
            if user in (one["name"], one["account"]) or len(named["accounts"]) == 1:
                return str(one["account"])
    raise HttpRefusal(404, _NOBODY)


async def uri_in(web: DoorContext, did: str, key: str) -> str:
    """The post behind `/@NAME/`: its key, or the id that apps give it. Raises HttpRefusal."""
    if _KEY.fullmatch(key):
        return f"{did}/{key}"
    uri = await uri_of(web, key)
    if uri.partition("/")[0] != did:
        raise HttpRefusal(404, "That post is of another account.")
    return uri


def thing_in(name: str, key: str) -> str:
    """A group, channel or post whose account and key stand in the path. Raises HttpRefusal."""
    tail = name.removeprefix("@").removeprefix("did:banyan:")
    if not _TAIL.fullmatch(tail) or not _KEY.fullmatch(key):
        raise HttpRefusal(404, "Nothing has that address.")
    return f"did:banyan:{tail}/{key}"


# -- times of events, in the clock of their place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(512)
def zone_of(name: str) -> ZoneInfo | None:
    """A zone of IANA's list, or None."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def at(ms: int, zone: str) -> datetime:
    """A time in a zone; in UTC if this machine does not know the zone."""
    return moment(ms, zone_of(zone) or UTC)


def in_zone(ms: int, zone: str) -> str:
    return f"{at(ms, zone):%Y-%m-%d %H:%M}"


def for_input(ms: int, zone: str) -> str:
    """As a field for date and time has it."""
    return f"{at(ms, zone):%Y-%m-%dT%H:%M}"


def month(ms: int, zone: str) -> str:
    return f"{at(ms, zone):%m/%Y}"


def day_of_month(ms: int, zone: str) -> str:
    return str(at(ms, zone).day)


def from_input(said: str, zone: str | int) -> int:
    """Milliseconds since 1970 of what a field for date and time says. zone: a name of IANA's list, or minutes that its
    clock is behind UTC, as JavaScript counts. Raises HttpRefusal."""
    try:
        moment = datetime.strptime(said[:16], "%Y-%m-%dT%H:%M")
    except ValueError:
        raise HttpRefusal(422, f"'{said[:40]}' is no time such as 2031-01-31T08:00.") from None
    if isinstance(zone, int):
        return round((moment.replace(tzinfo=UTC) - _EPOCH).total_seconds() + 60 * zone) * 1000
    known = zone_of(zone)
    if known is None:
        raise HttpRefusal(422, f"'{zone[:60]}' is no time zone such as Asia/Ho_Chi_Minh.")
    return round((moment.replace(tzinfo=known) - _EPOCH).total_seconds()) * 1000
