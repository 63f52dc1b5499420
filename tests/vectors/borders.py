"""Vectors just within and just beyond limits: signatures, CBOR, limits, frames of messages."""

from __future__ import annotations

import hashlib
from typing import Any

from nacl import bindings

from banyan_crdt.codec import MAX_DEPTH, encode
from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.logs import PathGrant, within_limits
from banyan_crdt.realm import TEST
from banyan_crdt.signing import verify
from tests.crdt.make import b32, signer
from tests.crdt.test_codec import SECOND_SPELLINGS
from tests.crdt.test_signing import IDENTITY, ORDER_8, SMALL_ORDER, L, base, named, scalar
from tests.vectors.shown import AN

ENTRY = EntryId(b32("an entry"))


def signatures() -> list[dict[str, Any]]:
    """Each with its verdict; some other library gives another one on most of them."""
    an = signer("an")
    sig = an.sign(ENTRY)
    s = int.from_bytes(sig[32:], "little")
    found: list[tuple[str, bytes, EntryId, bytes]] = [
        ("a good one", an.key, ENTRY, sig),
        ("of another entry", an.key, EntryId(b32("another entry")), sig),
        ("of another key", signer("another").key, ENTRY, sig),
        ("a flipped bit of R", an.key, ENTRY, bytes((sig[0] ^ 1,)) + sig[1:]),
        ("63 bytes", an.key, ENTRY, sig[:63]),
        ("65 bytes", an.key, ENTRY, sig + b"\0"),
        ("a key of 31 bytes", an.key[:31], ENTRY, sig),
    ]
    found += [
        (f"S plus {n} times the group order", an.key, ENTRY, sig[:32] + (s + n * L).to_bytes(32, "little"))
        for n in (1, 2, 7)
    ]
    for name, key in SMALL_ORDER.items():
        found += [(f"a key of small order ({name}), R the identity, S 0", key, ENTRY, IDENTITY + bytes(32))]
        found += [(f"a key of small order ({name}), R a multiple of the base point", key, ENTRY, _without_secret(key))]
        found += [(f"R of small order ({name}), by the holder of the key", base(12_345), ENTRY, _small_r(key))]
    found += [(f"a key that is not canonical: p + {y}", _above_p(y), ENTRY, sig) for y in (2, 3, 18)]
    mixed = bindings.crypto_core_ed25519_add(base(777), ORDER_8)
    for i in range(24):
        entry = EntryId(b32(f"x{i}"))
        r = base(1_000 + i)
        k = int.from_bytes(hashlib.sha512(r + mixed + named(entry)).digest(), "little") % L
        found.append((f"a key of mixed order, {i}", mixed, entry, r + scalar(1_000 + i + k * 777)))
    return [
        {"name": n, "realm": TEST.id.hex(), "key": k.hex(), "entry": e.hex(), "sig": s.hex(), "good": _good(k, e, s)}
        for n, k, e, s in found
    ]


def _small_r(r: bytes) -> bytes:
    secret = 12_345
    k = int.from_bytes(hashlib.sha512(r + base(secret) + named(ENTRY)).digest(), "little")
    return r + scalar(k * secret)


def _without_secret(key: bytes) -> bytes:
    """What the bare equation accepts under a key of small order, whoever makes it."""
    for r in range(1, 1_000):
        k = int.from_bytes(hashlib.sha512(base(r) + key + named(ENTRY)).digest(), "little") % L
        if k % 8 == 0:
            return base(r) + scalar(r)
    raise ValueError("no multiple was found")


def _above_p(y: int) -> bytes:
    return (2**255 - 19 + y).to_bytes(32, "little")


def _good(key: bytes, entry: EntryId, sig: bytes) -> bool:
    try:
        verify(TEST, WriterKey(key), entry, sig)
    except BadSignature:
        return False
    return True


def shown(v: Any) -> Any:
    """Byte strings as {"bytes": hex}."""
    if isinstance(v, bytes):
        return {"bytes": v.hex()}
    return [shown(x) for x in v] if isinstance(v, list) else v


def cbor() -> dict[str, Any]:
    deep: Any = []
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    edges = [n for bits in (8, 16, 32) for n in (2**bits - 1, 2**bits)]
    values: dict[str, Any] = {
        "integers at every width": [0, 23, 24, *edges, 2**53 - 1, 2**53, 2**64 - 1],
        "byte strings at every width": [b"", b"x" * 23, b"x" * 24, b"x" * 255, b"x" * 256],
        "null in an array": [None, [], [None]],
        "24 elements": [0] * 24,
        f"{MAX_DEPTH} arrays deep": deep,
    }
    refused = dict(SECOND_SPELLINGS)
    refused[f"{MAX_DEPTH + 1} arrays deep"] = encode([deep]).hex()
    refused["a map of two equal keys"] = "a201000100"
    refused["an array that claims 2^64 - 1 elements"] = "9b" + "ff" * 8
    refused["a byte string that claims 2^63 bytes"] = "5b80" + "00" * 7
    refused["a map of bignum keys, inside an array"] = "81a1c24901000000000000000000"
    return {
        "read": [{"name": n, "raw": encode(v).hex(), "value": shown(v)} for n, v in values.items()],
        "refused": [{"name": n, "raw": raw} for n, raw in refused.items()],
    }


