"""A part is content as it is sent and stored: CBOR [salt, content]. An operation names it by hash and size.

A part may be erased for good, and nothing that is hashed or signed changes. So nothing that judges entries reads it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from banyan_crdt.codec import bstr, decode
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import H, PartHash
from banyan_crdt.ops import Part
from banyan_crdt.single import Puts

_SALTED = b"\x82\x50"
_HEADS = {20 + size: b"\x58" + bytes((size,)) for size in range(24, 256)}
"""The head of the content in most parts, by the part's size: a content of 24 to 255 bytes after a salt of 16."""


def make_part(salt: bytes, content: bytes) -> tuple[Part, bytes]:
    """The name of a piece of content, and the bytes of its part. `salt`: 16 random bytes. Without a salt the hash of
    a guessable content (a phone number) would disclose it after it is erased."""
    raw = b"\x82" + bstr(salt) + bstr(content)
    return Part(PartHash(H("part", raw)), len(raw)), raw


def are_parts(puts: Puts, raws: Sequence[Any]) -> bool:
    """Whether these bytes are surely the parts that the puts name, one for each. If False, ask `open_part` for each
    one. Raises Malformed if the bytes have the hash that a put names but are no part."""
    if set(map(type, raws)) != {bytes} or tuple(map(len, raws)) != puts.sizes:
        return False
    sha256 = hashlib.sha256
    if tuple([sha256(b"banyan/1/part\0" + raw).digest() for raw in raws]) != puts.parts:
        return False
    for raw in [raw for raw in raws if raw[18:20] != _HEADS.get(len(raw)) or raw[:2] != _SALTED]:
        _content(raw)
    return True


def open_part(part: Part, raw: bytes) -> bytes:
    """The content without its salt. Raises Malformed unless `raw` is exactly what `part` names."""
    if len(raw) != part.size or hashlib.sha256(b"banyan/1/part\0" + raw).digest() != part.hash:
        raise Malformed(f"these {len(raw)} bytes are not the part of {part.size} bytes that the entry names")
    usual = raw[18:20] == _HEADS.get(len(raw)) and raw[:2] == _SALTED
    return raw[20:] if usual else _content(raw)


def content_of(raw: bytes) -> bytes:
    """The content of a part's bytes that were checked before. It is read by position: 0.2 us, where the strict
    decoder takes 15."""
    size = raw[18]
    return raw[20:] if size == 0x58 else raw[19:] if size < 0x58 else raw[19 + (1 << (size - 0x58)) :]


def _content(raw: bytes) -> bytes:
    v = decode(raw, 1)
    if type(v) is not list or len(v) != 2 or type(v[0]) is not bytes or len(v[0]) != 16 or type(v[1]) is not bytes:
        raise Malformed("a part is [salt of 16 bytes, content]")
    return bytes(v[1])
