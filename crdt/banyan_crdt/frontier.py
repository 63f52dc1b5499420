"""The frontier: where every log stands. Equal frontiers are equal states, in any version of the software. A frontier
cursor says up to where a reader was told."""

from __future__ import annotations

import hashlib
import struct
import zlib
from base64 import b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from banyan_crdt.errors import Malformed
from banyan_crdt.ids import EntryId, Head, LogId, domain

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


# A frontier cursor: up to where the logs were told to a reader of the firehose. It means the same at every node.
#
#     cursor = "f1." || base64url, without padding, of zlib(names || seqs || ids)
#     names  = for each row 6 bytes, the first of H("told", account || writer || log u32), in rising order
#     seqs   = for each row 6 bytes, big-endian; rows of one name stand with falling seq
#     ids    = for each row the first 8 bytes of the id of the entry at that place
#
# A row says: this entry and all below it in its log were told. A log that grew lately has more rows, further down, for
# a node that has not got its newest entries yet. A node compares the id: where it holds another entry at that place,
# which is another branch, the row says nothing to it. Two logs with one name cost a comparison and change nothing,
# because the id is of one of them. So a row can only hide an entry whose id begins like that of one that was told.

PREFIX = "f1."
NAME_BYTES, SEQ_BYTES, ID_BYTES = 6, 6, 8
ROW_BYTES = NAME_BYTES + SEQ_BYTES + ID_BYTES
MAX_ROWS = 2_000_000
MAX_TEXT = 64 << 20
_LEVEL = 1
"""Of zlib: names and ids are hashes, so only the seqs become shorter."""
_TOLD = domain("told")


class CursorRow(NamedTuple):
    """The entry at `seq` of the log, and all below it, were told."""

    log: LogId
    seq: int
    id: EntryId


def log_name48(log: LogId) -> bytes:
    """How a row names a log, 6 bytes."""
    return hashlib.sha256(b"".join((_TOLD, log.account, log.writer, log.log.to_bytes(4, "big")))).digest()[:NAME_BYTES]


class FrontierCursor:
    """The rows, as columns of bytes: reading one needs no decoding of the others."""

    __slots__ = ("_ids", "_names", "_seqs", "count")

    def __init__(self, raw: bytes) -> None:
        """raw: names, seqs and ids. Raises Malformed."""
        self.count, rest = divmod(len(raw), ROW_BYTES)
        if rest:
            raise Malformed(f"a frontier cursor has {ROW_BYTES} bytes for each row, not {len(raw)} in all")
        seqs, ids = NAME_BYTES * self.count, (NAME_BYTES + SEQ_BYTES) * self.count
        self._names, self._seqs, self._ids = raw[:seqs], raw[seqs:ids], raw[ids:]

    def places(self, log: LogId) -> Iterator[tuple[int, bytes]]:
        """What the rows of a log say: (seq, the first 8 bytes of an id), highest first. Perhaps those of another log
        with the same name are among them."""
        wanted = log_name48(log)
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self._name(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        while low < self.count and self._name(low) == wanted:
            seq = int.from_bytes(self._seqs[SEQ_BYTES * low : SEQ_BYTES * (low + 1)], "big")
            yield seq, self._ids[ID_BYTES * low : ID_BYTES * (low + 1)]
            low += 1

    def _name(self, at: int) -> bytes:
        return self._names[NAME_BYTES * at : NAME_BYTES * (at + 1)]


def encode_frontier_cursor(rows: Iterable[CursorRow]) -> str:
    """The text of rows, in any order."""
    found = sorted((log_name48(log), -seq, id) for log, seq, id in rows)
    names = b"".join([name for name, _, _ in found])
    seqs = b"".join([(-seq).to_bytes(SEQ_BYTES, "big") for _, seq, _ in found])
    ids = b"".join([id[:ID_BYTES] for _, _, id in found])
    return PREFIX + urlsafe_b64encode(zlib.compress(names + seqs + ids, _LEVEL)).rstrip(b"=").decode()


def decode_frontier_cursor(text: str) -> FrontierCursor:
    """Raises Malformed."""
    if not text.startswith(PREFIX) or len(text) > MAX_TEXT:
        raise Malformed(f"a frontier cursor begins with {PREFIX} and has at most {MAX_TEXT} letters")
    body = text[len(PREFIX) :]
    try:
        packed = b64decode(body.encode("ascii") + b"=" * (-len(body) % 4), b"-_", validate=True)
        unpacking = zlib.decompressobj()
        raw = unpacking.decompress(packed, ROW_BYTES * MAX_ROWS + 1)
    except (UnicodeEncodeError, Error, zlib.error):
        raise Malformed("this frontier cursor is damaged: take it again from where it was answered") from None
    if len(raw) > ROW_BYTES * MAX_ROWS:
        raise Malformed(f"a frontier cursor has at most {MAX_ROWS} rows")
    if not unpacking.eof or unpacking.unused_data:
        raise Malformed("this frontier cursor is cut off, or something follows it")
    return FrontierCursor(raw)
