"""The text of a post as HTML. Texts are of strangers: everything is escaped, and a link leads to http or https only.

What is a tag, a mention or a link is decided in one pass over the text, so nothing that was made is read again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from html import escape
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_LINK = r"(?P<link>https?://[^\s<>\"'`\\^{|}\x00-\x20]{1,2000})"
_MENTION = r"(?<![\w@/.])@(?P<mention>did:banyan:z[1-9A-HJ-NP-Za-km-z]{20,60}|\w(?:[\w.\-]*\w)?(?:@[\w.\-]*\w)?)"
_TAG = r"(?<![\w#&/])#(?P<tag>[^\s#@<>\"'&]{1,300})"
_FINDS = re.compile("|".join((_LINK, _MENTION, _TAG)), re.IGNORECASE)
_SHOWN = 30
"""Characters of a link that are shown after its host; the rest is invisible, as with Mastodon."""
_PAIRS = {")": "(", "]": "["}


class MentionTarget(NamedTuple):
    """Where a mention leads. name: behind the @."""

    url: str
    name: str


def mentions_in(text: str) -> list[str]:
    """What a text names with @, each once: a name, a handle, or a DID."""
    found = (match["mention"] for match in _FINDS.finditer(text))
    return list(dict.fromkeys(name for name in found if name))


def first_link(text: str) -> str:
    """The first address of http or https in a text; empty if there is none."""
    for match in _FINDS.finditer(text):
        link = _trimmed(match["link"] or "")
        if _link(link):
            return link
    return ""


def html(text: str, mentions: Mapping[str, MentionTarget], url: str) -> str:
    """Paragraphs. mentions: by what stands behind the @, folded by `folded`. url: of this server."""
    out, at = list[str](), 0
    for match in _FINDS.finditer(text):
        if match.start() < at:
            continue
        made, end = _made(match, mentions, url)
        if made:
            out += [_plain(text[at : match.start()]), made]
            at = end
    out.append(_plain(text[at:]))
    return "".join(f"<p>{part}</p>" for part in re.split(r"(?:<br />){2,}", "".join(out)) if part)


def folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def tag_url(url: str, tag: str) -> str:
    return f"{url}/tags/{quote(tag)}"


def _plain(text: str) -> str:
    return escape(text).replace("\r\n", "\n").replace("\n", "<br />")


def _made(match: re.Match[str], mentions: Mapping[str, MentionTarget], url: str) -> tuple[str, int]:
    """HTML, and where the text goes on; empty if it is nothing after all."""
    if link := match["link"]:
        link = _trimmed(link)
        return _link(link), match.start("link") + len(link)
    if name := match["mention"]:
        place = mentions.get(folded(name))
        if place is None:
            return "", 0
        where, shown = escape(place.url), escape(place.name)
        inner = f'<a href="{where}" class="u-url mention">@<span>{shown}</span></a>'
        return f'<span class="h-card" translate="no">{inner}</span>', match.end("mention")
    tag = _tag(match["tag"])
    if not tag or tag.isdigit():
        return "", 0
    where, shown = escape(tag_url(url, tag)), escape(tag)
    return f'<a href="{where}" class="mention hashtag" rel="tag">#<span>{shown}</span></a>', match.start("tag") + len(
        tag
    )


def _tag(text: str) -> str:
    """The beginning of it that is a tag: letters with their marks, digits and _."""
    for at, one in enumerate(text):
        if not (one.isalnum() or one == "_" or unicodedata.category(one)[0] == "M"):
            return text[:at]
    return text


def _trimmed(link: str) -> str:
    """Without what ends the sentence and not the link."""
    while link and (
        link[-1] in ".,;:!?*_~" or (link[-1] in _PAIRS and link.count(link[-1]) > link.count(_PAIRS[link[-1]]))
    ):
        link = link[:-1]
    return link


def _link(link: str) -> str:
    try:
        parts = urlsplit(link)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme.lower() not in ("http", "https"):
        return ""
    scheme, rest = link[: link.index("//") + 2], link[link.index("//") + 2 :]
    rest, hidden = rest[:_SHOWN], rest[_SHOWN:]
    return (
        f'<a href="{escape(link)}" rel="nofollow noopener noreferrer" translate="no" target="_blank">'
        f'<span class="invisible">{escape(scheme)}</span>'
        f'<span class="{"ellipsis" if hidden else ""}">{escape(rest)}</span>'
        f'<span class="invisible">{escape(hidden)}</span></a>'
    )
