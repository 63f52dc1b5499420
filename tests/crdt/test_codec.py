"""One value has one encoding; everything else is refused, at a cost that its length bounds."""

import time
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.codec import MAX_DEPTH, decode, encode, uint
from banyan_crdt.errors import Malformed

values = st.recursive(
    st.none() | st.integers(0, 2**64 - 1) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=30),
    max_leaves=60,
).filter(lambda v: depth(v) <= MAX_DEPTH)

SECOND_SPELLINGS = {
    "a float": "f93c00",
    "a double": "fb3ff0000000000000",
    "a negative integer": "20",
    "a map": "a0",
    "text": "6161",
    "a tag": "c24101",
    "a bignum": "c249010000000000000000",
    "a boolean": "f5",
    "undefined": "f7",
    "a simple value": "f820",
    "an integer in two bytes that fits one": "1801",
    "an integer in three bytes that fits two": "1900ff",
    "an integer in five bytes that fits three": "1a0000ffff",
    "an integer in nine bytes that fits five": "1b00000000ffffffff",
    "a long length of a byte string": "580100",
    "a long length of an array": "980100",
    "an indefinite array": "9f01ff",
    "an indefinite byte string": "5f4101ff",
    "a reserved length": "1c",
    "a break": "ff",
    "trailing bytes": "0101",
    "trailing bytes after an array": "8000",
    "nothing": "",
    "a byte string cut off": "4201",
    "a long byte string cut off": "581800",
    "an array cut off": "8201",
    "an integer cut off": "1901",
    "a length cut off": "58",
}


def depth(v: Any) -> int:
    return 1 + max(map(depth, v), default=0) if isinstance(v, list) else 0


@given(values)
def test_what_is_encoded_reads_back(v: Any) -> None:
    assert decode(encode(v)) == v


@given(values)
def test_ours_is_what_a_general_encoder_writes_in_deterministic_form(v: Any) -> None:
    assert encode(v) == cbor2.dumps(v, canonical=True)


@given(st.binary(max_size=40))
def test_whatever_is_accepted_has_that_one_encoding(raw: bytes) -> None:
    try:
        v = decode(raw)
    except Malformed:
        return
    assert encode(v) == raw


@given(values, st.data())
def test_no_single_flipped_bit_is_a_second_spelling(v: Any, data: st.DataObject) -> None:
    raw = bytearray(encode(v))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        other = decode(bytes(raw))
    except Malformed:
        return
    assert other != v or encode(other) == bytes(raw) != encode(v)


@pytest.mark.parametrize("raw", SECOND_SPELLINGS.values(), ids=SECOND_SPELLINGS.keys())
def test_refused(raw: str) -> None:
    with pytest.raises(Malformed):
        decode(bytes.fromhex(raw))
    with pytest.raises(Malformed):
        decode(b"\x81" + bytes.fromhex(raw))


def test_arrays_nest_as_deep_as_allowed_and_no_deeper() -> None:
    assert decode(b"\x81" * MAX_DEPTH + b"\x00")
    for raw in (b"\x81" * (MAX_DEPTH + 1) + b"\x00", b"\x81" * 2 + b"\x80"):
        with pytest.raises(Malformed):
            decode(raw, min(MAX_DEPTH, 2) if len(raw) == 3 else MAX_DEPTH)


BOMBS = {
    "arrays of one": b"\x81" * 4_000_000,
    "arrays of two": b"\x82\x40" * 2_000_000,
    "tags": b"\xc2" * 4_000_000,
    "maps": b"\xa1\x00" * 2_000_000,
    "indefinite arrays": b"\x9f" * 4_000_000,
    "an array that claims 2^64 items": b"\x9b" + b"\xff" * 8,
    "arrays that claim 2^24 items": b"\x9a\x00\xff\xff\xff" * 8,
    "a byte string that claims 2^63 bytes": b"\x5b\x7f" + b"\xff" * 7,
    "an array that claims 2^32 items after 4 MiB": b"\x9a\xff\xff\xff\xff" + bytes(4 << 20),
    "bignum keys of one hash value": b"\xba\x00\x03\x00\x00"
    + b"".join(b"\xc2\x4c" + (k * (2**61 - 1)).to_bytes(12, "big") + b"\x00" for k in range(2**30, 2**30 + 196_608)),
    "a decimal fraction with a large exponent": b"\xc4\x82\x1b\x0f" + b"\xff" * 7 + b"\x01",
    "a list that holds itself": b"\xd8\x1c\x81\xd8\x1d\x00",
}


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_costs_no_more_than_its_length(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Malformed):
        decode(raw)
    assert time.process_time() - began < 10.0


@given(st.integers(0, 2**64 - 1))
def test_integers_joined_by_hand_are_those_encoded(n: int) -> None:
    assert uint(n) == encode(n)
