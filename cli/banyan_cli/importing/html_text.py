"""The HTML of Mastodon and its kin as plain text: paragraphs, line breaks, lists, and whole links."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BREAKS = {"p": "\n\n", "blockquote": "\n\n", "pre": "\n\n", "ul": "\n\n", "ol": "\n\n", "div": "\n\n"}
_BREAKS |= {f"h{n}": "\n\n" for n in range(1, 7)} | {"br": "\n", "li": "\n"}
_SILENT = {"script", "style", "head", "title"}
_MOST_TAGS = 100_000
"""Tags of one text: what is beyond is left out."""


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self._href: str | None = None
        self._from = self._silent = self._tags = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tags += 1
        if self._tags > _MOST_TAGS:
            return
        if tag in _SILENT:
            self._silent += 1
        elif tag == "a":
            named = dict(attrs)
            about = (named.get("class") or "").split()
            if not {"mention", "hashtag"} & set(about):
                self._href, self._from = named.get("href"), len(self.out)
        elif tag == "li":
            self.out.append("\n- ")
        elif tag in _BREAKS:
            self.out.append(_BREAKS[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "a" and self._href is not None:
            shown = "".join(self.out[self._from :]).strip()
            self.out[self._from :] = [_link(shown, self._href)]
            self._href = None
        elif tag in _BREAKS and tag not in ("br", "li"):
            self.out.append(_BREAKS[tag])

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.out.append(re.sub(r"\s+", " ", data))


def _link(shown: str, href: str) -> str:
    """The address. Servers shorten what is shown of it (`example.org/a…`); other words are kept before it."""
    if not href.startswith(("http://", "https://")):
        return shown or href
    bare = shown.removesuffix("…").removesuffix("...")
    if not bare or bare in href:
        return href
    return f"{shown} {href}"


def text_of(html: str) -> str:
    """Plain text. Never raises."""
    if "<" not in html and "&" not in html:
        return html.strip()
    parser = _Markup()
    parser.feed(html)
    parser.close()
    text = "".join(parser.out)
    text = re.sub(r"[ \t]*\n[ \t]*", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()
