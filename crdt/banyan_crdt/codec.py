"""Strict deterministic CBOR: what is signed has exactly one encoding.

Only unsigned integers below 2^64, byte strings, arrays and null; shortest forms; nothing trailing (RFC 8949, 4.2.1).
A general decoder accepts long integers, indefinite lengths, duplicate keys and trailing bytes, and each of those is a
second spelling of one entry, so we decode, look at the types, encode again and compare.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cbor2

from banyan_crdt.errors import Malformed

Value: TypeAlias = Any
"""int | bytes | None | list[Value]; recursive, so the callers narrow it where they look at it."""

MAX_DEPTH = 8


def encode(value: Value) -> bytes:
    return cbor2.dumps(value)


def decode(raw: bytes, max_depth: int = MAX_DEPTH) -> Value:
    """Raises Malformed unless `raw` is the one encoding of its value."""
    if raw[: max_depth + 1] and _deep(raw, max_depth):
        raise Malformed(f"arrays are nested deeper than {max_depth}")
    try:
        value = cbor2.loads(raw)
        ok = _plain(value, max_depth) and bool(cbor2.dumps(value) == raw)
    except Exception as error:  # cbor2 raises many kinds on hostile bytes; each means the same here
        raise Malformed(f"not CBOR: {type(error).__name__}") from None
    if not ok:
        raise Malformed("not in deterministic form: only shortest unsigned integers, byte strings, arrays and null")
    return value


def _deep(raw: bytes, max_depth: int) -> bool:
    """Whether `raw` opens with more nested one-element arrays than allowed: refuses a stack bomb before the decoder."""
    head = raw[: max_depth + 2]
    return len(head) == max_depth + 2 and all(0x80 < b <= 0x9F for b in head)


def _plain(value: Value, depth: int) -> bool:
    kind = type(value)
    if kind is bytes or value is None:
        return True
    if kind is int:
        return bool(0 <= value < 1 << 64)
    if kind is list and depth:
        depth -= 1
        for x in value:
            k = type(x)
            if k is bytes or (k is int and 0 <= x < 1 << 64):
                continue
            if not _plain(x, depth):
                return False
        return True
    return False


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
