"""The record of an entry on disk: the header fields that cannot be computed, the signature if held, and the ops.

    flags u8 | lid u32 | seq u48 | time u64 | total u64 | id 32 | [prev 32] | [skip 32] | [writer 32] | [sig 64] | ops

Account and writer come from the log's name (in a control log the writer may change, so its records have it), the hash
of the ops from the ops. If an entry arrived right after its parent, prev is the id in the record before. The id is
stored although it could be computed, so that a corrupt record is detected.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from banyan_crdt.columns import Entries
from banyan_crdt.entry import Entry, Header, skip_seq
from banyan_crdt.ids import AccountId, EntryId, LogId, Time, WriterKey
from banyan_storage.errors import CorruptStore
from banyan_storage.layout import Layout

_FIXED = struct.Struct(">BIHIQQ32s")
_START = _FIXED.size
_RECORD = Layout("flags 1 | lid 4 | seq 6 | time 8 | total 8 | id 32")
SIGNED, PREV, SKIP, WRITER, AFTER = 1, 2, 4, 8, 16
_WIDTH = {flags: 32 * flags.bit_count() for flags in range(0, 16, 2)}
"""Bytes of the optional hashes and keys before the signature."""
_FLAGS = frozenset(flags for flags in range(32) if not (flags & PREV and flags & AFTER))
"""Those of records."""
_OPS = hashlib.sha256(b"banyan/1/ops\0")


class Name(NamedTuple):
    """The start of a record, which identifies the entry."""

    lid: int
    seq: int
    id: EntryId


def encode_record(lid: int, entry: Entry, after_parent: bool = False) -> bytes:
    """The record. after_parent: its parent is the arrival right before it, so prev is not stored."""
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
    """The records of consecutive entries of a granted log, at least two. after_parent: of the first of them."""
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
    """The entry's time, 8 bytes."""
    return raw[_RECORD.time]


def record_id(raw: bytes) -> EntryId:
    return EntryId(raw[_RECORD.id])


def record_signed(raw: bytes) -> bool:
    return bool(raw[0] & SIGNED)


def record_after(raw: bytes) -> bool:
    """Whether its parent is the arrival before it."""
    return bool(raw[0] & AFTER)


def decode_record(raw: bytes, log: LogId, before: EntryId | None) -> Entry:
    """The entry of a record of that log. before: the id of the arrival before it, needed if `record_after`.

    Raises CorruptStore if the record is inconsistent.
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
    if at > len(raw):
        raise CorruptStore(f"the record of entry {seq} breaks off after {len(raw)} bytes; its hashes end at {at}")
    linked = flags in _FLAGS and (prev is None) == (seq == 0) and (skip is None) == (skip_seq(seq) is None)
    if not linked or bool(flags & WRITER) == bool(log.log):
        raise CorruptStore(f"the record of entry {seq} has the flags {flags:#x}, which no entry {seq} of that log has")
    if not log.log and not seq:
        if entry != account:
            raise CorruptStore(f"the record is the first entry of account {entry.hex()[:16]}, not of this one")
        account = AccountId(b"")
    ops = raw[at:]
    digest = _OPS.copy()
    digest.update(ops)
    header = Header(account, writer, log.log, seq, prev, skip, time, total, digest.digest())
    return Entry(EntryId(entry), header, ops, sig)


class Line(NamedTuple):
    """The fields of an entry that a run needs, and its arrival number."""

    n: int
    id: EntryId
    time: Time
    total: int
    sig: bytes | None
    ops: bytes


def decode_line(n: int, raw: bytes) -> Line:
    """The line of arrival `n`. It takes a third of the time of the whole entry, because nothing is hashed."""
    flags, _, _, _, time, total, entry = _FIXED.unpack_from(raw)
    at = _START + _WIDTH[flags & 14]
    if flags & SIGNED:
        return Line(n, EntryId(entry), time, total, raw[at : at + 64], raw[at + 64 :])
    return Line(n, EntryId(entry), time, total, None, raw[at:])
