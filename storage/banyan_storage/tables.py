"""Every table of the store, with the layout of its keys and values.

    logs       lid u32                    -> account 32 | writer 32 | log u32         a log's short number, never reused
    heads      account | writer | log     -> lid u32 | length u64 | flag u8 | id       id: 32 bytes, or none
    checkpoints  account 32 | writer 32   -> the checkpoint's bytes                     its head is of log 0
    accounts   account                    -> grants (entry_records.py), or empty    those with any log
    entries    n u48                      -> record (entry_records.py)                 n: arrival number, never reused
    chain      lid u32 | seq u48          -> n u48 | size << 1 | signed, u16           what counts, as stretches
    loose      lid u32 | seq u48 | id 16  -> n u48 | kind u8 | since u32               held, does not count
    ids        id 8 | n u48               -> nothing                                   of earlier arrivals (id_index.py)
    parts      n u48 | op u16             -> the part's bytes
    lacking    n u48 | op u16             -> hash 32 | size u32                        counts, wanted, not held
    withheld   n u48 | op u16             -> signed reason, or empty                   erased here, not wanted again
    erased     id 32 | op u16             -> signed reason, or empty                   the same, of entries not held now
    media      n u48 | op u16             -> roots, 32 each                            blobs that a held part names
    blobs      root 32 | n u48 | op u16   -> nothing                                   the same, by blob (blob_names.py)
    media_new  n u48 | op u16             -> nothing                                   of them, those not looked at yet
    due        kind u8 | 0 | time u64 | key -> nothing                                 work of a later time (due.py)
               kind u8 | 1 | key    -> time u64
    arrived    n u48                      -> time u48 | peer, guarded                  from n on (arrivals.py)
    acts       number u64                 -> an act of this node, guarded              journal (acts.py)
    charter    charter 32 | number u32 | name 32 -> an act of a charter, guarded       charter_acts.py
    meta       name                       -> value                                     store id, schema, local state

A stretch is a row for consecutive entries of a chain whose arrival numbers are also consecutive, and of which only the
last may have a signature. So a run is one row.

Numbers are big-endian, so that keys sort by their meaning. Tables that grow with every entry (entries, parts, lacking)
have keys that begin with the arrival number, so rows are appended, which fills pages completely. The one random index,
ids, has short keys and is written late and sorted. Two entries may share 8 bytes of their ids, so a reader compares the
id in the record. What nothing else tells again, such as when something came, is guarded: it ends with a checksum, so a
damaged row is found, and read as if it were not there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from banyan_crdt.ids import AccountId, EntryId, Head, LogId, PartHash, Ref, WriterKey
from banyan_crdt.ops import Part
from banyan_storage.engine import Table

# A row's fields are cut out by their names.


class RowLayout:
    """The fields of a key or a value in their order, as in "time 8 | key 16 | place 8": name and bytes of each. The
    last one may have no size: it is all that is left. Each is a slice of that name: `row[LINE.place]`.

    `spans`: several fields by one name: the first and the last of them, or the first alone, then up to the end."""

    unpack: Callable[[bytes], tuple[bytes, ...]]
    """The fields of a row, of two or more."""

    if TYPE_CHECKING:  # a method would make every field slower to find

        def __getattr__(self, field: str) -> slice: ...

    def __init__(self, fields: str, **spans: str) -> None:
        at, found = 0, dict[str, slice]()
        for field in fields.split(" | "):
            name, _, size = field.partition(" ")
            found[name] = slice(at, at + int(size) if size else None)
            at += int(size or 0)
        self.unpack = itemgetter(*found.values())
        for name, span in spans.items():
            first, _, last = span.partition(" ")
            found[name] = slice(found[first].start, found[last].stop if last else None)
        self.__dict__.update(found)


LOGS = Table("logs")
HEADS = Table("heads")
CHECKPOINTS = Table("checkpoints")
ACCOUNTS = Table("accounts")
ENTRIES = Table("entries")
CHAIN = Table("chain")
LOOSE = Table("loose")
IDS = Table("ids")
PARTS = Table("parts")
LACKING = Table("lacking")
WITHHELD = Table("withheld")
ERASED = Table("erased")
MEDIA = Table("media")
BLOBS = Table("blobs")
MEDIA_NEW = Table("media_new")
DUE = Table("due")
ARRIVED = Table("arrived")
ACTS = Table("acts")
CHARTER = Table("charter")
META = Table("meta", walked=True)
COPIES = Table("copies", walked=True)
"""Rows of local state a second time, guarded, in other pages than `meta` (local_tables.py's TWICE)."""
STORE_TABLES = (
    LOGS,
    HEADS,
    CHECKPOINTS,
    ACCOUNTS,
    ENTRIES,
    CHAIN,
    LOOSE,
    IDS,
    PARTS,
    LACKING,
    WITHHELD,
    ERASED,
    MEDIA,
    BLOBS,
    MEDIA_NEW,
    DUE,
    ARRIVED,
    ACTS,
    CHARTER,
    META,
    COPIES,
)

SCHEMA = 10
STORE_ID_KEY, REALM_KEY, SCHEMA_KEY = b"store id", b"realm", b"schema"
LAST_KEY, IDS_KEY, LIDS_KEY = b"last arrival", b"ids up to arrival", b"last log"
NAMING_KEY = b"content that names blobs"
"""The version of the program that filled `media` (blob_names.py)."""
NOTE = b"note:"
MAX_STRETCH = 0x7FFF
MAX_ARRIVAL = (1 << 48) - 1

LOG_NAME = RowLayout("account 32 | writer 32 | log 4", of="account writer")
HEAD = RowLayout("lid 4 | length 8 | flag 1 | id")
CHAIN_KEY = RowLayout("lid 4 | seq 6")
LOOSE_KEY = RowLayout("lid 4 | seq 6 | half 16")
LOOSE_ROW = RowLayout("n 6 | kind 1 | since 4")
ID_KEY = RowLayout("begin 8 | n 6")
ID = RowLayout("begin 8 | rest 8 | end 16", half="begin rest")
"""Of an id, what stands for it in keys and in memory."""
ERASED_KEY = RowLayout("entry 32 | op 2")
NO_HEAD = bytes(HEAD.id.start - HEAD.lid.stop)
"""What follows the number of a log without a head."""

_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_HEAD = struct.Struct(">IQB")
_CHAIN = struct.Struct(">IHI")
_WANTED = struct.Struct(">32sI")
_SINCE = struct.Struct(">BI")
BRANCH, QUARANTINED, VOUCHED = 0, 1, 2
"""Kinds of loose entries: one that never counted here, one that did, one that is proved to be below a pinned entry."""

u16, u32, u64 = struct.Struct(">H").pack, _U32.pack, _U64.pack


class Stretch(NamedTuple):
    """Entries seq .. seq+size-1 of a chain have the arrival numbers n .. n+size-1. signed: whether the last one is."""

    seq: int
    n: int
    size: int
    signed: bool


class Loose(NamedTuple):
    """An entry that does not count. since: when it came or stopped counting, seconds since 1970."""

    seq: int
    n: int
    kind: int
    since: int


def u48(n: int) -> bytes:
    return n.to_bytes(6, "big")


def u48s(numbers: range) -> list[bytes]:
    """The same of many, in a third of the time."""
    low = slice(2, None)
    return [eight[low] for eight in map(u64, numbers)]


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def guard(key: bytes, value: bytes) -> bytes:
    """The value with a checksum of key and value, for rows that nothing else tells again."""
    return value + u32(crc32(key + value))


def guarded(key: bytes, raw: bytes) -> bytes | None:
    """The value of a guarded row; None if a bit of it changed."""
    value = raw[: -_U32.size]
    return value if len(raw) >= 4 and guard(key, value) == raw else None


def log_name(log: LogId) -> bytes:
    """68 bytes that sort like the LogId."""
    return log.account + log.writer + _U32.pack(log.log)


def log_of_name(raw: bytes) -> LogId:
    account, writer, log = LOG_NAME.unpack(raw)
    return LogId(AccountId(account), WriterKey(writer), number(log))


def head_value(lid: int, head: Head) -> bytes:
    return _HEAD.pack(lid, head.length, head.flag) + (head.id or b"")


def head_of_value(raw: bytes) -> tuple[int, Head]:
    """(lid, Head)."""
    lid, length, flag = _HEAD.unpack_from(raw)
    return lid, Head(length, EntryId(raw[HEAD.id]) if len(raw) > _HEAD.size else None, flag)


def chain_key(lid: int, seq: int) -> bytes:
    return _CHAIN.pack(lid, seq >> 32, seq & 0xFFFFFFFF)


def chain_value(n: int, size: int, signed: bool) -> bytes:
    return _U64.pack(n << 16 | size << 1 | signed)


def stretch_of(key: bytes, value: bytes) -> Stretch:
    packed = number(value)
    return Stretch(number(key[CHAIN_KEY.seq]), packed >> 16, (packed & 0xFFFF) >> 1, bool(packed & 1))


def id_key(entry: EntryId, n: int) -> bytes:
    return entry[ID.begin] + u48(n)


def n_of_id_key(raw: bytes) -> int:
    return number(raw[ID_KEY.n])


def loose_key(lid: int, seq: int, entry: EntryId) -> bytes:
    return chain_key(lid, seq) + entry[ID.half]


def loose_value(loose: Loose) -> bytes:
    return u48(loose.n) + _SINCE.pack(loose.kind, loose.since)


def loose_of(key: bytes, value: bytes) -> Loose:
    n, kind, since = map(number, LOOSE_ROW.unpack(value))
    return Loose(number(key[LOOSE_KEY.seq]), n, kind, since)


def part_key(n: int, op: int) -> bytes:
    return _U64.pack(n << 16 | op)


def part_place(raw: bytes) -> tuple[int, int]:
    """(arrival number, op index)."""
    place = number(raw)
    return place >> 16, place & 0xFFFF


def erased_key(entry: EntryId, op: int) -> bytes:
    return entry + op.to_bytes(2, "big")


def ref_of(raw: bytes) -> Ref:
    """Entry id 32 | op 2."""
    entry, op = ERASED_KEY.unpack(raw)
    return Ref(EntryId(entry), number(op))


def erased_op(key: bytes) -> int:
    return number(key[ERASED_KEY.op])


def wanted_value(part: Part) -> bytes:
    return _WANTED.pack(part.hash, part.size)


def wanted_part(raw: bytes) -> Part:
    digest, size = _WANTED.unpack(raw)
    return Part(PartHash(digest), size)
