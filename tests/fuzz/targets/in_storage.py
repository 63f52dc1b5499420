"""Archives, which anybody may hand over, and records, which a damaged disk may give back."""

from __future__ import annotations

import hashlib
from io import BytesIO

from banyan_crdt.codec import decode, encode
from banyan_crdt.control import resolve_control
from banyan_crdt.errors import Malformed
from banyan_crdt.ids import EntryId, LogId
from banyan_crdt.logs import Grants
from banyan_crdt.realm import TEST
from banyan_storage.archive import MAGIC, ControlFrame, EndFrame, PartsFrame, RunFrame, read_archive
from banyan_storage.entry_records import (
    decode_grants,
    decode_line,
    decode_record,
    encode_grants,
    encode_record,
    record_after,
    record_name,
)
from banyan_storage.errors import CorruptStore, StorageError
from tests.crdt.make import Person
from tests.fuzz.mutate import raw_bytes
from tests.fuzz.target import Target
from tests.fuzz.targets.in_crdt import vectors

BEFORE = EntryId(b"b" * 32)


def _archive(raw: bytes) -> None:
    """Bodies of frames, to which the right lengths and checksums are added; or the bytes of an archive."""
    try:
        bodies = decode(raw, 1)
    except Malformed:
        bodies = None
    if isinstance(bodies, list) and all(isinstance(b, bytes) for b in bodies):
        raw = b"".join(len(b).to_bytes(4, "big") + hashlib.sha256(b).digest() + b for b in bodies)
    for frame in read_archive(BytesIO(raw)):
        match frame:
            case ControlFrame(account, entries):
                assert type(account) is bytes
                assert all(type(x) is bytes for e in entries for x in e)
            case RunFrame(account, run):
                assert type(run) is bytes
            case PartsFrame(account, parts):
                assert all(type(i) is bytes and type(op) is int and type(p) is bytes for i, op, p in parts)
            case EndFrame(digest):
                assert type(digest) is bytes


def _archives() -> list[bytes]:
    account = b"a" * 32
    bodies = [
        [0, b"", MAGIC, TEST.id], [1, account, [[b"header", b"sig", b"ops"]]], [6, account, b"checkpoint"],
        [2, account, b"run"], [3, account, [[b"e" * 32, 0, b"part"]]], [4, account], [5, b"", b"d" * 32],
    ]  # fmt: skip
    return [encode([encode(b) for b in bodies[:n]]) for n in (1, 3, len(bodies))] + vectors("archives")


def _log(raw: bytes) -> tuple[LogId, bytes]:
    an = Person("an")
    return (an.log() if raw[:1] != b"\0" else an.control[0].log_id), raw[1:]


def _record(raw: bytes) -> None:
    log, record = _log(raw)
    entry = decode_record(record, log, BEFORE)
    line = decode_line(7, record)
    assert (line.id, line.time, line.total, line.sig, line.ops) == (
        entry.id, entry.header.time, entry.header.total, entry.sig, entry.ops,
    )  # fmt: skip
    name = record_name(record)
    assert (name.seq, name.id) == (entry.header.seq, entry.id)
    again = encode_record(name.lid, entry, record_after(record))
    assert decode_record(again, log, BEFORE) == entry
    assert len(again) <= len(record), "one of an earlier schema is longer"


def _records() -> list[bytes]:
    an = Person("an")
    log = an.write(14)
    granted = [b"\1" + encode_record(9, e, after) for e in log[::3] for after in (False, e.header.seq > 0)]
    return granted + [b"\0" + encode_record(1, e) for e in an.control]


def _grants(raw: bytes) -> None:
    assert encode_grants(decode_grants(raw)) == raw


def _rows() -> list[bytes]:
    an, bo = Person("an", within=("phone", "tab")), Person("bo")
    log = bo.write(3)
    bo.say(bo.cut("phone", log[1]))
    out = []
    for person in (an, bo):
        c = resolve_control(person.control)
        out.append(encode_grants(Grants(c.grants, c.cuts, c.dropped, c.closed)))
    return out


TARGETS = (
    Target("storage.archive", _archive, (StorageError,), _archives, ("banyan_storage.archive",), share=20),
    Target(
        "storage.record", _record, (CorruptStore,), _records, ("banyan_storage.entry_records",), raw_bytes, share=10
    ),
    Target("storage.grants", _grants, (CorruptStore,), _rows, ("banyan_storage.entry_records",), raw_bytes, share=10),
)
