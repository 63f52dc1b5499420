"""What this node is to push services: a key by which they know it (RFC 8292), made of the node's master secret, so that
no further file must be kept. The same secret seals the tokens that messages carry."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import msgspec
import nacl.exceptions
import nacl.secret
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from banyan_web.mastodon.push.encryption import CURVE, point_of, url64

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
