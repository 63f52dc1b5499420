"""Statements about withheld content: who withholds it, by which order, and until when. They are signed and auditable.

Structure is always sent. Content may be withheld; then a peer that asks for it gets this statement. So content never
disappears silently, and nodes may have different policies while their logs stay equal.

    [[1, platform, time ms, entry, op, order, basis, scope, expires ms|null], sig]   sig over H("withheld", statement)
"""

from __future__ import annotations

from typing import NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BadSignature, Malformed, NotYet
from banyan_crdt.ids import EntryId, H, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer, verify

MAX_TEXT = 1_000
"""Bytes of each of order, basis and scope."""


class Withheld(NamedTuple):
    """order: what was ordered or decided. basis: the law or rule. scope: where it is in force."""

    platform: WriterKey
    time_ms: int
    entry: EntryId
    op: int
    order: str
    basis: str
    scope: str
    expires_ms: int | None

    @property
    def sentence(self) -> str:
        until = "" if self.expires_ms is None else f", until {self.expires_ms} ms"
        why = "; ".join(x for x in (self.order, self.basis, self.scope) if x)
        return f"withheld by {self.platform.hex()[:16]}: {why or 'no reason given'}{until}"


def sign_withheld(signer: Signer, w: Withheld) -> bytes:
    """The signed statement. Raises ValueError if a text is too long."""
    statement = _encode(w)
    return encode([statement, signer.sign(_signed_hash(statement))])


def read_withheld(realm: Realm, raw: bytes, entry: EntryId, op: int) -> Withheld:
    """The statement about this operation. Raises Malformed or BadSignature if `raw` is none, and NotYet if it is of a
    later version."""
    v = decode(raw, 2)
    if type(v) is not list or len(v) != 2 or type(v[0]) is not bytes or type(v[1]) is not bytes or len(v[1]) != 64:
        raise Malformed("a withholding is [statement, sig]")
    f = decode(v[0], 2)
    if type(f) is list and f and type(f[0]) is int and f[0] > 1:
        raise NotYet("version", f"a withholding of version {f[0]}: update this node to read it")
    shapes = (int, bytes, int, bytes, int, bytes, bytes, bytes)
    if type(f) is not list or len(f) != 9 or any(type(x) is not t for x, t in zip(f, shapes, strict=False)):
        raise Malformed("a withholding states version, platform, time, entry, op, order, basis, scope, expiry")
    if not f[0] or len(f[1]) != 32 or f[3] != entry or f[4] != op or (f[8] is not None and type(f[8]) is not int):
        raise Malformed("the withholding is of no version or about other content")
    if any(len(x) > MAX_TEXT for x in f[5:8]):
        raise Malformed(f"a text of a withholding has more than {MAX_TEXT} bytes")
    try:
        verify(realm, WriterKey(f[1]), _signed_hash(v[0]), v[1])
    except BadSignature:
        raise BadSignature("the withholding is not signed by the platform that it names") from None
    texts = [x.decode("utf-8", "replace") for x in f[5:8]]
    return Withheld(WriterKey(f[1]), f[2], entry, op, texts[0], texts[1], texts[2], f[8])


def _encode(w: Withheld) -> bytes:
    texts = [x.encode() for x in (w.order, w.basis, w.scope)]
    for name, x in zip(("order", "basis", "scope"), texts, strict=True):
        if len(x) > MAX_TEXT:
            raise ValueError(f"the {name} has {len(x)} bytes; {MAX_TEXT} is the most")
    return encode([1, w.platform, w.time_ms, w.entry, w.op, *texts, w.expires_ms])


def _signed_hash(statement: bytes) -> EntryId:
    """The hash that is signed in place of an entry id. Its tag differs, so it never equals one."""
    return EntryId(H("withheld", statement))
