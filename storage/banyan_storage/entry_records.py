"""Records on disk. Of an entry: the header fields that cannot be computed, the signature if held, and the ops. Of an
account: its grants.

    flags u8 | lid u32 | seq u48 | time u64 | total u64 | id 32 | [prev 32] | [skip 32] | [writer 32] | [sig 64] | ops
    flags u8 | lid u32 | seq u16 | time u64 | total u32 | id 32 | ...                 SHORT: as usual; since schema 9

Account and writer come from the log's name (in a control log the writer may change, so its records have it), the hash
of the ops from the ops. If an entry arrived right after its parent, prev is the id in the record before. The id is
stored although it could be computed, so that a corrupt record is detected. The ops of a post begin with its key
(A_POST): before it all have the same bytes.
"""

from __future__ import annotations

import hashlib
import struct
from operator import methodcaller
from typing import NamedTuple

from banyan_crdt.columns import Entries
from banyan_crdt.entry import Entry, Header, skip_seq
from banyan_crdt.ids import AccountId, CellKey, Coll, EntryId, LogId, Time, WriterKey
from banyan_crdt.logs import Grants, LogName, PathGrant
from banyan_crdt.ops import Grant, KeptTip
from banyan_crdt.shapes import begins_put, first_put
from banyan_schema.social import POST
from banyan_storage.errors import CorruptStore
from banyan_storage.tables import RowLayout

_LONG, _SHORT = struct.Struct(">BIHIQQ32s"), struct.Struct(">BIHQI32s")
_LONG_ROW = RowLayout("flags 1 | lid 4 | seq 6 | time 8 | total 8 | id 32")
_SHORT_ROW = RowLayout("flags 1 | lid 4 | seq 2 | time 8 | total 4 | id 32")
_MOST_SEQ, _MOST_TOTAL = 0xFFFF, 0xFFFFFFFF
"""Of a short record."""
SIGNED, PREV, SKIP, WRITER, AFTER, SHORT, A_POST = 1, 2, 4, 8, 16, 32, 64
_WIDTH = {flags: 32 * flags.bit_count() for flags in range(0, 16, 2)}
"""Bytes of the optional hashes and keys before the signature."""
_FLAGS = frozenset(flags for flags in range(128) if not (flags & PREV and flags & AFTER))
"""Those of records."""
_POST = begins_put(POST)
_is_post = methodcaller("startswith", _POST)
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
    if ops.startswith(_POST):
        flags, ops = flags | A_POST, ops[len(_POST) :]
    if seq <= _MOST_SEQ and total <= _MOST_TOTAL:
        return _SHORT.pack(flags | SHORT, lid, seq, time, total, id_) + tail + ops
    return _LONG.pack(flags, lid, seq >> 32, seq & 0xFFFFFFFF, time, total, id_) + tail + ops


def encode_records(lid: int, entries: Entries, after_parent: bool) -> list[bytes]:
    """The records of consecutive entries of a granted log, at least two. after_parent: of the first of them."""
    ids, skips, times, totals, _, ops = entries.columns
    pack, first, last, cut = _SHORT.pack, entries[0], entries[-1], len(_POST)
    if last.header.seq > _MOST_SEQ or totals[-1] > _MOST_TOTAL or not all(map(_is_post, ops)):
        return [encode_record(lid, entry, k > 0 or after_parent) for k, entry in enumerate(entries)]
    plain, skipping = AFTER | SHORT | A_POST, AFTER | SHORT | A_POST | SKIP
    records = [
        pack(plain, lid, seq, time, total, id_) + raw[cut:]
        if skip is None
        else pack(skipping, lid, seq, time, total, id_) + skip + raw[cut:]
        for seq, skip, time, total, id_, raw in zip(
            range(first.header.seq, last.header.seq + 1), skips, times, totals, ids, ops, strict=True
        )
    ]
    records[0], records[-1] = encode_record(lid, first, after_parent), encode_record(lid, last, True)
    return records


def _start(raw: bytes) -> tuple[int, int, int, Time, int, EntryId, int]:
    """What every record begins with: flags, lid, seq, time, total, id; and how many bytes that are."""
    try:
        if raw[0] & SHORT:
            flags, lid, seq, time, total, entry = _SHORT.unpack_from(raw)
            return flags, lid, seq, time, total, entry, _SHORT.size
        flags, lid, high, low, time, total, entry = _LONG.unpack_from(raw)
        return flags, lid, high << 32 | low, time, total, entry, _LONG.size
    except (IndexError, struct.error):
        raise _too_short(raw) from None


