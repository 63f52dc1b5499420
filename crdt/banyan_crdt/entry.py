"""An entry is a header, and the operations that the header commits to by hash.

The id is the hash of the header without the signature. Otherwise a writer could put a garbage signature inside a run,
where only the last signature is checked, and honest nodes that relay the entry alone would punish one another for it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from banyan_crdt.codec import BYTES_32, NULL, UINT_2, UINT_4, UINT_8, array_head, bytes_head, decode, uint
from banyan_crdt.errors import Malformed, NotYet, Oversized, WrongLink
from banyan_crdt.ids import AccountId, EntryId, H, LogId, Time, WriterKey, control_log, domain
from banyan_crdt.realm import Realm

VERSION = 1
MAX_HEADER = 256
MAX_OPS_BYTES = 16 << 10
MAX_PART_BYTES = 64 << 10
MAX_CONTROL, MAX_CONTROL_BYTES = 2_048, 512 << 10
"""Entries and bytes (its `total`) up to which a control log takes any operation. If a thief fills it, a stronger key
branches off at an earlier entry."""
MORE_REVOKING, MORE_REVOKING_BYTES = 256, 256 << 10
"""Entries and bytes beyond that for operations that revoke, so that a full log can still cut a stolen key."""


class Header(NamedTuple):
    """What is hashed and signed. `account` is empty in the inception, whose id becomes the account's.

    `log` 32 bits, `seq` 48 bits, counted from 0. `time`: milliseconds since 1970 << 16 | counter. `total`: bytes of
    ops and declared parts of the log so far, 53 bits. `ops_hash`: H("ops", ops), 32 bytes.
    """

    account: AccountId
    writer: WriterKey
    log: int
    seq: int
    prev: EntryId | None
    skip: EntryId | None
    time: Time
    total: int
    ops_hash: bytes


class Entry(NamedTuple):
    """A header with its id, its `ops` bytes, and its signature (64 bytes) if one is held. The last entry of a run
    always has one."""

    id: EntryId
    header: Header
    ops: bytes
    sig: bytes | None

    @property
    def account(self) -> AccountId:
        """The account that the entry belongs to."""
        return self.header.account or AccountId(self.id)

    @property
    def log_id(self) -> LogId:
        """The log that the entry belongs to."""
        h = self.header
        return LogId(self.account, h.writer, h.log) if h.log else control_log(self.account)


def lipmaa(n: int) -> int:
    """The 1-based position that position `n` skips to. With these links a path between two entries has logarithmic
    length (Lipmaa 1999; Bamboo logs)."""
    m, po3, x = 1, 3, n
    while m < n:
        po3 *= 3
        m = (po3 - 1) // 2
    po3 //= 3
    if m != n:
        while x:
            m = (po3 - 1) // 2
            po3 //= 3
            x %= m
        if m != po3:
            po3 = m
    return n - po3


_SKIPS: tuple[int | None, ...] = (None,)
"""Replaced as a whole when it grows, because several threads may read and grow it at the same time."""


def skip_seq(seq: int) -> int | None:
    """The sequence number of the entry that entry `seq` names as `skip`. None if that is `seq - 1`, or `seq` is 0."""
    global _SKIPS
    if seq < len(_SKIPS):
        return _SKIPS[seq]
    if seq < 1 << 17:
        known = _SKIPS
        known += tuple(map(_skip, range(len(known), max(seq + 1, 2 * len(known)))))
        _SKIPS = known
        return known[seq]
    return _skip(seq)


def skip_seqs(seqs: range) -> Sequence[int | None]:
    """The same for consecutive entries."""
    if seqs:
        skip_seq(seqs[-1])  # makes those before it
    some = _SKIPS[seqs.start : seqs.stop]
    return some if len(some) == len(seqs) else [skip_seq(seq) for seq in seqs]


def _skip(seq: int) -> int | None:
    s = lipmaa(seq + 1) - 1
    return None if s == seq - 1 else s


def b32(value: bytes | None) -> bytes:
    """The encoding of 32 bytes or null."""
    return NULL if value is None else BYTES_32 + value


HEADER_OPENS, _NO_ACCOUNT = array_head(len(Header._fields) + 1) + uint(VERSION), bytes_head(0)


def encode_header(h: Header) -> bytes:
    """The CBOR of the header: what is hashed. At most MAX_HEADER bytes."""
    account = BYTES_32 + h.account if h.account else _NO_ACCOUNT
    return b"".join(
        (HEADER_OPENS, account, BYTES_32, h.writer, uint(h.log), uint(h.seq), b32(h.prev), b32(h.skip))
        + (uint(h.time), uint(h.total), BYTES_32, h.ops_hash)
    )


def decode_header(raw: bytes) -> Header:
    """Raises Malformed, Oversized, or NotYet (version) if this software does not know the header's version."""
    if len(raw) > MAX_HEADER:
        raise Oversized(f"a header has {len(raw)} bytes; {MAX_HEADER} is the most")
    v = decode(raw, 1)
    if type(v) is not list or not v or type(v[0]) is not int:
        raise Malformed("a header is an array that opens with its version")
    if v[0] != VERSION:
        raise NotYet("version", f"entry of protocol version {v[0]}; this software knows version {VERSION}: update it")
    if len(v) != 10:
        raise Malformed(f"a header has 10 fields, this one {len(v)}")
    header = Header(*v[1:])
    check_header(header)
    return header


