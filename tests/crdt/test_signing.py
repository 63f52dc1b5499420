"""Ed25519 as libsodium implements it. Each vector is a signature that some other library accepts."""

import hashlib

import pytest
from nacl import bindings

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.realm import MAIN, TEST
from banyan_crdt.signing import Signer, verify
from tests.crdt.make import b32, signer

L = 2**252 + 27742317777372353535851937790883648493
ENTRY = EntryId(b32("an entry"))
AN = signer("an")
SIG = AN.sign(ENTRY)
IDENTITY = (1).to_bytes(32, "little")
ORDER_2 = (2**255 - 20).to_bytes(32, "little")
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
SMALL_ORDER = {
    "identity": IDENTITY,
    "order 2": ORDER_2,
    "order 4": bytes(32),
    "order 4, sign bit": bytes(31) + b"\x80",
    "order 8": ORDER_8,
    "order 8, sign bit": ORDER_8[:31] + bytes([ORDER_8[31] | 0x80]),
    "p": (2**255 - 19).to_bytes(32, "little"),
    "p + 1": (2**255 - 18).to_bytes(32, "little"),
    "identity, sign bit": IDENTITY[:31] + b"\x80",
}


def passes(key: bytes, entry: EntryId, sig: bytes) -> bool:
    try:
        verify(TEST, WriterKey(key), entry, sig)
    except BadSignature:
        return False
    return True


def scalar(n: int) -> bytes:
    return (n % L).to_bytes(32, "little")


def base(n: int) -> bytes:
    return bindings.crypto_scalarmult_ed25519_base_noclamp(scalar(n))


def named(entry: EntryId) -> bytes:
    return b"banyan/1/sig\0" + TEST.id + entry


def test_a_signature_passes_for_its_key_its_entry_and_its_realm_alone() -> None:
    assert passes(AN.key, ENTRY, SIG)
    assert not passes(signer("another").key, ENTRY, SIG)
    assert not passes(AN.key, EntryId(b32("another entry")), SIG)
    with pytest.raises(BadSignature):
        verify(MAIN, AN.key, ENTRY, SIG)
    assert Signer(MAIN, b32("seed an")).key == AN.key


def test_what_is_signed_is_the_tag_the_realm_and_the_id() -> None:
    assert bindings.crypto_sign_open(SIG + named(ENTRY), AN.key) == named(ENTRY)


def test_no_flipped_bit_of_a_signature_passes() -> None:
    for at in range(512):
        flipped = bytearray(SIG)
        flipped[at >> 3] ^= 1 << (at & 7)
        assert not passes(AN.key, ENTRY, bytes(flipped))


@pytest.mark.parametrize("times", range(1, 8))
def test_a_stranger_cannot_make_a_second_signature_by_adding_the_group_order(times: int) -> None:
    s = int.from_bytes(SIG[32:], "little") + times * L
    assert not passes(AN.key, ENTRY, SIG[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("key", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_a_key_of_small_order_signs_nothing(key: bytes) -> None:
    """OpenSSL accepts 13 to 66 of 128 such signatures, made without any secret."""
    for i in range(32):
        for r in SMALL_ORDER.values():
            assert not passes(key, EntryId(b32(f"m{i}")), r + bytes(32))


@pytest.mark.parametrize("r", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_a_nonce_of_small_order_is_refused_even_from_the_holder_of_the_key(r: bytes) -> None:
    secret = 12345
    public = base(secret)
    k = int.from_bytes(hashlib.sha512(r + public + named(ENTRY)).digest(), "little")
    assert not passes(public, ENTRY, r + scalar(k * secret))


def test_a_key_that_is_not_canonical_is_refused() -> None:
    for y in range(19):
        key = (2**255 - 19 + y).to_bytes(32, "little")
        assert not passes(key, ENTRY, SIG)
        assert not passes(AN.key, ENTRY, key + SIG[32:])


def test_a_key_of_mixed_order_passes_only_where_the_cofactorless_equation_holds() -> None:
    """A batch verifier accepts all of these: two such nodes would hold different logs."""
    secret = 777
    mixed = bindings.crypto_core_ed25519_add(base(secret), ORDER_8)
    accepted = 0
    for i in range(64):
        entry = EntryId(b32(f"x{i}"))
        r = base(1_000 + i)
        k = int.from_bytes(hashlib.sha512(r + mixed + named(entry)).digest(), "little") % L
        ok = passes(mixed, entry, r + scalar(1_000 + i + k * secret))
        assert ok == (k % 8 == 0)
        accepted += ok
    assert 0 < accepted < 64


def test_two_signatures_of_one_entry_name_one_entry() -> None:
    """The owner of a key can sign an id in many ways. The id does not contain the signature, so that is no fork."""
    h = bytearray(hashlib.sha512(b32("seed an")).digest()[:32])
    h[0] &= 248
    h[31] = h[31] & 127 | 64
    secret, r = int.from_bytes(h, "little"), base(4242)
    k = int.from_bytes(hashlib.sha512(r + AN.key + named(ENTRY)).digest(), "little")
    other = r + scalar(4242 + k * secret)
    assert other != SIG
    assert passes(AN.key, ENTRY, other)


@pytest.mark.parametrize("sig", [b"", SIG[:63], SIG + b"\0", bytes(64)])
def test_a_signature_of_another_length_or_of_zeros_is_refused(sig: bytes) -> None:
    assert not passes(AN.key, ENTRY, sig)


@pytest.mark.parametrize("key", [b"", AN.key[:31], AN.key + b"\0"])
def test_a_key_of_another_length_is_refused(key: bytes) -> None:
    assert not passes(key, ENTRY, SIG)
