"""Makes HTML out of elements, so that text cannot become markup: every string is escaped unless an element made it.

The invariant: only `element` and `page` return `Markup`, and what they are given as a string is text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from typing import NewType

Markup = NewType("Markup", bytes)
"""Escaped HTML, UTF-8."""
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What a page must not contain: control characters, and halves of characters."""
_VOID = frozenset({"meta", "link", "br", "hr", "img"})

STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--dim:#666b73;--page:#fbfbf9;--line:#dcdcd6;--link:#1a5fb4}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e3;--dim:#9aa0a8;--page:#16181b;--line:#33373d;--link:#8ab8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:42rem;padding:1rem;background:var(--page);color:var(--ink)}
body{font:1rem/1.5 system-ui,sans-serif}
a{color:var(--link)}
h1{font-size:1.4rem;margin:.5rem 0}
header,nav,footer{color:var(--dim);margin:1rem 0}
nav a{margin-right:.75rem}
article{border-top:1px solid var(--line);padding:.75rem 0;overflow-wrap:anywhere}
article article{margin-left:1rem}
.by{color:var(--dim);font-size:.9rem}
.text{white-space:pre-wrap;unicode-bidi:plaintext;margin:.25rem 0}
blockquote{border-left:3px solid var(--line);margin:.5rem 0;padding-left:.75rem}
figure{border:1px dashed var(--line);margin:.5rem 0;padding:.5rem;font-size:.9rem}
.banner{display:block;width:100%;max-height:15rem;object-fit:cover}
.avatar{display:block;width:6rem;height:6rem;object-fit:cover;border-radius:.5rem;margin:.5rem 0}
code{font-size:.75rem;color:var(--dim);overflow-wrap:anywhere}
.d1{margin-left:1rem}.d2{margin-left:2rem}.d3{margin-left:3rem}.d4{margin-left:4rem}.d5{margin-left:5rem}
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self' file:; media-src 'self' file:; "
    "base-uri 'none'; form-action 'none'"
)
"""No script, no request to anybody; pictures only from beside the page. The style is named by its hash, because a page
that is opened as a file has no origin of its own."""


def text(said: str) -> Markup:
    """Text as HTML."""
    return Markup(escape(_UNREADABLE.sub("\ufffd", said), quote=True).encode())


def element(tag: str, /, *inside: str | Markup, **attributes: str | None) -> Markup:
    """An element. `class_` is written as class; an attribute that is None is left out."""
    named = b"".join(
        b" " + key.rstrip("_").replace("_", "-").encode() + b'="' + text(value) + b'"'
        for key, value in attributes.items()
        if value is not None
    )
    opens = b"<" + tag.encode() + named + b">"
    if tag in _VOID:
        return Markup(opens)
    return Markup(opens + joined(*inside) + b"</" + tag.encode() + b">")


def joined(*inside: str | Markup) -> Markup:
    """One after another."""
    return Markup(b"".join(text(part) if isinstance(part, str) else part for part in inside))


def head(title: str, lang: str = "en") -> Markup:
    """The beginning of a page, up to its body."""
    metas = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        Markup(b"<style>" + STYLE.encode() + b"</style>"),
    )
    return Markup(b'<!doctype html>\n<html lang="' + text(lang) + b'">' + element("head", *metas) + b"<body>\n")


TAIL = Markup(b"</body></html>\n")
