"""Content as it travels and is stored: CBOR [salt, content], which an operation names by its hash and size.

It may be erased for good without moving anything that is hashed or signed; so nothing that judges entries reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from banyan_crdt.codec import bstr, decode, encode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import H, PartHash, domain
from banyan_crdt.ops import Part
from banyan_crdt.shapes import between, plain_part
from banyan_crdt.single import Puts

_DOMAIN, _SALT = domain("part"), b"s" * 16
_OPENS, _ = between(encode(plain_part(_SALT, b"")), _SALT)
_AT_OPENS, _AT_CONTENT = slice(len(_OPENS)), len(_OPENS) + len(_SALT)
"""Where the salt ends."""


def _sizes(*of: int) -> dict[int, bytes]:
    """Of contents of these sizes: what stands between the salt and the content."""
    return {size: encode(plain_part(_SALT, bytes(size)))[_AT_CONTENT : -size or None] for size in of}


_USUAL = {_AT_CONTENT + len(head) + size: head for size, head in _sizes(*range(24, 256)).items()}
"""The same of most parts, with a content of 24 to 255 bytes, by the size of the part."""
_AT_HEAD, _FROM = slice(_AT_CONTENT, _AT_CONTENT + 2), slice(_AT_CONTENT + 2, None)
_STARTS = {head[0]: slice(_AT_CONTENT + len(head), None) for head in _sizes(*range(24), 24, 1 << 8, 1 << 16).values()}
"""Where the content stands, by the byte behind the salt."""


def make_part(salt: bytes, content: bytes) -> tuple[Part, bytes]:
    """The name of a piece of content, and the bytes that travel. `salt`: 16 random bytes, so that a hash of something
    guessable (a phone number) discloses nothing once the content is erased."""
    if len(salt) != len(_SALT):
        raise ValueError(f"the salt of a part has {len(_SALT)} bytes, and this one {len(salt)}")
    raw = _OPENS + salt + bstr(content)
    return Part(PartHash(H("part", raw)), len(raw)), raw


def are_parts(puts: Puts, raws: Sequence[Any]) -> bool:
    """Whether these are surely what the puts name, one for each: if not, `open_part` says of which. Raises Malformed
    where a put names what is no part."""
    if set(map(type, raws)) != {bytes} or tuple(map(len, raws)) != puts.sizes:
        return False
    sha256 = hashlib.sha256
    if tuple([sha256(_DOMAIN + raw).digest() for raw in raws]) != puts.parts:
        return False
    for raw in [raw for raw in raws if raw[_AT_HEAD] != _USUAL.get(len(raw)) or raw[_AT_OPENS] != _OPENS]:
        _content(raw)
    return True


def open_part(part: Part, raw: bytes) -> bytes:
    """The content; raises Malformed unless `raw` is exactly what `part` names."""
    if len(raw) != part.size or hashlib.sha256(_DOMAIN + raw).digest() != part.hash:
        raise Malformed(f"these {len(raw)} bytes are not the part of {part.size} bytes that the entry names")
    usual = raw[_AT_HEAD] == _USUAL.get(len(raw)) and raw[_AT_OPENS] == _OPENS
    return raw[_FROM] if usual else _content(raw)


def content_of(raw: bytes) -> bytes:
    """The content of a part's bytes that were checked before, taken out by position: the strict decoder takes 15 us,
    this 0.2."""
    return raw[_STARTS[raw[_AT_CONTENT]]]


def _content(raw: bytes) -> bytes:
    v = decode(raw, 1)
    if (
        type(v) is not list
        or len(v) != 2
        or type(v[0]) is not bytes
        or len(v[0]) != len(_SALT)
        or type(v[1]) is not bytes
    ):
        raise Malformed("a part is [salt of 16 bytes, content]")
    return bytes(v[1])