def _is_short(raw: bytes) -> bool:
    if is_record(raw):
        return bool(raw[0] & SHORT)
    raise _too_short(raw)


def _too_short(raw: bytes) -> CorruptStore:
    return CorruptStore(f"a record has {len(raw)} bytes, less than those with which every record begins; run a check")


def record_name(raw: bytes) -> Name:
    _, lid, seq, _, _, entry, _ = _start(raw)
    return Name(lid, seq, entry)


def is_record(raw: bytes | None) -> bool:
    """Whether these bytes are long enough to name an entry."""
    return raw is not None and len(raw) >= (_SHORT if raw[:1] and raw[0] & SHORT else _LONG).size


def record_time(raw: bytes) -> bytes:
    """The entry's time, 8 bytes."""
    return raw[(_SHORT_ROW if _is_short(raw) else _LONG_ROW).time]


def record_id(raw: bytes) -> EntryId:
    return EntryId(raw[(_SHORT_ROW if _is_short(raw) else _LONG_ROW).id])


def record_signed(raw: bytes) -> bool:
    return bool(raw and raw[0] & SIGNED)


def record_after(raw: bytes) -> bool:
    """Whether its parent is the arrival before it."""
    return bool(raw and raw[0] & AFTER)


def decode_record(raw: bytes, log: LogId, before: EntryId | None) -> Entry:
    """The entry of a record of that log. before: the id of the arrival before it, needed if `record_after`.

    Raises CorruptStore if the record is inconsistent.
    """
    flags, _, seq, time, total, entry, at = _start(raw)
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
        if bytes(entry) != account:
            raise CorruptStore(f"the record is the first entry of account {entry.hex()[:16]}, not of this one")
        account = AccountId(b"")
    ops = _POST + raw[at:] if flags & A_POST else raw[at:]
    digest = _OPS.copy()
    digest.update(ops)
    header = Header(account, writer, log.log, seq, prev, skip, time, total, digest.digest())
    return Entry(entry, header, ops, sig)


class RunLine(NamedTuple):
    """The fields of an entry that a run needs, and its arrival number."""

    n: int
    id: EntryId
    time: Time
    total: int
    sig: bytes | None
    ops: bytes


def is_first_post(raw: bytes, key: CellKey) -> bool:
    """Whether a record is one post that replaces none, whose key this is. False if that is not sure."""
    return bool(raw[0] & A_POST) and first_put(key) in raw


def decode_line(n: int, raw: bytes) -> RunLine:
    """The line of arrival `n`. It takes a third of the time of the whole entry, because nothing is hashed."""
    flags, _, _, time, total, entry, at = _start(raw)
    at += _WIDTH[flags & 14]
    begins = _POST if flags & A_POST else b""
    if flags & SIGNED:
        return RunLine(n, entry, time, total, raw[at : at + 64], begins + raw[at + 64 :])
    return RunLine(n, entry, time, total, None, begins + raw[at:])


# An account's grants as a row: `banyan_crdt.logs.Grants` in a few dozen bytes.
#
#     row    = closed u8 | item ...                                    in the order of the path, cuts and drops last
#     grant  = kind u8, below 8 | writer 32 | first u32 | logs u32 | stratum u8 | since u64 |
#              kind & 1: n u32 | collection 8 ... | kind & 2: until u64 | kind & 4: x25519 32
#     cut    = 8 | writer 32 | n u32 | (log u32 | seq u48 | id 32) ...
#     drop   = 9 | writer 32 | log u32
#
# A row contains nothing that the control log does not (check.py compares them). With it, the first entry of an account
# after a start costs one look-up instead of reading and resolving the control log.

CUT, DROP = 8, 9
COLLS, UNTIL, SEALS = 1, 2, 4

_GRANT = struct.Struct(">B32sIIBQ")
_USUAL = struct.Struct(">xx32sIIBQ")
"""The usual row: one grant of all collections, without an end, of an account that is not closed."""
_CUT = struct.Struct(">B32sI")
_KEPT = struct.Struct(">IHI32s")
_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")