def check_header(h: Header) -> None:
    """Checks shapes and ranges. Raises Malformed, or Oversized if a control log has no such place."""
    if type(h.account) is not bytes or len(h.account) not in (0, 32):
        raise Malformed("account is 32 bytes, or empty in the inception")
    for name, value in (("writer", h.writer), ("ops_hash", h.ops_hash)):
        if type(value) is not bytes or len(value) != 32:
            raise Malformed(f"{name} is 32 bytes")
    for name, n, bits in (("log", h.log, 32), ("seq", h.seq, 48), ("time", h.time, 64), ("total", h.total, 53)):
        if type(n) is not int or n >> bits:
            raise Malformed(f"{name} is an unsigned integer of {bits} bits")
    for name, link in (("prev", h.prev), ("skip", h.skip)):
        if link is not None and (type(link) is not bytes or len(link) != 32):
            raise Malformed(f"{name} is 32 bytes or null")
    if not h.account and (h.log or h.seq):
        raise Malformed("only the inception (log 0, seq 0) has no account")
    if h.account and not h.log and not h.seq:
        raise Malformed("the inception names no account: its id is the account")
    if (h.seq == 0) != (h.prev is None):
        raise Malformed(
            f"seq {h.seq} with{'out' if h.prev is None else ''} prev: the first entry, and only it, has none"
        )
    if (skip_seq(h.seq) is None) != (h.skip is None):
        raise Malformed(f"seq {h.seq} {'lacks' if h.skip is None else 'has no'} skip link")
    if not h.log and h.seq >= MAX_CONTROL + MORE_REVOKING:
        raise Oversized(f"a control log holds {MAX_CONTROL + MORE_REVOKING} entries; this is number {h.seq + 1}")


def entry_id(realm: Realm, header: bytes) -> EntryId:
    """H("entry", realm id || header), 32 bytes. `header`: its encoding."""
    return EntryId(H("entry", realm.id, header))


_USUAL, _USUAL_WITH_SKIP = struct.Struct(">BHH32sBBQBIH32s").pack, struct.Struct(">BHH32sH32sBQBIH32s").pack
"""The end of a header with seq in 2 bytes, prev, skip, time in 8, total in 4, hash of the ops, each after its CBOR
head."""
_LINK, _NONE = int.from_bytes(BYTES_32, "big"), NULL[0]


