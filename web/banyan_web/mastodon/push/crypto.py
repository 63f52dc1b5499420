"""What push messages need: one that only the app can read, though a push service carries it (RFC 8291), and this node's
key.

Mastodon also speaks an older draft, and apps that do not say `standard` wait for it: draft-ietf-webpush-encryption-04,
with the encoding `aesgcm` of draft-ietf-httpbis-encryption-encoding-03.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec
import nacl.exceptions
import nacl.secret
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()
POINT_BYTES, AUTH_BYTES, SALT_BYTES = 65, 16, 16
RECORD = 4_096
"""Bytes of a record: a push service takes no longer message (RFC 8030, 7.2), so one has one record."""
HEAD_BYTES = SALT_BYTES + 4 + 1 + POINT_BYTES
MOST = RECORD - HEAD_BYTES - 16 - 1
"""Bytes of a message: beside its head the record has a tag of 16 bytes and a delimiter."""


class AppKeys(NamedTuple):
    """What an app gave for its messages. p256dh: its public key, an uncompressed point. auth: a secret of both."""

    p256dh: bytes
    auth: bytes


class EncryptedMessage(NamedTuple):
    """body: of the request. salt, point: stand in headers in the old form."""

    body: bytes
    salt: bytes
    point: bytes


def is_point(raw: bytes) -> bool:
    """Whether these bytes are a public key that a secret can be agreed on with."""
    try:
        return len(raw) == POINT_BYTES and bool(ec.EllipticCurvePublicKey.from_encoded_point(CURVE, raw))
    except ValueError:
        return False


def encrypt(
    message: bytes, app: AppKeys, salt: bytes | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> EncryptedMessage:
    """In the form of RFC 8291. salt, key: new for each message, and given by tests alone. Raises ValueError if it is
    too long."""
    if len(message) > MOST:
        raise ValueError(f"A push message has at most {MOST} bytes; this one has {len(message)}.")
    salt, key = salt or secrets.token_bytes(SALT_BYTES), key or ec.generate_private_key(CURVE)
    point, shared = point_of(key), _shared(key, app)
    known = _expanded(app.auth, shared, b"WebPush: info\0" + app.p256dh + point, 32)
    cek = _expanded(salt, known, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expanded(salt, known, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(cek).encrypt(nonce, message + b"\2", None)
    head = salt + RECORD.to_bytes(4, "big") + len(point).to_bytes(1, "big") + point
    return EncryptedMessage(head + sealed, salt, point)


def encrypt_old(message: bytes, app: AppKeys) -> EncryptedMessage:
    """In the form of the draft. Raises ValueError if it is too long."""
    if len(message) > MOST:
        raise ValueError(f"A push message has at most {MOST} bytes; this one has {len(message)}.")
    salt, key = secrets.token_bytes(SALT_BYTES), ec.generate_private_key(CURVE)
    point = point_of(key)
    known = _expanded(app.auth, _shared(key, app), b"Content-Encoding: auth\0", 32)
    both = b"".join(len(one).to_bytes(2, "big") + one for one in (app.p256dh, point))
    context = b"P-256\0" + both
    cek = _expanded(salt, known, b"Content-Encoding: aesgcm\0" + context, 16)
    nonce = _expanded(salt, known, b"Content-Encoding: nonce\0" + context, 12)
    return EncryptedMessage(AESGCM(cek).encrypt(nonce, b"\0\0" + message, None), salt, point)


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Its public key, an uncompressed point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _shared(key: ec.EllipticCurvePrivateKey, app: AppKeys) -> bytes:
    return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, app.p256dh))


def _expanded(salt: bytes, known: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(known)


def url64(raw: bytes) -> str:
    """base64url without its padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_64(text: str) -> bytes:
    """Of base64 in either alphabet, with or without padding: apps send all of these. Raises ValueError."""
    plain = text.strip().rstrip("=").translate({ord("+"): "-", ord("/"): "_"})
    if not plain.isascii() or not all(one.isalnum() or one in "-_" for one in plain):
        raise ValueError("no base64")
    return urlsafe_b64decode(plain + "=" * (-len(plain) % 4))


# Push services know this node by a key (RFC 8292), made of the node's master secret, so that no further file must be
# kept. The same secret seals the tokens that messages carry.

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""
PUSH = "push"
"""The purpose for which the secret of a node is derived."""
LASTS_S = 12 * 3_600
"""A signature is good for so long; RFC 8292 allows 24 hours."""
_SIDE = 32


class PushIdentity:
    """secret: 32 bytes that only this node knows."""

    def __init__(self, secret: bytes) -> None:
        wide = int.from_bytes(_derived(secret, b"vapid", 48), "big")  # 16 bytes more, so that no value is likelier
        self._key = ec.derive_private_key(wide % (ORDER - 1) + 1, CURVE)
        self._box = nacl.secret.SecretBox(_derived(secret, b"tokens", nacl.secret.SecretBox.KEY_SIZE))
        self.point = point_of(self._key)

    @property
    def server_key(self) -> str:
        """The public key as apps are told it: base64url with its padding, as Mastodon writes it."""
        return urlsafe_b64encode(self.point).decode()

    def signature(self, endpoint: str, contact: str, now: float) -> str:
        """A JWT for the push service of this endpoint. contact: whom it writes to, a URL. now: seconds since 1970."""
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now) + LASTS_S, "sub": contact}
        said = f"{_json({'typ': 'JWT', 'alg': 'ES256'})}.{_json(claims)}"
        r, s = decode_dss_signature(self._key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{said}.{url64(r.to_bytes(_SIDE, 'big') + s.to_bytes(_SIDE, 'big'))}"

    def seal(self, token: str) -> bytes:
        return bytes(self._box.encrypt(token.encode()))

    def opened(self, sealed: bytes) -> str | None:
        """The token; None if it was sealed with another secret."""
        try:
            return self._box.decrypt(sealed).decode()
        except (nacl.exceptions.CryptoError, ValueError):
            return None


def _derived(secret: bytes, purpose: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, None, b"banyan push " + purpose).derive(secret)


def _json(value: object) -> str:
    return url64(msgspec.json.encode(value))
