"""The frontier: where every log stands. Equal frontiers are equal states, at any version of the software."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from banyan_crdt.ids import H, Head, LogId


def head_bytes(log: LogId, head: Head) -> bytes:
    """account 32 | writer 32 | log 4 | length 8 | head id 32 (zero where none) | flag 1: 109 bytes."""
    return b"".join(
        (log.account, log.writer, log.log.to_bytes(4, "big"), head.length.to_bytes(8, "big"))
        + (head.id or bytes(32), head.flag.to_bytes(1, "big"))
    )


def frontier_digest(heads: Iterable[tuple[LogId, Head]]) -> bytes:
    """SHA-256 over the heads in the order of their names, 32 bytes. Logs with nothing in them must be left out."""
    h = hashlib.sha256(b"banyan/1/frontier\0")
    for log, head in heads:
        h.update(head_bytes(log, head))
    return h.digest()


def head_item(log: LogId, head: Head) -> int:
    """The log's share in the sums that range splitting compares, 256 bits."""
    return int.from_bytes(H("head", head_bytes(log, head)), "big")
