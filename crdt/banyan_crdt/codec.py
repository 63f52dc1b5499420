"""Strict deterministic CBOR: a value that is signed has exactly one encoding.

Allowed are unsigned integers below 2^64, byte strings, arrays and null, in their shortest forms, with nothing after
the value (RFC 8949, 4.2.1). A general decoder accepts long integers, indefinite lengths, duplicate keys and trailing
bytes, and each of these is a second spelling of one entry. It must not read hostile bytes even before a check: a map
whose keys are bignums of one hash value costs it the square of their number (30,000 took 5.7 s). So this module reads
the subset itself, in one pass whose cost depends only on the length of the bytes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cbor2

from banyan_crdt.errors import Malformed

Value: TypeAlias = Any
"""int | bytes | None | list[Value]. The type is recursive, so callers check what they use."""

MAX_DEPTH = 8
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_KINDS = ("", "negative integers", "", "text", "", "maps", "tags", "floats and simple values")


def encode(value: Value) -> bytes:
    """The one encoding of a value of the subset. It does not check that the value is in the subset."""
    return cbor2.dumps(value)


def decode(raw: bytes, max_depth: int = MAX_DEPTH, max_arrays: int = 1 << 63) -> Value:
    """The value of `raw`. Raises Malformed unless `raw` is its one encoding, with at most `max_arrays` arrays, at most
    `max_depth` deep. An empty array is one byte, and some eighty in memory."""
    try:
        value, end = _read(bytes(raw), max_depth, max_arrays)
    except IndexError:
        raise Malformed(f"not CBOR: it breaks off after {len(raw)} bytes") from None
    if end > len(raw):
        raise Malformed(f"not CBOR: it claims {end} bytes and has {len(raw)}")
    if end < len(raw):
        raise Malformed(f"not in deterministic form: the value ends at byte {end} of {len(raw)}")
    return value


BYTES_PER_ARRAY, SPARE_ARRAYS = 8, 64
"""A frame has at most one array for so many of its bytes, and so many more. What is repeated in a message or in an
archive has more bytes than this, and an array has ten times as many in memory."""


def read_value(raw: bytes) -> Value:
    """The value of a frame of a peer or of an archive, or of a message pushed in a frame. Raises Malformed."""
    return decode(raw, MAX_DEPTH, SPARE_ARRAYS + len(raw) // BYTES_PER_ARRAY)


def _read(raw: bytes, max_depth: int, max_arrays: int) -> tuple[Value, int]:
    """(value, where it ends). A byte string that is cut off ends beyond `raw`; anything else that is cut off raises an
    IndexError."""
    at = 0
    top: list[Value] = []
    left = 1
    open_arrays: list[tuple[list[Value], int]] = []
    while True:
        while left:
            left -= 1
            b = raw[at]
            at += 1
            if b < 24:
                top.append(b)
            elif b == 0x58 and raw[at] >= 24:  # most byte strings: hashes, keys, signatures
                end = at + 1 + raw[at]
                top.append(raw[at + 1 : end])
                at = end
            elif b < 0x1C:
                n, at = _argument(raw, at, b)
                top.append(n)
            elif 0x80 <= b < 0x9C:
                n = b - 0x80
                if n > 23:
                    n, at = _argument(raw, at, n)
                if not max_depth:
                    raise Malformed(f"arrays are nested deeper than {len(open_arrays)}")
                if not max_arrays:
                    raise Malformed("there are too many arrays for so few bytes")
                max_depth -= 1
                max_arrays -= 1
                inner: list[Value] = []
                top.append(inner)
                open_arrays.append((top, left))
                top, left = inner, n
            elif 0x40 <= b < 0x5C:
                n = b - 0x40
                if n > 23:
                    n, at = _argument(raw, at, n)
                end = at + n
                top.append(raw[at:end])
                at = end
            elif b == 0xF6:
                top.append(None)
            elif kind := _KINDS[b >> 5]:
                raise Malformed(f"not in deterministic form: {kind} are no part of it")
            else:
                raise Malformed("not in deterministic form: every length stands before what it counts")
        if not open_arrays:
            return top[0], at
        top, left = open_arrays.pop()
        max_depth += 1


def _argument(raw: bytes, at: int, kind: int) -> tuple[int, int]:
    """The integer after an initial byte, and where it ends. Only the shortest form is accepted."""
    end = at + _WIDTHS[kind]
    if end > len(raw):
        raise Malformed(f"not CBOR: it breaks off after {len(raw)} bytes")
    n = int.from_bytes(raw[at:end], "big")
    if n < _LEAST[kind]:
        raise Malformed(f"not in deterministic form: {n} fits a shorter form than {end - at} bytes")
    return n, end


def uint(n: int) -> bytes:
    """The shortest encoding of an unsigned integer, for code that joins bytes instead of encoding objects."""
    if n < 24:
        return bytes((n,))
    if n < 0x100:
        return b"\x18" + n.to_bytes(1, "big")
    if n < 0x10000:
        return b"\x19" + n.to_bytes(2, "big")
    if n < 0x100000000:
        return b"\x1a" + n.to_bytes(4, "big")
    return b"\x1b" + n.to_bytes(8, "big")


def bstr(raw: bytes) -> bytes:
    """The shortest encoding of a byte string, for the same code."""
    if 23 < len(raw) < 0x100:
        return bytes((0x58, len(raw))) + raw
    size = uint(len(raw))
    return bytes((size[0] | 0x40,)) + size[1:] + raw


# --- for code that reads by position ---------------------------------------------------------------------------------


def bytes_head(size: int) -> bytes:
    """What stands before the bytes of a byte string of this size."""
    return encode(bytes(size))[: -size or None]


def array_at(raw: bytes, at: int) -> tuple[int, int]:
    """How many values the array has that begins there, of bytes that are well-formed, and where the first begins."""
    count = raw[at] - 0x80
    return (count, at + 1) if count < 24 else _argument(raw, at + 1, count)


def array_head(count: int) -> bytes:
    """What stands before the members of an array of so many."""
    return encode([0] * count)[: -count or None]


NULL = encode(None)
UINT_1, UINT_2, UINT_4, UINT_8 = (encode(least)[0] for least in (24, 1 << 8, 1 << 16, 1 << 32))
"""The first byte of an integer that has one byte, two, four or eight behind it. Up to 23 it is that byte itself."""
BYTES, BYTES_1, BYTES_2 = (bytes_head(size)[0] for size in (0, 24, 1 << 8))
"""The first byte of an empty byte string, and of one whose size takes one byte or two. Up to a size of 23, the size is
added to the first."""
ARRAY = array_head(0)[0]
"""The first byte of an empty array; up to 23, the number of members is added."""
BYTES_32 = bytes_head(32)
A_SIZE = rb"\x58([\x18-\xff])"
"""What stands before a byte string of 24 to 255 bytes, as a pattern of one group, the size."""
AN_ARRAY = rb"(?:[\x81-\x97]|\x98.|\x99..)"
"""What stands before the members of an array of 1 to 65,535, as a pattern without a group."""
A_UINT = rb"([\x00-\x17]|\x18[\x18-\xff]|\x19(?!\x00).{2}|\x1a(?!\x00{2}).{4}|\x1b(?!\x00{4}).{8})"
"""What `uint` writes, as a pattern of one group, where a point matches any byte."""
