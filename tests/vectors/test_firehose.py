"""Readers of the firehose against the vectors, from the JSON alone."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import ZstdError

from banyan_crdt.errors import Malformed, NotYet, Reject
from banyan_crdt.firehose import END, FRONTIER, FrameReader, RunsVerifier, VerifiedBatch
from banyan_crdt.frontier import CursorRow, decode_frontier_cursor, encode_frontier_cursor
from banyan_crdt.ids import AccountId, EntryId, LogId, WriterKey
from banyan_crdt.realm import TEST
from banyan_node.client.follower import Follower, FrameDecompressor
from banyan_web.firehose.encodings import dictionaries

V = json.loads((Path(__file__).parent / "firehose.json").read_text("utf-8"))
x = bytes.fromhex


def log_id(v: Any) -> LogId:
    return LogId(AccountId(x(v[0])), WriterKey(x(v[1])), v[2])


def test_a_frontier_cursor_is_read_and_written() -> None:
    v = V["frontier"]
    body = v["cursor"].removeprefix("f1.")
    assert zlib.decompress(urlsafe_b64decode(body + "=" * (-len(body) % 4))).hex() == v["raw"]
    cursor = decode_frontier_cursor(v["cursor"])
    assert cursor.count == len(v["rows"])
    for one in v["told"]:
        assert [[seq, id.hex()] for seq, id in cursor.places(log_id(one["log"]))] == one["rows"]
    rows = [CursorRow(log_id(row), row[3], EntryId(x(row[4]))) for row in v["rows"]]
    for given in (rows, rows[::-1]):
        again = decode_frontier_cursor(encode_frontier_cursor(given))
        assert [list(again.places(row.log)) for row in rows] == [list(cursor.places(row.log)) for row in rows]
    assert decode_frontier_cursor(v["empty"]).count == 0


@pytest.mark.parametrize("v", V["frontier"]["refused"], ids=[v["name"] for v in V["frontier"]["refused"]])
def test_what_is_no_frontier_cursor_is_refused(v: Any) -> None:
    with pytest.raises(Malformed):
        decode_frontier_cursor(v["cursor"])


def read(raw: bytes, step: int) -> tuple[list[VerifiedBatch], dict[int, tuple[Any, ...]]]:
    """What bytes tell that come in pieces of this size, and the last frame of each kind. Raises Reject, NotYet."""
    reader, verifier, told, last = (
        FrameReader(),
        RunsVerifier(TEST),
        list[VerifiedBatch](),
        dict[int, tuple[Any, ...]](),
    )
    for at in range(0, len(raw), step):
        for one in reader.feed(raw[at : at + step]):
            last[one.kind] = one.values
            if (found := verifier.take(one)) is not None:
                told.append(found)
    if not reader.is_whole:
        raise Malformed("the stream breaks off in the middle of a frame")
    return told, last


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_a_stream_of_signed_entries_is_verified(step: int) -> None:
    v = V["stream"]
    assert v["realm"] == TEST.id.hex()
    told, last = read(x(v["bytes"]), step)
    shown = [
        {
            "cursor": one.cursor,
            "entries": [entry.entry.id.hex() for entry in one.entries],
            "contents": [
                [entry.entry.id.hex(), op, raw.hex()] for entry in one.entries for op, raw in entry.contents.items()
            ],
            "unproved": [id.hex() for id in one.unproved],
            "acts": [
                [act.account.hex(), act.number, act.kind, act.about.hex(), act.time_ms, act.said] for act in one.acts
            ],
        }
        for one in told
    ]
    assert shown == v["told"]
    assert [text.decode() for text in last[FRONTIER]] == v["frontier"]
    assert [text.decode() for text in last[END]] == v["end"]


@pytest.mark.parametrize("v", V["refused"], ids=[v["name"] for v in V["refused"]])
def test_what_no_honest_node_sends_is_refused(v: Any) -> None:
    with pytest.raises((Reject, NotYet)):
        read(x(v["bytes"]), 100)


def test_lines_that_break_off_give_whole_events_and_a_cursor() -> None:
    v = V["lines"]
    for step in (1, 100, 1 << 20):
        follower, raw, found = Follower(["http://a.example"]), v["text"].encode(), list[str]()
        follower.request()
        for at in range(0, len(raw), step):
            found += [event.id for event in follower.feed(raw[at : at + step])]
        assert found == v["ids"]
        assert follower.place is not None
        assert (follower.place.cursor, follower.place.frontier) == (v["cursor"], v["frontier"])


def test_pieces_that_are_packed_with_a_dictionary_are_unpacked() -> None:
    v = V["packed"]
    dictionary = dictionaries()[v["dictionary"]].raw
    assert int.from_bytes(dictionary[4:8], "little") == v["dictionary_id"]
    frames = b"".join(map(x, v["frames"]))
    for step in (1, 100, 1 << 20):
        unpacking = FrameDecompressor(dictionary)
        out = b"".join(unpacking.feed(frames[at : at + step]) for at in range(0, len(frames), step))
        assert out.decode() == "".join(v["pieces"])
    lines = [json.loads(line) for line in "".join(v["pieces"]).splitlines()]
    assert [line["id"] for line in lines] == [event["id"] for event in V["events"]]
    with pytest.raises(ZstdError):
        FrameDecompressor(None).feed(frames)