_NO_CUTS: dict[WriterKey, dict[int, KeptTip]] = {}
_NO_DROPS: frozenset[LogName] = frozenset()


def encode_grants(grants: Grants) -> bytes:
    """The row, never empty: an empty row means an account whose control log is not held."""
    out = [bytes([grants.closed])]
    for granted in sorted((g for of in grants.grants.values() for g in of), key=lambda g: g.order):
        writer, first, logs, stratum, colls, until, x25519 = granted.grant
        kind = (colls is not None) * COLLS | (until is not None) * UNTIL | (x25519 is not None) * SEALS
        out.append(_GRANT.pack(kind, writer, first, logs, stratum, granted.since))
        if colls is not None:
            out += [_U32.pack(len(colls)), *colls]
        if until is not None:
            out.append(_U64.pack(until))
        if x25519 is not None:
            out.append(x25519)
    for writer, kept in sorted(grants.cuts.items()):
        out.append(_CUT.pack(CUT, writer, len(kept)))
        out += [_KEPT.pack(k.log, k.seq >> 32, k.seq & 0xFFFFFFFF, k.id) for k in kept.values()]
    out += [_CUT.pack(DROP, writer, log) for writer, log in sorted(grants.dropped)]
    return b"".join(out)


def decode_grants(raw: bytes) -> Grants:
    """The grants of a row. Raises CorruptStore if `encode_grants` makes no such row."""
    if len(raw) == _USUAL.size and raw.startswith(b"\0\0"):
        writer, first, logs, stratum, since = _USUAL.unpack(raw)
        new = tuple.__new__
        granted = new(PathGrant, (new(Grant, (writer, first, logs, stratum, None, None, None)), since, 0))
        return Grants({writer: (granted,)}, _NO_CUTS, _NO_DROPS, False)
    try:
        found = _any(raw)
    except (struct.error, IndexError, ValueError) as why:
        raise CorruptStore(f"{len(raw)} bytes do not read as an account's grants ({why}); run a check") from None
    if encode_grants(found) != raw:  # few rows are not the usual one, so they may cost twice
        raise CorruptStore(f"{len(raw)} bytes of an account's grants are written in no order that is used; run a check")
    return found


def _any(raw: bytes) -> Grants:
    grants: dict[WriterKey, list[PathGrant]] = {}
    cuts: dict[WriterKey, dict[int, KeptTip]] = {}
    drops: set[LogName] = set()
    at, order = 1, 0
    while at < len(raw):
        if raw[at] < CUT:
            granted, at = _grant(raw, at, order)
            order += 1
            grants.setdefault(granted.grant.writer, []).append(granted)
            continue
        kind, key, n = _CUT.unpack_from(raw, at)
        writer, at = WriterKey(key), at + _CUT.size
        if kind == CUT:
            kept = cuts[writer] = {}
            for log, high, low, entry in (_KEPT.unpack_from(raw, at + k * _KEPT.size) for k in range(n)):
                kept[log] = KeptTip(log, high << 32 | low, EntryId(entry))
            at += n * _KEPT.size
        elif kind == DROP:
            drops.add((writer, n))
        else:
            raise ValueError(f"an item of kind {kind}; {DROP} is the last")
    if at != len(raw):
        raise ValueError(f"the last item ends at byte {at}")
    return Grants({writer: tuple(of) for writer, of in grants.items()}, cuts, frozenset(drops), bool(raw[0]))


def _grant(raw: bytes, at: int, order: int) -> tuple[PathGrant, int]:
    """A grant, and where it ends."""
    kind, writer, first, logs, stratum, since = _GRANT.unpack_from(raw, at)
    at += _GRANT.size
    colls = until = x25519 = None
    if kind & COLLS:
        at, n = at + 4, _U32.unpack_from(raw, at)[0]
        if n > (len(raw) - at) // 8:
            raise ValueError(f"{n} collections are named where {len(raw) - at} bytes are left")
        colls, at = tuple(Coll(raw[k : k + 8]) for k in range(at, at + 8 * n, 8)), at + 8 * n
    if kind & UNTIL:
        until, at = Time(_U64.unpack_from(raw, at)[0]), at + 8
    if kind & SEALS:
        x25519, at = raw[at : at + 32], at + 32
    return PathGrant(Grant(WriterKey(writer), first, logs, stratum, colls, until, x25519), Time(since), order), at
