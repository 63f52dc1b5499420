"""One entry as it lies on disk: everything of the header that cannot be computed, the signature if held, the ops.

    flags u8 | lid u32 | seq u48 | time u64 | total u64 | id 32 | [prev 32] | [skip 32] | [writer 32] | [sig 64] | ops

Account and writer come from the log's name (a control entry carries its writer: there it may change), the hash of the
ops from the ops. Of an entry that arrived right after its parent, prev is the id in the record before. The id is kept
though it could be computed, so that a corrupt record is found instead of renamed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from banyan_crdt.columns import Entries
from banyan_crdt.entry import Entry, Header, skip_seq
from banyan_crdt.ids import AccountId, EntryId, LogId, Time, WriterKey

from .errors import CorruptStore

_FIXED = struct.Struct(">BIHIQQ32s")
_START = _FIXED.size
SIGNED, PREV, SKIP, WRITER, AFTER = 1, 2, 4, 8, 16
_WIDTH = {flags: 32 * flags.bit_count() for flags in range(0, 16, 2)}
"""Bytes of the optional hashes and keys before the signature."""
_OPS = hashlib.sha256(b"banyan/1/ops\0")


class Name(NamedTuple):
    """The start of a record: what is needed to say which entry it is."""

    lid: int
    seq: int
    id: EntryId


def encode_record(lid: int, entry: Entry, after_parent: bool = False) -> bytes:
    """`after_parent`: its parent is the arrival right before it, and so says where its prev is to be found."""
    id_, (_, writer, log, seq, prev, skip, time, total, _), ops, sig = entry
    flags, tail = 0, b""
    if after_parent:
        flags = AFTER
    elif prev is not None:
        flags, tail = PREV, prev
    if skip is not None:
        flags |= SKIP
        tail += skip
    if not log:
        flags |= WRITER
        tail += writer
    if sig:
        flags |= SIGNED
        tail += sig
    return _FIXED.pack(flags, lid, seq >> 32, seq & 0xFFFFFFFF, time, total, id_) + tail + ops


def encode_records(lid: int, entries: Entries, after_parent: bool) -> list[bytes]:
    """Of entries of a granted log that arrive one after the other, `after_parent` the first of them; at least two."""
    ids, skips, times, totals, _, ops = entries.columns
    pack, first = _FIXED.pack, entries[0]
    seqs = range(first.header.seq, first.header.seq + len(ids))
    records = [
        pack(AFTER if skip is None else AFTER | SKIP, lid, seq >> 32, seq & 0xFFFFFFFF, time, total, id_)
        + (raw if skip is None else skip + raw)
        for seq, skip, time, total, id_, raw in zip(seqs, skips, times, totals, ids, ops, strict=True)
    ]
    records[0], records[-1] = encode_record(lid, first, after_parent), encode_record(lid, entries[-1], True)
    return records


def record_name(raw: bytes) -> Name:
    _, lid, high, low, _, _, entry = _FIXED.unpack_from(raw)
    return Name(lid, high << 32 | low, EntryId(entry))


def is_record(raw: bytes | None) -> bool:
    """Whether these bytes are long enough to name an entry."""
    return raw is not None and len(raw) >= _START


def record_time(raw: bytes) -> bytes:
    """8 bytes."""
    return raw[11:19]


def record_id(raw: bytes) -> EntryId:
    return EntryId(raw[27:59])


def record_signed(raw: bytes) -> bool:
    return bool(raw[0] & SIGNED)


def record_after(raw: bytes) -> bool:
    """Whether its parent is the arrival before it."""
    return bool(raw[0] & AFTER)


def decode_record(raw: bytes, log: LogId, before: EntryId | None) -> Entry:
    """The entry in a record of that log; `before`: the id of the arrival before it, needed where `record_after`.

    Raises CorruptStore where the record contradicts itself.
    """
    if len(raw) < _START:
        raise CorruptStore(f"a record has {len(raw)} bytes, less than the {_START} with which every record begins")
    flags, _, high, low, time, total, entry = _FIXED.unpack_from(raw)
    at, seq = _START, high << 32 | low
    prev = skip = sig = None
    writer, account = log.writer, log.account
    if flags & AFTER:
        prev = before
    if flags & PREV:
        prev, at = EntryId(raw[at : at + 32]), at + 32
    if flags & SKIP:
        skip, at = EntryId(raw[at : at + 32]), at + 32
    if flags & WRITER:
        writer, at = WriterKey(raw[at : at + 32]), at + 32
    if flags & SIGNED:
        sig, at = raw[at : at + 64], at + 64
    linked = (prev is None) == (seq == 0) and (skip is None) == (skip_seq(seq) is None)
    if not linked or bool(flags & WRITER) == bool(log.log):
        raise CorruptStore(f"the record of entry {seq} has the flags {flags:#x}, which no entry {seq} of that log has")
    if not log.log and not seq:
        account = AccountId(b"")
    ops = raw[at:]
    digest = _OPS.copy()
    digest.update(ops)
    header = Header(account, writer, log.log, seq, prev, skip, time, total, digest.digest())
    return Entry(EntryId(entry), header, ops, sig)


class Line(NamedTuple):
    """What a run says of one entry, and where it came: all that serving it needs."""

    n: int
    id: EntryId
    time: Time
    total: int
    sig: bytes | None
    ops: bytes


def decode_line(n: int, raw: bytes) -> Line:
    """Of the record of arrival `n`; a third of what the whole entry takes, for nothing is hashed or named."""
    flags, _, _, _, time, total, entry = _FIXED.unpack_from(raw)
    at = _START + _WIDTH[flags & 14]
    if flags & SIGNED:
        return Line(n, EntryId(entry), time, total, raw[at : at + 64], raw[at + 64 :])
    return Line(n, EntryId(entry), time, total, None, raw[at:])
