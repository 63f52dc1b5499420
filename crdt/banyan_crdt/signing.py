"""Ed25519 as libsodium checks it: S < L, A and R canonical and not of small order, cofactorless, one at a time.

Batch and single verification disagree on mixed-order keys, and OpenSSL accepts signatures made without any secret. So
every node uses one implementation, PyNaCl. The signed bytes are a domain tag, the realm id and the entry id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, WriterKey
from banyan_crdt.realm import Realm

_TAG = b"banyan/1/sig\0"


class Signer:
    """A secret key that signs entries of one realm. `seed`: 32 bytes."""

    __slots__ = ("_prefix", "_secret", "key")

    def __init__(self, realm: Realm, seed: bytes) -> None:
        public, self._secret = crypto_sign_seed_keypair(seed)
        self.key = WriterKey(public)
        self._prefix = _TAG + realm.id

    def sign(self, entry: EntryId) -> bytes:
        """64 bytes."""
        return bytes(crypto_sign(self._prefix + entry, self._secret)[:64])


class SignatureClaim(NamedTuple):
    """A signature to be checked: key 32 bytes, entry id 32, signature 64."""

    writer: WriterKey
    entry: EntryId
    sig: bytes


def sign_all(todo: Sequence[tuple[Signer, EntryId]]) -> list[bytes]:
    """A signature of 64 bytes for each, in order."""
    return [signer.sign(entry) for signer, entry in todo]


def verify(realm: Realm, writer: WriterKey, entry: EntryId, sig: bytes) -> None:
    """Raises BadSignature. Releases the GIL during the check."""
    if len(writer) != 32 or len(sig) != 64:  # the binding checks neither: it would read beyond a short key
        raise BadSignature(f"a key of {len(writer)} bytes and a signature of {len(sig)}; 32 and 64 are meant")
    try:
        crypto_sign_open(sig + _TAG + realm.id + entry, writer)
    except (BadSignatureError, ValueError, TypeError):
        raise BadSignature(
            f"the signature of entry {entry.hex()[:16]} does not verify under its writer's key"
        ) from None


def verify_all(realm: Realm, checks: Sequence[SignatureClaim]) -> list[BadSignature | None]:
    """The verdict on each, in order; None: it is good. One by one, because a batch check gives other verdicts."""
    verdicts: list[BadSignature | None] = []
    for check in checks:
        try:
            verify(realm, *check)
        except BadSignature as why:
            verdicts.append(why)
        else:
            verdicts.append(None)
    return verdicts