def limits() -> list[dict[str, Any]]:
    """Headers just within and just past both limits of the realm `test`."""
    day, birth = 86_400_000, TEST.birth_ms
    each = day // TEST.entries_per_day
    since = birth + 3 * day
    grant = AN.grant_op("phone")
    rows: list[tuple[str, int, int, int, int]] = [
        ("the last entry of the burst", since, TEST.entry_burst - 1, since, 100),
        ("one more, at once", since, TEST.entry_burst, since, 100),
        ("one more, a millisecond too early", since, TEST.entry_burst, since + each - 1, 100),
        ("one more, in time", since, TEST.entry_burst, since + each, 100),
        ("a day's entries", since, TEST.entry_burst + TEST.entries_per_day - 1, since + day, 100),
        ("one more than a day's", since, TEST.entry_burst + TEST.entries_per_day, since + day, 100),
        ("dated before the grant: as on its day", since, TEST.entry_burst - 1, since - day, 100),
        ("dated before the grant, past the burst", since, TEST.entry_burst, since - day, 100),
        ("a grant dated before the realm's birth counts from the birth", birth - 9 * day, TEST.entry_burst, birth, 100),
        ("all bytes of the burst", since, 0, since, TEST.byte_burst),
        ("one byte more", since, 0, since, TEST.byte_burst + 1),
        ("a day's bytes", since, 5, since + day, TEST.byte_burst + TEST.bytes_per_day),
        ("one byte more than a day's", since, 5, since + day, TEST.byte_burst + TEST.bytes_per_day + 1),
        ("bytes of a millisecond, rounded down", since, 5, since + 1, TEST.byte_burst + TEST.bytes_per_day // day),
        ("one more than these", since, 5, since + 1, TEST.byte_burst + TEST.bytes_per_day // day + 1),
    ]
    return [
        {
            "name": name,
            "realm": TEST.name,
            "granted_ms": granted,
            "seq": seq,
            "ms": ms,
            "total": total,
            "within": within_limits(TEST, PathGrant(grant, granted << 16, 0), seq, ms << 16, total),
        }
        for name, granted, seq, ms, total in rows
    ]


def refused() -> list[dict[str, Any]]:
    """Frames that are malformed, each for one reason."""
    b, i = bytes, b32("id")
    hello: list[Any] = [1, 2, TEST.id, b(16), 0, b(32), 0, b"", 0]
    log: list[Any] = [i, i, 1]
    found: dict[str, list[Any]] = {
        "no code has 23": [23],
        "no code has 0": [0, 1],
        "a code that is bytes": [b"\x01"],
        "no code": [],
        "hello without `partial`": hello[:-1],
        "hello with a field more": [*hello, 0],
        "hello, a realm of 31 bytes": [*hello[:2], b(31), *hello[3:]],
        "hello, a store id of 17 bytes": [*hello[:3], b(17), *hello[4:]],
        "hello, 2^63 logs": [*hello[:4], 1 << 63, *hello[5:]],
        "hello, an operator of 31 bytes": [*hello[:7], b(31), 0],
        "hello, partial 2": [*hello[:8], 2],
        "root without arrival": [3, 0, b(32)],
        "sums of 15 children": [4, b"", b"", [[0, b(16)]] * 15],
        "sums under 15 nibbles": [4, b"", b(15), [[0, b(16)]] * 16],
        "sums, a nibble of 16": [4, b"", b"\x10", [[0, b(16)]] * 16],
        "sums, a salt of 15 bytes": [4, b(15), b"", [[0, b(16)]] * 16],
        "heads under 65 nibbles": [5, b(65), 0, []],
        "heads, answer 2": [5, b"", 2, []],
        "heads, a length of 49 bits": [5, b"", 0, [[*log, 1 << 48, i, 0]]],
        "heads, flag 2": [5, b"", 0, [[*log, 1, i, 2]]],
        "heads, log of 33 bits": [5, b"", 0, [[i, i, 1 << 32, 1, i, 0]]],
        "want with 65 places": [6, [[*log, [[1, i]] * 65, []]]],
        "want with 5 pins": [6, [[*log, [], [[1, i]] * 5]]],
        "want without pins": [6, [[*log, []]]],
        "data, an item of kind 3": [7, [[3, b"x"]]],
        "data, a proof of no header": [7, [[1, b"run", [], []]]],
        "data, a proof of 129 headers": [7, [[1, b"run", [], [b"h"] * 129]]],
        "data, content that is a number": [7, [[1, b"run", [1]]]],
        "data, an operation of 17 bits": [7, [[1, b"run", [[[1 << 16, b"x"]]]]]],
        "data, 94 arrays in 101 bytes": [7, [[1, b"run", [[]] * 90]]],
        "credit of null": [8, None],
        "want-parts, an id of 31 bytes": [9, [[b(31), 0]]],
        "parts without a reason": [10, [[i, 0, b"x"]]],
        "scan, a cursor of 33 bytes": [12, 1, b(33), i],
        "scanned, done 3": [13, 1, b"", 3],
        "witness, a signature of 63 bytes": [14, i, 0, i, b(63)],
        "bye of 513 bytes": [15, b"x" * 513],
        "sketch, probes of 87 bytes": [17, b"", 0, 0, 0, b(87)],
        "sketch, start of 17 bits": [17, b"", 1 << 16, 1, 0, b""],
        "cells, state 4": [18, b"", 0, 4, 0, b""],
        "cells of 22 bytes": [18, b"", 0, 0, 0, b(22)],
        "names, places of 7 bytes": [19, b"", b(7)],
        "replayed, done 2": [20, 0, 2],
        "interest, how 3": [21, 3, b""],
        "interest, a name of 15 bytes": [21, 1, b(15)],
        "shared, told of 7 bytes": [22, b(7), i],
    }
    return [{"name": name, "frame": encode(v).hex()} for name, v in found.items()]
