"""CBOR, entries, runs, operations, parts, checkpoints and the texts of ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from banyan_crdt.checkpoint import MAX_PINS, decode_checkpoint, encode_checkpoint
from banyan_crdt.codec import MAX_DEPTH, bstr, decode, encode
from banyan_crdt.entry import decode_header, encode_header, skip_seq
from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.firehose import BEGIN, CHECKPOINT, CONTROL, MAGIC, PARTS, PLACE, RUN, FrameReader, RunsVerifier, frame
from banyan_crdt.frontier import ID_BYTES, CursorRow, decode_frontier_cursor, encode_frontier_cursor
from banyan_crdt.ids import EntryId, H, LogId, PartHash, account_from_text, account_to_text
from banyan_crdt.ops import Part, decode_any_body, decode_body, encode_ops
from banyan_crdt.parts import content_of, make_part, open_part
from banyan_crdt.realm import TEST
from banyan_crdt.run import Run, decode_any_run, decode_run, encode_control, encode_run, read_control
from tests.crdt.make import Person, run_bytes
from tests.crdt.make import make_part as some_part
from tests.fuzz.mutate import text
from tests.fuzz.target import Target

VECTORS = Path(__file__).parents[2] / "vectors"


def vectors(name: str) -> list[bytes]:
    """All bytes in the vectors of a file."""
    found = re.findall(r'"((?:[0-9a-f]{2}){8,})"', (VECTORS / f"{name}.json").read_text())
    return [bytes.fromhex(text) for text in dict.fromkeys(found)]


def _codec(raw: bytes) -> None:
    value = decode(raw)
    assert encode(value) == raw
    nested = value
    for _ in range(MAX_DEPTH + 1):
        nested = [nested]
    try:
        decode(encode(nested))
    except Malformed:
        return
    raise AssertionError(f"arrays may be {MAX_DEPTH} deep")


def _run(raw: bytes) -> None:
    try:
        strictly = decode_any_run(TEST, raw)
    except Reject as why:
        try:
            decode_run(TEST, raw)
        except Reject as too:
            if type(why) is type(too):
                raise
            raise AssertionError("the fast reader refuses for another reason") from too
        raise AssertionError("the fast reader takes what the strict one refuses") from why
    run = decode_run(TEST, raw)
    assert _plain(run) == _plain(strictly)
    assert encode_run(list(run.entries), run.base, run.skips) == raw


def _plain(run: Run) -> tuple[Any, ...]:
    return (*run[:5], list(run.entries), list(run.bodies), run.puts)


def _header(raw: bytes) -> None:
    assert encode_header(decode_header(raw)) == raw


def _control(raw: bytes) -> None:
    entry = read_control(TEST, decode(raw))
    assert encode(encode_control(entry, encode_header(entry.header))) == raw


def _ops(raw: bytes) -> None:
    body = decode_body(raw)
    assert body == decode_any_body(raw)
    if not body.void:
        assert encode_ops(body.ops, body.deps) == raw


def _part(raw: bytes) -> None:
    content = open_part(Part(PartHash(H("part", raw)), len(raw)), raw)
    assert content == content_of(raw)
    assert raw == make_part(decode(raw)[0], content)[1]
    assert raw.endswith(bstr(content))


def _checkpoint(raw: bytes) -> None:
    read = decode_checkpoint(TEST, raw)
    assert encode_checkpoint(read) == raw
    assert len({(pin.writer, pin.log) for pin in read.pins}) == len(read.pins) <= MAX_PINS


def _account(raw: bytes) -> None:
    said = raw.decode("utf-8", "surrogateescape")
    assert account_to_text(account_from_text(said)) == said


def _cursor(raw: bytes) -> None:
    found = decode_frontier_cursor(raw.decode("utf-8", "surrogateescape"))
    rows = [(seq, id) for log in _LOGS for seq, id in found.places(log)]
    assert all(0 <= seq < 1 << 48 and len(id) == ID_BYTES for seq, id in rows)
    assert len(rows) <= found.count * len(_LOGS)


def _firehose(raw: bytes) -> None:
    reader, verifier = FrameReader(), RunsVerifier(TEST)
    for one in (*reader.feed(raw[: len(raw) // 2]), *reader.feed(raw[len(raw) // 2 :])):
        told = verifier.take(one)
        assert told is None or all(entry.entry.sig is not None or entry.entry.header.log for entry in told.entries)


def _people() -> list[Person]:
    return [Person("an"), Person("bo", recovery=False), Person("co", within=("phone", "tab"))]


def _runs() -> list[bytes]:
    log = _people()[0].write(40)
    made = [run_bytes(log, first, stop) for first, stop in ((0, 1), (0, 40), (3, 4), (12, 13), (13, 27), (39, 40))]
    return made + vectors("runs")


def _headers() -> list[bytes]:
    return [encode_header(e.header) for p in _people() for e in (*p.control, *p.write(14)[::6])]


def _controls() -> list[bytes]:
    an = _people()[0]
    an.say(an.rotate(0, "root2"), by="root1")
    return [encode(encode_control(e, encode_header(e.header))) for p in (an, *_people()) for e in p.control]


def _bodies() -> list[bytes]:
    return [e.ops for p in _people() for e in (*p.control, *p.write(1))] + vectors("ops")


_LOGS = [LogId(p.id, p.key("phone"), n) for p in (Person("an"), Person("bo")) for n in (1, 2)]


def _cursors() -> list[bytes]:
    rows = [CursorRow(log, seq, EntryId(H("entry", bytes([seq])))) for log in _LOGS for seq in (0, 3, 77)]
    return [encode_frontier_cursor(rows[:count]).encode() for count in (0, 1, 5, len(rows))]


def _streams() -> list[bytes]:
    an = Person("an")
    log = an.write(6)
    control = b"".join(frame(CONTROL, an.id, [encode_control(e, encode_header(e.header))]) for e in an.control)
    begin, place = frame(BEGIN, MAGIC, TEST.id, b"0", 0), frame(PLACE, b"1", 0)
    run = frame(RUN, an.id, run_bytes(log, 0, 6))
    pinned = frame(CHECKPOINT, an.id, encode_checkpoint(an.checkpoint("root0")))
    return [begin + control + pinned + run + place, begin + control + place, begin + frame(PARTS, an.id, []) + place]


def _checkpoints() -> list[bytes]:
    an = _people()[0]
    log = an.write(3)
    made = [an.checkpoint("root0"), an.checkpoint("phone", n=3, pins=[an.pin(log[1]), an.pin(log[2])._replace(log=9)])]
    return [encode_checkpoint(c) for c in made] + vectors("checkpoints")


skip_seq((1 << 17) - 1)  # fills a cache, once in a process: 130,000 steps, which are no work of the first input
_REJECTED = (Reject,)
TARGETS = (
    Target("crdt.codec", _codec, (Malformed,), lambda: _controls() + _runs()[:2], ("banyan_crdt.codec",), share=20),
    Target(
        "crdt.run", _run, _REJECTED, _runs, ("banyan_crdt.run", "banyan_crdt.columns", "banyan_crdt.shapes"), share=40
    ),
    Target("crdt.header", _header, (Reject, NotYet), _headers, ("banyan_crdt.entry",), share=15),
    Target("crdt.control", _control, (Reject, NotYet), _controls, ("banyan_crdt.entry", "banyan_crdt.ops"), share=15),
    Target("crdt.ops", _ops, _REJECTED, _bodies, ("banyan_crdt.ops", "banyan_crdt.shapes"), share=30),
    Target(
        "crdt.part",
        _part,
        (Malformed,),
        lambda: [some_part("x", bytes(n))[1] for n in (0, 7, 24, 300, 70_000)],
        ("banyan_crdt.parts",),
        share=10,
    ),
    Target("crdt.checkpoint", _checkpoint, _REJECTED, _checkpoints, ("banyan_crdt.checkpoint",), share=15),
    Target("crdt.cursor", _cursor, (Malformed,), _cursors, ("banyan_crdt.frontier",), text, share=5),
    Target("crdt.firehose", _firehose, (Reject, NotYet), _streams, ("banyan_crdt.firehose",), share=10),
    Target(
        "crdt.account",
        _account,
        (ValueError, Malformed),
        lambda: [account_to_text(p.id).encode() for p in _people()],
        ("banyan_crdt.ids",),
        text,
        share=5,
    ),
)
