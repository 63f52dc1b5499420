"""What people wrote, as HTML. The invariant: a browser shows it letter by letter, so that it can be compared with what
was signed. Markup is only added around it, and only the functions here make `Markup`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from markupsafe import Markup, escape

from banyan_schema.dates import minute

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
