"""What an account says to itself: sealed under a secret that only its writers can open.

A secret is 32 random bytes. It is wrapped for each writer in the form of libsodium's sealed boxes, to the X25519 key
that belongs to the writer's Ed25519 key. Under a secret content is sealed with XChaCha20-Poly1305 (IETF), bound to the
account and to the cell that it stands in, so that nobody can move it elsewhere. Before that it is filled with zeros to
one of a few sizes, so that its length tells little.
"""

from __future__ import annotations

import hashlib

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_box_easy,
    crypto_box_seal_open,
    crypto_box_seed_keypair,
    crypto_sign_ed25519_pk_to_curve25519,
    crypto_sign_ed25519_sk_to_curve25519,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import CryptoError

from banyan_crdt.ids import WriterKey

SECRET_BYTES, NONCE_BYTES, WRAPPED_BYTES = 32, 24, 80
SIZES = (256, 1_024, 4_096, 16_384, 61_440)
"""The sizes to which content is filled before it is sealed, with the two bytes of its length."""
SEALED_MORE = NONCE_BYTES + 16
"""Bytes that sealed content has more."""


def wrap(secret: bytes, holder: WriterKey, seed: bytes) -> bytes | None:
    """The secret for one writer, WRAPPED_BYTES. None if its key is none that can be sealed to. seed: 32 random bytes,
    new each time."""
    try:
        public = crypto_sign_ed25519_pk_to_curve25519(holder)
    except (CryptoError, RuntimeError, ValueError):
        return None
    mine, private = crypto_box_seed_keypair(seed)
    nonce = hashlib.blake2b(mine + public, digest_size=NONCE_BYTES).digest()
    return bytes(mine + crypto_box_easy(secret, nonce, public, private))


class Opener:
    """Opens what was wrapped for one writer. seed: that of its Ed25519 key, 32 bytes."""

    __slots__ = ("_private", "_public", "key")

    def __init__(self, seed: bytes) -> None:
        public, secret = crypto_sign_seed_keypair(seed)
        self.key = WriterKey(public)
        self._public = crypto_sign_ed25519_pk_to_curve25519(public)
        self._private = crypto_sign_ed25519_sk_to_curve25519(secret)

    @classmethod
    def of_opening_key(cls, raw: bytes) -> Opener:
        """raw: an `opening_key`."""
        made = cls.__new__(cls)
        made.key, made._private = WriterKey(raw[:32]), raw[32:]
        made._public = crypto_sign_ed25519_pk_to_curve25519(made.key)
        return made

    @property
    def opening_key(self) -> bytes:
        """The writer's key and the X25519 half of its secret, 64 bytes: whoever has it can open, and cannot sign."""
        return self.key + self._private

    def unwrap(self, wrapped: bytes) -> bytes | None:
        """The secret, or None if this is none that was wrapped for this writer."""
        try:
            secret = bytes(crypto_box_seal_open(wrapped, self._public, self._private))
        except (CryptoError, RuntimeError, ValueError):
            return None
        return secret if len(secret) == SECRET_BYTES else None


def seal(secret: bytes, about: bytes, content: bytes, nonce: bytes) -> bytes:
    """nonce (24 random bytes, new each time), then the sealed content. about: what it is bound to. Raises ValueError if
    the content is longer than the largest size."""
    size = next((size for size in SIZES if size >= len(content) + 2), None)
    if size is None:
        raise ValueError(f"private content has {len(content)} bytes; {SIZES[-1] - 2} is the most: shorten it")
    plain = (len(content).to_bytes(2, "big") + content).ljust(size, b"\0")
    return bytes(nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(plain, about, nonce, secret))


def open_sealed(secret: bytes, about: bytes, sealed: bytes) -> bytes | None:
    """The content, or None if these bytes were not sealed so under this secret."""
    try:
        plain = crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[NONCE_BYTES:], about, sealed[:NONCE_BYTES], secret)
    except (CryptoError, RuntimeError, ValueError, TypeError):
        return None
    size = int.from_bytes(plain[:2], "big")
    return bytes(plain[2 : 2 + size]) if len(plain) in SIZES and size + 2 <= len(plain) else None