def entry_ids(
    realm: Realm,
    first: Header,
    times: Iterable[Time],
    totals: Iterable[int],
    hashes: Sequence[bytes],
    known: Mapping[int, EntryId],
) -> tuple[list[EntryId], list[EntryId | None]]:
    """The ids and skip links of consecutive entries of a granted log, computed from times, totals and hashes of ops.

    `first`: the header of the first entry; only its names, seq and prev are read. `known`: the ids of earlier entries
    that skip links lead to. This is a hot loop, so a header is joined from the common prefix and not encoded again.
    """
    start = first.seq
    prev: Any = first.prev
    prefix = b"".join(
        (domain("entry"), realm.id, HEADER_OPENS, BYTES_32, first.account, BYTES_32, first.writer, uint(first.log))
    )
    sha256, usual, with_skip = hashlib.sha256, _USUAL, _USUAL_WITH_SKIP
    u2, u4, u8, link, none = UINT_2, UINT_4, UINT_8, _LINK, _NONE
    ids, skips, seqs = list[Any](), list[EntryId | None](), range(start, start + len(hashes))
    for seq, target, time, total, ops_hash in zip(seqs, skip_seqs(seqs), times, totals, hashes, strict=True):
        skip = None if target is None else known[target] if target < start else ids[target - start]
        if not 255 < seq < 65_536 < total < 1 << 32 <= time:
            end = b"".join((uint(seq), b32(prev), b32(skip), uint(time), uint(total), BYTES_32, ops_hash))
        elif skip is None:
            end = usual(u2, seq, link, prev, none, u8, time, u4, total, link, ops_hash)
        else:
            end = with_skip(u2, seq, link, prev, link, skip, u8, time, u4, total, link, ops_hash)
        prev = sha256(prefix + end).digest()
        ids.append(prev)
        skips.append(skip)
    return ids, skips


def make_entry(realm: Realm, header: bytes, ops: bytes, sig: bytes | None) -> Entry:
    """Decodes a header that came with its ops, and checks that they belong together. The signature is not checked.

    Raises Malformed, Oversized, or NotYet (version).
    """
    if len(ops) > MAX_OPS_BYTES:
        raise Oversized(f"ops have {len(ops)} bytes; {MAX_OPS_BYTES} is the most")
    h = decode_header(header)
    if H("ops", ops) != h.ops_hash:
        raise Malformed("ops are not the ones that the header commits to")
    return Entry(entry_id(realm, header), h, ops, sig)


def part_bytes(entry: Entry, parent: Entry | None) -> int:
    """The bytes of parts that the entry declares: the growth of `total` minus its own ops. May be out of range."""
    return entry.header.total - (parent.header.total if parent else 0) - len(entry.ops)


def check_link(entry: Entry, parent: Entry | None, skip: EntryId | None) -> None:
    """Raises WrongLink unless `entry` follows `parent` (None: it is the first). `skip`: the id that its skip must
    name."""
    h = entry.header
    if parent is None:
        if h.seq:
            raise WrongLink(f"entry {h.seq} cannot be first")
    else:
        p = parent.header
        same = entry.account == parent.account and h.log == p.log and (h.log == 0 or h.writer == p.writer)
        if not same or h.seq != p.seq + 1 or h.prev != parent.id:
            raise WrongLink(f"entry {h.seq} does not follow entry {p.seq} of that log")
        if h.time <= p.time:
            raise WrongLink(f"time must rise: entry {h.seq} says {h.time}, its parent {p.time}")
    if h.skip != skip:
        raise WrongLink(f"the skip link of entry {h.seq} names another entry than its ancestor {skip_seq(h.seq)}")
    if not 0 <= part_bytes(entry, parent) <= MAX_PART_BYTES:
        raise WrongLink(
            f"entry {h.seq} declares {part_bytes(entry, parent)} bytes of parts; 0 to {MAX_PART_BYTES} can be"
        )
