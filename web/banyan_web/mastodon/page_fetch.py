"""Fetches what a card is made of: a page, and the picture that it names. Both are of strangers.

Each address is checked before it is asked, those of redirects too (outbound_http.py); what comes is bounded in bytes,
also when it is decompressed, and in seconds; and it is read by processes of their own (`linked.page`,
`linked.picture`).
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import anyio
from anyio import to_thread

from banyan_node.media.decode_limits import MAX_PAGE
from banyan_schema.dates import iso
from banyan_web.endpoint import DoorContext
from banyan_web.outbound_http import MAX_URL, OutboundAnswer, OutboundHttp, Unreachable
from banyan_web.refusals import HttpRefusal

PAGE_S, PICTURE_S = 5.0, 5.0
"""For a page with all its redirects, and for its picture."""
HOPS = 4
PICTURE_BYTES = 4 << 20
SIDE = 480
"""The longer side of a picture of a card, pixels."""
_HTML = ("text/html", "application/xhtml+xml")
_MOVED = (301, 302, 303, 307, 308)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})")
_EMPTY: dict[str, Any] = {"type": "link", "html": "", "embed_url": "", "author_url": "", "authors": []}


class FetchedCard(NamedTuple):
    """said: fields of the PreviewCard entity. raw, kind: of its picture, if it has one."""

    said: dict[str, Any]
    raw: bytes | None
    kind: str | None


async def fetched(web: DoorContext, outside: OutboundHttp, url: str) -> FetchedCard | None:
    """The card of a page; None if it has none."""
    found = await _answer(web, outside, url, "text/html,application/xhtml+xml", MAX_PAGE, PAGE_S)
    if found is None or _kind(found.answer) not in _HTML:
        return None
    page = _decompressed(found.answer)
    if page is None:
        return None
    charset = _CHARSET.search(found.answer.headers.get("content-type", ""))
    named = None if charset is None else charset[1]
    try:
        said = await _with_file(web, page, lambda path: web.call("linked.page", path=path, charset=named))
    except HttpRefusal:
        return None
    if not said["title"]:
        return None
    picture = await _picture(web, outside, absolute(found.url, said["image"]) if said["image"] else "")
    parts = urlsplit(found.url)
    about = {
        **_EMPTY,
        "url": url,
        "title": said["title"],
        "description": said["description"],
        "author_name": said["author"],
        "provider_name": said["site"],
        "provider_url": f"{parts.scheme}://{parts.netloc}",
        "language": said["lang"] or None,
        "image_description": said["image_description"],
        "published_at": _time(said["published"]),
        "width": 0 if picture is None else picture["width"] or 0,
        "height": 0 if picture is None else picture["height"] or 0,
        "blurhash": None if picture is None else picture["blurhash"],
    }
    return FetchedCard(
        about, None if picture is None else b64decode(picture["data"]), None if picture is None else picture["type"]
    )


class _FetchedPage(NamedTuple):
    """url: behind all redirects."""

    url: str
    answer: OutboundAnswer


async def _answer(
    web: DoorContext, outside: OutboundHttp, url: str, accept: str, most: int, seconds: float
) -> _FetchedPage | None:
    """The answer 200 of an address, or of those to which it leads."""
    headers = {"accept": accept, "accept-encoding": "gzip", "user-agent": f"banyan (card of a link; +{web.url})"}
    with anyio.move_on_after(seconds):
        for _ in range(HOPS):
            try:
                answer = await outside.ask("GET", url, headers, most=most, seconds=seconds)
            except Unreachable:
                return None
            to = answer.headers.get("location")
            if answer.status not in _MOVED or to is None:
                return _FetchedPage(url, answer) if answer.status == 200 else None
            url = absolute(url, to)
            if not url:
                return None
    return None


def absolute(base: str, to: str) -> str:
    """An absolute address of http or https, in ASCII; empty if it is none."""
    try:
        parts = urlsplit(urljoin(base, to.strip()))
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except (ValueError, UnicodeError):
        return ""
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    at = f"[{host}]" if ":" in host else host
    where = urlunsplit((parts.scheme, at if port is None else f"{at}:{port}", parts.path, parts.query, ""))
    return _ascii(where)


def _ascii(url: str) -> str:
    """A URL with its other letters and spaces in %; empty if it is too long. What is in % already stays."""
    out = quote(url, safe="!#$%&'()*+,/:;=?@[]", errors="replace")
    return out if len(out) <= MAX_URL else ""


def _kind(answer: OutboundAnswer) -> str:
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _decompressed(answer: OutboundAnswer) -> bytes | None:
    """At most MAX_PAGE bytes of the page; None if it cannot be read."""
    encoded = str(answer.headers.get("content-encoding", "")).strip().lower()
    if encoded in ("", "identity"):
        return answer.body
    if encoded not in ("gzip", "x-gzip"):
        return None
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(answer.body, MAX_PAGE)
    except zlib.error:
        return None


async def _picture(web: DoorContext, outside: OutboundHttp, url: str) -> dict[str, Any] | None:
    if not url:
        return None
    found = await _answer(web, outside, url, "image/webp,image/jpeg,image/png,image/gif", PICTURE_BYTES, PICTURE_S)
    if found is None or found.answer.headers.get("content-encoding") or len(found.answer.body) >= PICTURE_BYTES:
        return None
    try:
        return await _with_file(web, found.answer.body, lambda path: web.call("linked.picture", path=path, side=SIDE))
    except HttpRefusal:
        return None


async def _with_file(web: DoorContext, raw: bytes, do: Any) -> dict[str, Any]:
    """What `do` makes of a private file with these bytes, which is gone then."""
    path = await to_thread.run_sync(web.files.written, raw)
    try:
        found: dict[str, Any] = await do(str(path))
        return found
    finally:
        path.unlink(missing_ok=True)


def _time(said: str) -> str | None:
    try:
        at = datetime.fromisoformat(said)
        return iso(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000))
    except (ValueError, OverflowError, OSError):
        return None
