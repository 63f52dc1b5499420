"""An account's grants as a row: `banyan_crdt.grants.Grants` in a few dozen bytes.

    row    = closed u8 | item ...                                    in the order of the path, cuts and drops last
    grant  = kind u8, below 8 | writer 32 | first u32 | logs u32 | stratum u8 | since u64 |
             kind & 1: n u32 | collection 8 ... | kind & 2: until u64 | kind & 4: x25519 32
    cut    = 8 | writer 32 | n u32 | (log u32 | seq u48 | id 32) ...
    drop   = 9 | writer 32 | log u32

A row contains nothing that the control log does not (check.py compares them). With it, the first entry of an account
after a start costs one look-up instead of reading and resolving the control log.
"""

from __future__ import annotations

import struct

from banyan_crdt.grants import Granted, Grants, LogName
from banyan_crdt.ids import Coll, EntryId, Time, WriterKey
from banyan_crdt.ops import Grant, Kept
from banyan_storage.errors import CorruptStore

CUT, DROP = 8, 9
COLLS, UNTIL, SEALS = 1, 2, 4

_GRANT = struct.Struct(">B32sIIBQ")
_USUAL = struct.Struct(">xx32sIIBQ")
"""The usual row: one grant of all collections, without an end, of an account that is not closed."""
_CUT = struct.Struct(">B32sI")
_KEPT = struct.Struct(">IHI32s")
_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")

_NO_CUTS: dict[WriterKey, dict[int, Kept]] = {}
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
        granted = new(Granted, (new(Grant, (writer, first, logs, stratum, None, None, None)), since, 0))
        return Grants({writer: (granted,)}, _NO_CUTS, _NO_DROPS, False)
    try:
        found = _any(raw)
    except (struct.error, IndexError, ValueError) as why:
        raise CorruptStore(f"{len(raw)} bytes do not read as an account's grants ({why}); run a check") from None
    if encode_grants(found) != raw:  # few rows are not the usual one, so they may cost twice
        raise CorruptStore(f"{len(raw)} bytes of an account's grants are written in no order that is used; run a check")
    return found


def _any(raw: bytes) -> Grants:
    grants: dict[WriterKey, list[Granted]] = {}
    cuts: dict[WriterKey, dict[int, Kept]] = {}
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
                kept[log] = Kept(log, high << 32 | low, EntryId(entry))
            at += n * _KEPT.size
        elif kind == DROP:
            drops.add((writer, n))
        else:
            raise ValueError(f"an item of kind {kind}; {DROP} is the last")
    if at != len(raw):
        raise ValueError(f"the last item ends at byte {at}")
    return Grants({writer: tuple(of) for writer, of in grants.items()}, cuts, frozenset(drops), bool(raw[0]))


def _grant(raw: bytes, at: int, order: int) -> tuple[Granted, int]:
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
    return Granted(Grant(WriterKey(writer), first, logs, stratum, colls, until, x25519), Time(since), order), at
