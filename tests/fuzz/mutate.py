"""Changes of inputs: of bytes, of CBOR values, of JSON values, and of texts.

A change of bytes reaches what reads bytes; most such inputs end at the first check. A change of the value keeps the
form and so reaches the checks behind it. Byte strings that hold CBOR themselves (a run in a frame, a payload in a push)
are changed inside, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import cbor2

from banyan_crdt.codec import decode
from banyan_crdt.errors import Malformed

Mutate: TypeAlias = Callable[[Random, bytes, bytes], bytes]
"""(random numbers, an input, another one to take pieces from) -> a new input."""

EDGES = [0, 1, 2, 3, 7, 8, 15, 16, 23, 24, 31, 32, 63, 64, 127, 128, 255, 256, 1023, 1024, 4095, 4096, 65535, 65536]
EDGES += [(1 << k) + d for k in (31, 32, 47, 48, 53, 60, 61, 63) for d in (-1, 0)] + [(1 << 64) - 1, (1 << 61) - 2]
SIZES = [0, 1, 8, 15, 16, 17, 23, 24, 31, 32, 33, 63, 64, 65, 88, 255, 256, 1000]
_BYTES = (0, 1, 0x17, 0x18, 0x40, 0x58, 0x7F, 0x80, 0x9F, 0xF6, 0xFF)
_REPEATS = 64
"""How often one element of an array may be repeated by one change."""
MOST_KNOWN = 2_000
known: list[bytes] = []
"""Names that an input should also say: ids, keys and salts of the world that a target has made."""


def raw_bytes(rng: Random, raw: bytes, other: bytes) -> bytes:
    """One to four changes of bytes."""
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(8):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1 if out:
                out[at % len(out)] = rng.choice((*_BYTES, *[rng.randrange(256)] * len(_BYTES)))
            case 2:
                del out[at : at + rng.choice((1, 1, 2, 4, 8, 32))]
            case 3:
                out[at:at] = rng.randbytes(rng.choice((1, 1, 2, 4, 8, 32)))
            case 4:
                out[at:at] = out[at : at + rng.choice((1, 4, 16, 64))]
            case 5:
                width = rng.choice((1, 2, 4, 8))
                out[at : at + width] = (rng.choice(EDGES) & (1 << 8 * width) - 1).to_bytes(width, "big")
            case 6 if other:
                start = rng.randrange(len(other))
                out[at : at + rng.choice((0, 8, 64))] = other[start : start + rng.choice((4, 16, 64))]
            case _:
                del out[at:]
    return bytes(out)


def cbor(rng: Random, raw: bytes, other: bytes) -> bytes:
    """Changes of the CBOR value, or of its bytes."""
    how = rng.random()
    if how < 0.1:
        return raw_bytes(rng, raw, other)
    if how < 0.15:
        return respelt(rng, raw)
    try:
        value = decode(raw, 64)
        donor = decode(other, 64)
    except Malformed:
        return raw_bytes(rng, raw, other)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = value_of(rng, value, donor)
    made: bytes = cbor2.dumps(value)
    return made


def respelt(rng: Random, raw: bytes) -> bytes:
    """The bytes with a longer spelling of a number or of a size, at a place where one may be."""
    at = rng.randrange(len(raw)) if raw else 0
    for k in range(at, min(at + 40, len(raw))):
        major, n = raw[k] & 0xE0, raw[k] & 0x1F
        if n < 24:
            return raw[:k] + bytes((major | 24, n)) + raw[k + 1 :]
        if n < 27:
            width = 1 << (n - 24)
            return raw[:k] + bytes((major | (n + 1),)) + bytes(width) + raw[k + 1 :]
    return raw


def value_of(rng: Random, v: Any, donor: Any) -> Any:
    """The value with one change somewhere in it."""
    if isinstance(v, list) and v and rng.random() < 0.85:
        at = rng.randrange(len(v))
        return [*v[:at], value_of(rng, v[at], donor), *v[at + 1 :]]
    if isinstance(v, list):
        return _array(rng, v, donor)
    if isinstance(v, bytes):
        return _bytes(rng, v, donor)
    if rng.random() < 0.1:
        return rng.choice((None, 0, b"", []))
    if isinstance(v, int):
        near = max(0, v + rng.choice((-2, -1, 1, 2)))
        return min(rng.choice((near, rng.choice(EDGES), rng.choice(EDGES), v << 1)), (1 << 64) - 1)
    return rng.choice((0, b"", [], rng.randbytes(32), None))


def _array(rng: Random, v: list[Any], donor: Any) -> Any:
    at = rng.randrange(len(v) + 1)
    match rng.randrange(6):
        case 0:
            return [*v[:at], *v[at + 1 :]]
        case 1 if v:
            one = v[at % len(v)]
            return [*v[:at], *[one] * rng.choice((1, 1, 2, _REPEATS)), *v[at:]]
        case 2 if v:
            other = rng.randrange(len(v))
            swapped = list(v)
            swapped[at % len(v)], swapped[other] = v[other], v[at % len(v)]
            return swapped
        case 3:
            return [*v[:at], rng.choice((None, 0, b"", [], rng.choice(EDGES))), *v[at:]]
        case 4:
            return rng.choice((None, 0, b"", [], [v]))
        case _:
            return [*v[:at], _within(rng, donor), *v[at:]]


def _bytes(rng: Random, v: bytes, donor: Any) -> Any:
    if len(v) > 40 and rng.random() < 0.6:
        try:
            inner = decode(v, 64)
            if isinstance(inner, list):
                return cbor2.dumps(value_of(rng, inner, donor))
        except Malformed:
            pass
    match rng.randrange(7):
        case 0:
            return v[: rng.randrange(len(v) + 1)]
        case 1:
            return v + rng.randbytes(rng.choice((1, 8, 40)))
        case 2:
            return rng.randbytes(rng.choice(SIZES))
        case 3:
            same = [x for x in rng.sample(known, min(len(known), 24)) if len(x) == len(v)]
            return rng.choice(same) if same else bytes(len(v))
        case 4:
            return rng.choice((None, 0, b"", [], len(v)))
        case 5:
            found = _within(rng, donor)
            return found if isinstance(found, bytes) else bytes(len(v))
        case _:
            return raw_bytes(rng, v, b"")


def _within(rng: Random, v: Any) -> Any:
    """Some part of a value."""
    while isinstance(v, list) and v and rng.random() < 0.8:
        v = rng.choice(v)
    return v


_WORDS: tuple[str, ...] = (
    "", " ", "0", "-1", "1e999", "nan", "true", "null", "\x00", "\ud800", "é", "𝔘" * 40, "\u202e", "a" * 2000, "9" * 30,
    "-0", "1_000", "[", "{", '"', "\\", "/p2p/", "/ip6/::", "did:banyan:z", "# ", "\n", "=", ",", "%00",
)  # fmt: skip


def text(rng: Random, raw: bytes, other: bytes) -> bytes:
    """Changes of a text: as bytes, or by words that mean something to readers of texts."""
    if rng.random() < 0.6:
        return raw_bytes(rng, raw, other)
    at = rng.randrange(len(raw) + 1)
    word = rng.choice(_WORDS).encode("utf-8", "surrogatepass") * rng.choice((1, 1, 1, 2, 200, 3_000))
    return raw[:at] + word + raw[at + rng.choice((0, 0, 1, 8)) :]


def json_value(rng: Random, raw: bytes, other: bytes) -> bytes:
    """Changes of a JSON value, or of its text."""
    if rng.random() < 0.2:
        return text(rng, raw, other)
    try:
        value, donor = json.loads(raw), json.loads(other)
    except (ValueError, RecursionError):
        return text(rng, raw, other)
    return json.dumps(_json(rng, value, donor, 0)).encode()


def _json(rng: Random, v: Any, donor: Any, depth: int) -> Any:
    if isinstance(v, dict) and v:
        key = rng.choice(list(v))
        if rng.random() < 0.75:
            return {**v, key: _json(rng, v[key], donor, depth + 1)}
        without = {k: x for k, x in v.items() if k != key}
        return rng.choice((without, {**without, rng.choice(_WORDS[:12]) + key: v[key]}))
    if isinstance(v, list) and v and rng.random() < 0.7:
        at = rng.randrange(len(v))
        return [*v[:at], _json(rng, v[at], donor, depth + 1), *v[at + 1 :]]
    kinds: list[Any] = [None, True, 0, -1, 1.5, 1 << 70, "", [], {}, rng.choice(EDGES), rng.choice(_WORDS), [v], v]
    if isinstance(v, str):
        kinds += [v + rng.choice(_WORDS), v[:-1], v.upper(), v * 2]
    return rng.choice(kinds)
