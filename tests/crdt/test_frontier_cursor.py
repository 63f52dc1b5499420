"""A frontier cursor says what it was made of, and what is damaged is refused with a sentence."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode

import pytest

from banyan_crdt.errors import Malformed
from banyan_crdt.frontier import ID_BYTES, PREFIX, ROW_BYTES, CursorRow, decode_frontier_cursor, encode_frontier_cursor
from banyan_crdt.ids import AccountId, EntryId, H, LogId, WriterKey

LOGS = [LogId(AccountId(H("a", bytes([n]))), WriterKey(H("w", bytes([n]))), n) for n in range(50)]


def rows() -> list[CursorRow]:
    return [CursorRow(log, seq, EntryId(H("e", bytes([n, seq])))) for n, log in enumerate(LOGS) for seq in (3, 200, n)]


def test_each_log_has_its_rows_highest_first_and_another_has_none() -> None:
    found = decode_frontier_cursor(encode_frontier_cursor(rows()))
    assert found.count == 3 * len(LOGS)
    for log in LOGS:
        wanted = sorted(((row.seq, row.id[:ID_BYTES]) for row in rows() if row.log == log), reverse=True)
        assert sorted(found.places(log), reverse=True) == wanted
        assert [seq for seq, _ in found.places(log)] == [seq for seq, _ in wanted]
    assert list(found.places(LOGS[0]._replace(log=9))) == []
    assert list(decode_frontier_cursor(encode_frontier_cursor([])).places(LOGS[0])) == []


def test_the_order_of_rows_does_not_matter() -> None:
    assert encode_frontier_cursor(reversed(rows())) == encode_frontier_cursor(rows())


def packed(raw: bytes) -> str:
    return PREFIX + urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0123456789abcdef-1", "begins with f1"),
        ("f1.?!", "damaged"),
        ("f1.é", "damaged"),
        (packed(b"no zlib"), "damaged"),
        (packed(zlib.compress(bytes(ROW_BYTES))[:-2]), "cut off"),
        (packed(zlib.compress(bytes(ROW_BYTES)) + b"x"), "follows it"),
        (packed(zlib.compress(bytes(ROW_BYTES + 1))), "20 bytes for each row"),
        (packed(zlib.compress(bytes(50_000_000), 9)), "at most 2000000 rows"),
    ],
)
def test_what_is_no_frontier_cursor_is_refused(text: str, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        decode_frontier_cursor(text)
