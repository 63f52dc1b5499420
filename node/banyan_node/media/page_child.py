"""Reads what a page of the web says of itself, for a card under a link: the program of a process that may fail
(decoders.py), because pages are of strangers.

The page is standard input; one JSON object goes to standard output: texts on one line, with a most length and without
characters that are not seen or turn the direction around. Addresses stay as the page says them.
"""

import codecs
import json
import os
import resource
import sys
import unicodedata
from collections.abc import Mapping
from encodings import normalize_encoding
from encodings.aliases import aliases

from selectolax.lexbor import LexborHTMLParser

from banyan_node.media.decode_limits import MAX_PAGE
from banyan_node.media.media_child import limit

MEMORY = 512 << 20
PROCESSOR_S, NICE = 2, 10
"""A page takes some 10 ms; one of tags that are never closed takes minutes, because each asks what is open."""
BEGINNING = 1_024
"""A page says in its first bytes how it is encoded (HTML standard, 13.2.3.2)."""
MOST_METAS = 400
LONG, SHORT, ADDRESS = 1_000, 300, 2_048
"""Characters of a description, of the other texts, and of an address."""
JOINERS = frozenset("\u200c\u200d")
"""Not seen, and needed in emoji and in some scripts."""
ENCODINGS = frozenset(
    ("utf_8", "utf_16_le", "utf_16_be", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257",
     "cp1258", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6", "iso8859_7", "iso8859_8", "iso8859_10",
     "iso8859_13", "iso8859_14", "iso8859_15", "iso8859_16", "koi8_r", "koi8_u", "mac_roman", "cp874", "tis_620", "gbk",
     "gb18030", "big5", "euc_kr", "euc_jp", "shift_jis", "iso2022_jp")
)  # fmt: skip
"""As Python names them; others are no text, or read other bytes as code."""
_ALSO = {"latin_1": "cp1252", "ascii": "cp1252", "gb2312": "gbk", "utf_16": "utf_16_le", "cp932": "shift_jis",
         "x_sjis": "shift_jis", "cp949": "euc_kr"}  # fmt: skip
"""What browsers read instead."""
_MARKS = ((codecs.BOM_UTF8, "utf_8"), (codecs.BOM_UTF16_LE, "utf_16_le"), (codecs.BOM_UTF16_BE, "utf_16_be"))
NAMES: Mapping[str, tuple[str, ...]] = {
    "title": ("og:title", "twitter:title"),
    "description": ("og:description", "twitter:description", "description"),
    "image": ("og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src"),
    "image_description": ("og:image:alt", "twitter:image:alt"),
    "site": ("og:site_name", "application-name"),
    "author": ("author", "article:author", "parsely-author"),
    "published": ("article:published_time", "og:article:published_time"),
}
"""Which `meta` says what, the best first."""
_MOST = {"description": LONG, "image": ADDRESS}


def main(word: str) -> None:
    """word: the charset of the answer's head, or -."""
    limit(MEMORY)
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    os.nice(NICE)
    with os.fdopen(0, "rb") as file:
        raw = file.read(MAX_PAGE)
    sys.stdout.write(json.dumps(said(raw, word)))


def said(raw: bytes, charset: str = "-") -> dict[str, str]:
    """What the page says, by the names of NAMES and `lang`; empty where it says nothing."""
    tree = LexborHTMLParser(decoded(raw, charset))
    metas: dict[str, str] = {}
    for node in tree.css("meta")[:MOST_METAS]:
        content = node.attributes.get("content")
        for name in (node.attributes.get("property"), node.attributes.get("name")):
            if name and content and content.strip():
                metas.setdefault(name.strip().lower(), content)
    found = {}
    for what, names in NAMES.items():
        text = next((metas[name] for name in names if name in metas), "")
        found[what] = plain(text, _MOST.get(what, SHORT))
    if not found["title"]:
        title = tree.css_first("title")
        found["title"] = "" if title is None else plain(title.text(), SHORT)
    if found["author"].lower().startswith(("http:", "https:")):
        found["author"] = ""  # some give an address where a name belongs
    root = tree.css_first("html")
    found["lang"] = "" if root is None else plain(root.attributes.get("lang") or "", 35)
    return found


def plain(text: str, most: int) -> str:
    """On one line, without characters that are not seen."""
    some = text[: 16 * most]
    seen = "".join(one for one in some if one.isspace() or one in JOINERS or unicodedata.category(one)[0] != "C")
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def decoded(raw: bytes, charset: str) -> str:
    """The text of a page: by its mark, else the head of the answer, else what it says in its beginning, else UTF-8."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(name, "replace")
    name = encoding(charset) or _said_within(raw[:BEGINNING]) or "utf_8"
    return raw.decode(name, "replace")


def encoding(label: str) -> str | None:
    """The encoding that a label means; None if it is none of a page."""
    word = label.strip().strip("\"'")
    if not word.isascii():
        return None
    name = normalize_encoding(word).lower()  # a lookup would load whatever module has that name
    name = aliases.get(name, name)
    name = _ALSO.get(name, name)
    return name if name in ENCODINGS else None


def _said_within(begin: bytes) -> str | None:
    """Of a `meta`, which is ASCII whatever the rest is."""
    for node in LexborHTMLParser(begin.decode("latin-1")).css("meta"):
        label = node.attributes.get("charset")
        if not label and (node.attributes.get("http-equiv") or "").lower() == "content-type":
            label = (node.attributes.get("content") or "").lower().partition("charset=")[2]
        if label and (found := encoding(label)):
            return "utf_8" if found.startswith("utf_16") else found  # as the standard says: it was read as ASCII
    return None
