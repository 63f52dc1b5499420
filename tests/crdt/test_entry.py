"""Headers: one encoding, one id, and links that every node computes in the same way."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import decode, encode
from banyan_crdt.entry import (
    MAX_CONTROL,
    MAX_HEADER,
    MAX_PART_BYTES,
    MORE_REVOKING,
    Header,
    check_link,
    decode_header,
    encode_header,
    entry_id,
    lipmaa,
    make_entry,
    skip_seq,
)
from banyan_crdt.errors import Malformed, NotYet, Oversized, Reject, WrongLink
from banyan_crdt.ids import AccountId, EntryId, WriterKey, account_from_text, account_to_text, control_log
from banyan_crdt.realm import MAIN, TEST, Realm
from tests.crdt.make import START, TICK, Person, add, b32, follow

AN = Person()
LOG = AN.write(9)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    b = st.binary(min_size=32, max_size=32)
    log = draw(st.integers(0, 2**32 - 1))
    seq = draw(st.integers(0, 2**48 - 1 if log else MAX_CONTROL - 1))
    return Header(
        AccountId(draw(b)) if log or seq else AccountId(b""),
        WriterKey(draw(b)),
        log,
        seq,
        EntryId(draw(b)) if seq else None,
        EntryId(draw(b)) if skip_seq(seq) is not None else None,
        draw(st.integers(0, 2**64 - 1)),
        draw(st.integers(0, 2**53 - 1)),
        draw(b),
    )


@given(headers())
def test_a_header_reads_back_and_joining_bytes_is_encoding(h: Header) -> None:
    raw = encode_header(h)
    assert decode_header(raw) == h
    assert raw == encode([1, *h])
    assert len(raw) <= MAX_HEADER


def fields(**changed: Any) -> bytes:
    return encode([1, *LOG[7].header._replace(**changed)])


@pytest.mark.parametrize(
    "raw",
    [
        fields(account=b"x" * 31),
        fields(account=b""),
        fields(writer=b"x" * 33),
        fields(writer=None),
        fields(log=1 << 32),
        fields(log=None),
        fields(seq=1 << 48),
        fields(seq=b"7"),
        fields(seq=0),
        fields(prev=None),
        fields(prev=b"x"),
        fields(skip=None),
        fields(seq=8),
        fields(total=1 << 53),
        fields(time=None),
        fields(ops_hash=b"x" * 16),
        encode([1, *LOG[7].header, 0]),
        encode([1]),
        encode([]),
        encode(1),
        encode([b"1", *LOG[7].header]),
        encode([1, *LOG[7].header[:3], [7], *LOG[7].header[4:]]),
        encode([1, *AN.control[0].header._replace(account=AccountId(b"a" * 32))]),
    ],
)
def test_a_header_of_another_shape_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode_header(raw)


def test_a_header_past_its_limits_is_oversized() -> None:
    with pytest.raises(Oversized):
        decode_header(bytes(MAX_HEADER + 1))
    most = MAX_CONTROL + MORE_REVOKING
    top = AN.control[1].header._replace(seq=most)
    with pytest.raises(Reject):
        decode_header(encode_header(top._replace(skip=EntryId(b32("x")) if skip_seq(most) else None)))


@pytest.mark.parametrize("version", [0, 2, 3, 2**32])
def test_another_version_is_not_yet_and_never_a_reject(version: int) -> None:
    for rest in (list(LOG[7].header), [], [b"a future shape", [1, 2][0]]):
        with pytest.raises(NotYet) as caught:
            decode_header(encode([version, *rest]))
        assert caught.value.reason == "version"


def test_the_id_is_of_the_realm_and_the_header_and_not_of_the_signature() -> None:
    e = LOG[0]
    raw = encode_header(e.header)
    assert make_entry(TEST, raw, e.ops, e.sig).id == make_entry(TEST, raw, e.ops, bytes(64)).id == e.id
    assert len({entry_id(r, raw) for r in (MAIN, TEST, Realm("test", TEST.birth_ms + 1), Realm("x", 0))}) == 4


def test_ops_that_are_not_those_of_the_header_are_malformed() -> None:
    with pytest.raises(Malformed):
        make_entry(TEST, encode_header(LOG[0].header), LOG[1].ops, None)
    with pytest.raises(Oversized):
        make_entry(TEST, encode_header(LOG[0].header), bytes((16 << 10) + 1), None)


def test_links_are_checked_against_the_parent() -> None:
    parent, skip = LOG[6], LOG[3].id
    below = LOG[:7]
    phone, log = AN.full("phone"), AN.log()

    def check(**kw: Any) -> None:
        name = log._replace(log=kw.pop("number", log.log))
        check_link(follow(phone, name, below, add("x"), **kw), parent, skip)

    check()
    check(parts=MAX_PART_BYTES)
    for kw in (
        {"time": parent.header.time},
        {"time": parent.header.time - 1},
        {"total": parent.header.total},
        {"parts": MAX_PART_BYTES + 1},
        {"seq": 9},
        {"number": 2},
        {"prev": LOG[5].id},
        {"skip": LOG[4].id},
        {"account": b32("another account")},
        {"writer": b32("another writer")},
    ):
        with pytest.raises(WrongLink):
            check(**kw)
    with pytest.raises(WrongLink):
        check_link(LOG[1], None, None)


def test_the_writer_may_change_in_the_control_log_only() -> None:
    root = AN.control
    check_link(follow(AN.full("root1"), control_log(AN.id), root, AN.rotate(0, "root2")), root[-1], None)


def test_skip_links_make_paths_of_logarithmic_length() -> None:
    assert [skip_seq(q) for q in range(14)] == [None, None, None, 0, None, None, None, 3, None, None, None, 7, 3, None]
    longest = 0
    for q in range(1, 20_000):
        s = lipmaa(q + 1) - 1
        assert 0 <= s < q
        assert skip_seq(q) == (None if s == q - 1 else s)
    at, steps = 999_999, 0
    while at:
        target = skip_seq(at)
        at = target if target is not None else at - 1
        steps += 1
        longest = max(longest, steps)
    assert longest < 60


def test_an_account_reads_back_from_its_text() -> None:
    for raw in (AN.id, AccountId(bytes(32)), AccountId(b"\0" + b"\xff" * 31)):
        assert account_from_text(account_to_text(raw)) == raw
    for text in ("", "did:banyan:z", "did:banyan:z0", "did:key:z6Mk", account_to_text(AN.id)[:-1], "did:banyan:z1"):
        with pytest.raises(ValueError, match="not an account"):
            account_from_text(text)


def test_time_is_milliseconds_and_a_counter() -> None:
    assert LOG[0].header.time == START + TICK
    assert decode(encode_header(LOG[0].header))[7] >> 16 == TEST.birth_ms + 86_400_001
