"""The firehose as bytes: a reader takes what was signed by a key with a grant, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from banyan_crdt.checkpoint import encode_checkpoint
from banyan_crdt.codec import encode
from banyan_crdt.entry import Entry, encode_header
from banyan_crdt.errors import BadSignature, Malformed, NotYet
from banyan_crdt.firehose import (
    BEGIN,
    CHECKPOINT,
    CONTROL,
    MAGIC,
    PARTS,
    PLACE,
    RUN,
    UNPROVED,
    FrameReader,
    RunsVerifier,
    VerifiedBatch,
    frame,
)
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.run import encode_control
from tests.crdt.make import Person, run_bytes


def controls(an: Person, entries: Iterable[Entry]) -> bytes:
    return b"".join(frame(CONTROL, an.id, [encode_control(e, encode_header(e.header))]) for e in entries)


def read(*frames: bytes) -> list[VerifiedBatch]:
    verifier, reader = RunsVerifier(TEST), FrameReader()
    return [told for raw in frames for one in reader.feed(raw) if (told := verifier.take(one)) is not None]


def place(n: int) -> bytes:
    return frame(PLACE, f"{n}".encode(), 0)


def test_entries_are_given_out_at_the_next_place() -> None:
    an = Person("an")
    log = an.write(12)
    begin = frame(BEGIN, MAGIC, TEST.id, b"0", 0)
    found = read(
        begin + controls(an, an.control) + place(1),
        frame(CHECKPOINT, an.id, encode_checkpoint(an.checkpoint("root0"))) + frame(RUN, an.id, run_bytes(log, 0, 5)),
        frame(99, b"of a later version") + place(2),
        frame(RUN, an.id, run_bytes(log, 5, 12)) + frame(UNPROVED, an.id, log[0].id, b"3") + place(3),
    )
    assert [told.cursor for told in found] == ["1", "2", "3"]
    assert [[one.entry.id for one in told.entries] for told in found] == [
        [e.id for e in an.control],
        [e.id for e in log[:5]],
        [e.id for e in log[5:]],
    ]
    assert [told.unproved for told in found] == [[], [], [log[0].id]]


def test_what_nobody_may_write_is_refused() -> None:
    an, bo = Person("an"), Person("bo")
    log = an.write(6)
    known, run = controls(an, an.control), frame(RUN, an.id, run_bytes(log, 0, 6))
    with pytest.raises(NotYet, match="may not write entry 0"):
        read(controls(an, an.control[:1]) + run)
    with pytest.raises(NotYet, match="may not write entry 0"):
        read(run)
    an.say(an.cut("phone", log[2]))
    with pytest.raises(NotYet, match="may not write entry 3"):
        read(controls(an, an.control) + run)
    raw = bytearray(run_bytes(log, 0, 6))
    raw[-1] ^= 1
    with pytest.raises(BadSignature):
        read(known + frame(RUN, an.id, bytes(raw)))
    for wrong in (
        frame(RUN, bo.id, run_bytes(log, 0, 6)),
        controls(bo, an.control),
        frame(CHECKPOINT, bo.id, encode_checkpoint(an.checkpoint("root0"))),
        frame(BEGIN, b"another magic", TEST.id, b"0", 0),
        frame(BEGIN, MAGIC, MAIN.id, b"0", 0),
        frame(PARTS, an.id, [[log[0].id, 0, b"x"]]),
        frame(PARTS, an.id, [b"x"]),
        frame(PLACE, b"1"),
        encode([1]),
        (1 << 30).to_bytes(4, "big") + b"x",
    ):
        with pytest.raises(Malformed):
            read(known + wrong + bytes(4))
