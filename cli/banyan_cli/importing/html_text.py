"""The HTML of Mastodon and its kin as plain text: paragraphs, line breaks, lists, and whole links.

It takes time in proportion to the text, whatever the text is. Python's html.parser does not: 160 kB of `<!--` took it
24 s.
"""

from __future__ import annotations

import re
from html import unescape

_BREAKS = {"p": "\n\n", "blockquote": "\n\n", "pre": "\n\n", "ul": "\n\n", "ol": "\n\n", "div": "\n\n"}
_BREAKS |= {f"h{n}": "\n\n" for n in range(1, 7)} | {"br": "\n"}
_SILENT = {"script", "style", "head", "title"}
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,40})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_MOST_TAG = 4_096
"""Characters of one tag whose attributes are read."""


class _Markup:
    def __init__(self) -> None:
        self.out: list[str] = []
        self._href: str | None = None
        self._from = 0
        self._silent = ""

    def tag(self, inside: str) -> None:
        """What stands between `<` and `>`."""
        ends = inside.startswith("/")
        words = inside.lstrip("/").replace("/", " ", 1).split(None, 1) if len(inside) < _MOST_TAG else []
        name = words[0].lower() if words else ""
        if self._silent:
            self._silent = "" if ends and name == self._silent else self._silent
        elif name in _SILENT and not ends:
            self._silent = name
        elif name == "a":
            self._end_link() if ends else self._begin_link(inside)
        elif name == "li":
            self.out.append("" if ends else "\n- ")
        elif name in _BREAKS and not (ends and name == "br"):
            self.out.append(_BREAKS[name])

    def text(self, text: str) -> None:
        if not self._silent and text:
            self.out.append(re.sub(r"\s+", " ", unescaped(text)))

    def _begin_link(self, inside: str) -> None:
        named = {m[1].lower(): unescaped(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(inside)}
        if not {"mention", "hashtag"} & set(named.get("class", "").split()):
            self._href, self._from = named.get("href"), len(self.out)

    def _end_link(self) -> None:
        if self._href is not None:
            shown = "".join(self.out[self._from :]).strip()
            self.out[self._from :] = [_link(shown, self._href)]
            self._href = None


def _link(shown: str, href: str) -> str:
    """The address. Servers shorten what is shown of it (`example.org/a…`); other words are kept before it."""
    if not href.startswith(("http://", "https://")):
        return shown or href
    bare = shown.removesuffix("…").removesuffix("...")
    if not bare or bare in href:
        return href
    return f"{shown} {href}"


def unescaped(text: str) -> str:
    """The text with its character references resolved; as it is, where one is a number of thousands of digits."""
    try:
        return unescape(text)
    except ValueError:
        return text


def text_of(html: str) -> str:
    """Plain text. Never raises."""
    if "<" not in html and "&" not in html:  # no markup, so its lines are lines
        return _tidy(html)
    markup = _Markup()
    first, *pieces = html.split("<")
    markup.text(first)
    for piece in pieces:
        inside, closed, after = piece.partition(">")
        if closed and (inside[:1].isalpha() or inside[:1] in ("/", "!", "?")):
            markup.tag(inside)
            markup.text(after)
        else:
            markup.text(f"<{piece}")
    return _tidy("".join(markup.out))


def _tidy(text: str) -> str:
    """Without spaces at the ends of lines, and with at most one empty line between two."""
    lines = text.split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip(" \t") for line in lines)).strip()
