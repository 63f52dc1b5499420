"""The frontier: where every log stands. Equal frontiers are equal states, in any version of the software."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from banyan_crdt.ids import Head, LogId

_HEAD = struct.Struct(">32s32sIQ32sB").pack
_DOMAIN = b"banyan/1/head\0"


def head_bytes(log: LogId, head: Head) -> bytes:
    """account 32 | writer 32 | log 4 | length 8 | head id 32 (zeros if None) | flag 1: 109 bytes, big-endian."""
    return _HEAD(*log, head.length, head.id or b"", head.flag)


def frontier_digest(heads: Iterable[tuple[LogId, Head]]) -> bytes:
    """SHA-256 over the heads, which must come in the order of their names; 32 bytes. Leave out logs of length 0 without
    a flag."""
    h = hashlib.sha256(b"banyan/1/frontier\0")
    for log, head in heads:
        h.update(head_bytes(log, head))
    return h.digest()


def head_item(log: LogId, head: Head) -> int:
    """H("head", head_bytes) as an integer of 256 bits: the log's summand in the frontier root."""
    return int.from_bytes(hashlib.sha256(_DOMAIN + _HEAD(*log, head.length, head.id or b"", head.flag)).digest(), "big")
