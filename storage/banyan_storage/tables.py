"""Every table that the store keeps, and how its keys and values are spelled, in this one place.

    logs       lid u32                    -> account 32 | writer 32 | log u32         the short number of a log
    heads      account | writer | log     -> lid u32 | length u64 | flag u8 | id       id: 32 bytes, or none
    accounts   account                    -> nothing                                   those with any log
    entries    n u64                      -> record (records.py)                       n: arrival number, never reused
    chain      lid u32 | seq u48          -> n << 1 | signed, u64                      what counts
    loose      lid u32 | id 16            -> n u64                                     held, does not count
    ids        id 16                      -> n u64                                     the record has the other 16 bytes
    parts      n u64 | op u16             -> the part's bytes
    lacking    n u64 | op u16             -> hash 32 | size u32                        counts, wanted, not held
    withheld   n u64 | op u16             -> signed reason, or empty                   erased here, not wanted again
    meta       name                       -> value                                     store id, schema, counters, notes

Numbers are big-endian, so that keys order as what they mean. Keys that grow with every entry (entries, parts, lacking)
begin with the arrival number and append; the one random index, ids, is half as wide as an id and written sorted.
"""

from __future__ import annotations

import struct

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, PartHash, WriterKey
from banyan_crdt.ops import Part

from .engine import Table

LOGS = Table("logs")
HEADS = Table("heads")
ACCOUNTS = Table("accounts")
ENTRIES = Table("entries")
CHAIN = Table("chain")
LOOSE = Table("loose")
IDS = Table("ids")
PARTS = Table("parts")
LACKING = Table("lacking")
WITHHELD = Table("withheld")
META = Table("meta")
STORE_TABLES = (LOGS, HEADS, ACCOUNTS, ENTRIES, CHAIN, LOOSE, IDS, PARTS, LACKING, WITHHELD, META)

SCHEMA = 1
STORE_ID_KEY, REALM_KEY, SCHEMA_KEY, LAST_KEY = b"store id", b"realm", b"schema", b"last arrival"
NOTE = b"note:"

_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_HEAD = struct.Struct(">IQB")
_PART = struct.Struct(">QH")
_CHAIN = struct.Struct(">IHI")
_WANTED = struct.Struct(">32sI")

u32, u64 = _U32.pack, _U64.pack


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def log_name(log: LogId) -> bytes:
    """68 bytes that order as the LogId does."""
    return log.account + log.writer + _U32.pack(log.log)


def log_of_name(raw: bytes) -> LogId:
    return LogId(AccountId(raw[:32]), WriterKey(raw[32:64]), number(raw[64:68]))


def head_value(lid: int, head: Head) -> bytes:
    return _HEAD.pack(lid, head.length, head.flag) + (head.id or b"")


def head_of_value(raw: bytes) -> tuple[int, Head]:
    """(lid, Head)."""
    lid, length, flag = _HEAD.unpack_from(raw)
    return lid, Head(length, EntryId(raw[13:]) if len(raw) > 13 else None, flag)


def chain_key(lid: int, seq: int) -> bytes:
    return _CHAIN.pack(lid, seq >> 32, seq & 0xFFFFFFFF)


def seq_of_chain_key(raw: bytes) -> int:
    return number(raw[4:])


def chain_value(n: int, signed: bool) -> bytes:
    return _U64.pack(n << 1 | signed)


def chain_place(raw: bytes) -> tuple[int, bool]:
    """(arrival number, whether that entry holds a signature)."""
    value = number(raw)
    return value >> 1, bool(value & 1)


def id_key(entry: EntryId) -> bytes:
    return entry[:16]


def loose_key(lid: int, entry: EntryId) -> bytes:
    return _U32.pack(lid) + entry[:16]


def part_key(n: int, op: int) -> bytes:
    return _PART.pack(n, op)


def part_place(raw: bytes) -> tuple[int, int]:
    """(arrival number, op index)."""
    n, op = _PART.unpack(raw)
    return n, op


def wanted_value(part: Part) -> bytes:
    return _WANTED.pack(part.hash, part.size)


def wanted_part(raw: bytes) -> Part:
    digest, size = _WANTED.unpack(raw)
    return Part(PartHash(digest), size)
