"""What is sealed is opened by those it was wrapped for, where it was sealed, and by nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import SealedBox
from nacl.signing import SigningKey

from banyan_crdt.ids import WriterKey
from banyan_crdt.sealing import SEALED_MORE, SIZES, WRAPPED_BYTES, Opener, open_sealed, seal, wrap

SECRET, ABOUT, NONCE = b"s" * 32, b"an account and a cell", b"n" * 24
AN, BINH = Opener(b"a" * 32), Opener(b"b" * 32)


def test_a_secret_is_opened_by_the_writer_it_was_wrapped_for() -> None:
    wrapped = wrap(SECRET, AN.key, b"r" * 32)
    assert wrapped is not None
    assert len(wrapped) == WRAPPED_BYTES
    assert (AN.unwrap(wrapped), BINH.unwrap(wrapped)) == (SECRET, None)


def test_an_opening_key_opens_the_same_and_is_no_signing_key() -> None:
    beside = Opener.of_opening_key(AN.opening_key)
    wrapped = wrap(SECRET, AN.key, b"r" * 32)
    assert wrapped is not None
    assert (beside.key, beside.unwrap(wrapped)) == (AN.key, SECRET)
    assert b"a" * 32 not in AN.opening_key
    assert bytes(SigningKey(AN.opening_key[32:]).verify_key) != AN.key


def test_it_is_a_sealed_box_as_others_make_and_open_it() -> None:
    key = SigningKey(b"a" * 32)
    wrapped = wrap(SECRET, AN.key, b"r" * 32)
    assert wrapped is not None
    assert SealedBox(key.to_curve25519_private_key()).decrypt(wrapped) == SECRET
    assert AN.unwrap(SealedBox(key.verify_key.to_curve25519_public_key()).encrypt(SECRET)) == SECRET


@pytest.mark.parametrize("key", [b"\0" * 32, b"\1" + b"\0" * 31, b"\xff" * 32, b"short"])
def test_a_key_that_nothing_can_be_sealed_to_gets_nothing(key: bytes) -> None:
    assert wrap(SECRET, WriterKey(key), b"r" * 32) is None


@given(st.binary(max_size=5_000))
def test_content_is_read_where_it_was_sealed_and_its_length_tells_little(content: bytes) -> None:
    sealed = seal(SECRET, ABOUT, content, NONCE)
    assert open_sealed(SECRET, ABOUT, sealed) == content
    assert len(sealed) - SEALED_MORE in SIZES
    assert open_sealed(SECRET, b"another cell", sealed) is None
    assert open_sealed(b"t" * 32, ABOUT, sealed) is None
    assert open_sealed(SECRET, ABOUT, sealed[:-1] + bytes((sealed[-1] ^ 1,))) is None


@given(st.binary(max_size=300))
def test_other_bytes_open_nothing_and_raise_nothing(raw: bytes) -> None:
    assert open_sealed(SECRET, ABOUT, raw) is None
    assert AN.unwrap(raw) is None


def test_what_is_longer_than_the_largest_size_is_refused() -> None:
    assert open_sealed(SECRET, ABOUT, seal(SECRET, ABOUT, b"x" * (SIZES[-1] - 2), NONCE)) == b"x" * (SIZES[-1] - 2)
    with pytest.raises(ValueError, match=f"{SIZES[-1] - 1} bytes; {SIZES[-1] - 2} is the most"):
        seal(SECRET, ABOUT, b"x" * (SIZES[-1] - 1), NONCE)
