"""Statements that are signed and passed on: witnesses of platforms, which show how fresh this node is, and reasons for
withholding content.

A witness is (time, frontier root), which a platform signs every minute. If a node's root has matched one, the node had
everything that the platform had at that time. So it knows since when news can at most have been kept from it.

Anybody can make platforms, and a hundred of them say nothing. So only those that the operator named are believed. The
statements of others are passed on, because other operators named them, but only so many a second.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from banyan_crdt.codec import decode, encode
from banyan_crdt.errors import BadSignature, Malformed, NotYet
from banyan_crdt.ids import EntryId, H, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer, verify
from banyan_replica.intake.clock_bounds import FUTURE_MS
from banyan_replica.peers.operator_trust import OperatorTrust
from banyan_replica.wire.messages import Witness

STALE_MS = 15 * 60_000
"""An older statement is never news, even of a forgotten platform; otherwise it could circulate for ever."""
LIVE_MS = 30_000
"""Two statements of a platform came without delay if the times between them differ by at most this here and there."""
PLATFORMS = 1_024
"""Platforms that nobody named, whose latest statement is remembered."""
UNNAMED_PER_S, UNNAMED_BURST = 20, 64
"""Statements of such platforms that are checked and passed on: as many as 1,200 platforms make. More are dropped
unread, so that a flood of them costs a node a five-hundredth of a core."""


class Witnesses:
    """The latest signed statement of each platform. signer: this node's own, if it is a platform."""

    def __init__(self, realm: Realm, signer: Signer | None, named: OperatorTrust | None = None) -> None:
        self._realm, self._signer = realm, signer
        self.named = named or OperatorTrust()
        self._latest: OrderedDict[WriterKey, Witness] = OrderedDict()
        self._made_ms = 0
        self.matched: dict[bytes, int] = {}
        """Our own roots and when we had them (milliseconds), newest last."""
        self._came: dict[WriterKey, tuple[int, int]] = {}
        """Of each named platform, when its newest statement was made and came, milliseconds."""
        self._ahead: dict[WriterKey, int] = {}
        self._unnamed, self._unnamed_ms = float(UNNAMED_BURST), 0
        """Statements that may be checked, at that time."""

    def due(self, now_ms: int, root: bytes, every_s: float) -> Witness | None:
        """A new statement of our own if one is due."""
        self.saw(root, now_ms)
        if self._signer is None or now_ms - self._made_ms < every_s * 1000:
            return None
        self._made_ms = now_ms
        made = Witness(self._signer.key, now_ms, root, self._signer.sign(_witnessed_hash(now_ms, root)))
        self._latest[made.platform] = made
        return made

    def saw(self, root: bytes, now_ms: int) -> None:
        """Notes our own root; the last 3,600 distinct ones are kept."""
        self.matched.pop(root, None)
        self.matched[root] = now_ms
        if len(self.matched) > 3_600:
            self.matched.pop(next(iter(self.matched)))

    def heard(self, w: Witness, now_ms: int) -> bool:
        """Takes a statement; returns whether it is news. Raises BadSignature."""
        known, named = self._latest.get(w.platform), self.named.has(w.platform)
        live = -STALE_MS < w.time_ms - now_ms <= FUTURE_MS  # by our clock, which may be wrong
        news = live and (known is None or w.time_ms > known.time_ms)
        tells_time = named and w.time_ms > self._came.get(w.platform, (0, 0))[0]
        if not (tells_time or (news and (named or self._has_room(now_ms)))):
            return False
        try:
            verify(self._realm, w.platform, _witnessed_hash(w.time_ms, w.root), w.sig)
        except BadSignature:
            raise BadSignature(f"the witness of platform {w.platform.hex()[:16]} is not signed by it") from None
        if tells_time:
            self._compare_clocks(w, now_ms)
        if news:
            self._latest[w.platform] = w
            self._latest.move_to_end(w.platform)
            self._forget()
        return news

    def _has_room(self, now_ms: int) -> bool:
        """Whether one more statement of a platform that nobody named is checked now."""
        grown = self._unnamed + max(0, now_ms - self._unnamed_ms) / 1000 * UNNAMED_PER_S
        self._unnamed, self._unnamed_ms = min(float(UNNAMED_BURST), grown), now_ms
        if self._unnamed < 1:
            return False
        self._unnamed -= 1
        return True

    def _forget(self) -> None:
        if len(self._latest) > PLATFORMS:
            oldest = next((p for p in self._latest if not self.named.has(p)), None)
            if oldest is not None:
                del self._latest[oldest]

    def _compare_clocks(self, w: Witness, now_ms: int) -> None:
        """Notes how far our clock is ahead of a named platform's, if the statement came without delay."""
        made_ms, came_ms = self._came.get(w.platform, (0, 0))
        if made_ms and abs((now_ms - came_ms) - (w.time_ms - made_ms)) <= LIVE_MS:
            self._ahead[w.platform] = now_ms - w.time_ms
        self._came[w.platform] = (w.time_ms, now_ms)

    def ahead_ms(self) -> tuple[int, int] | None:
        """(milliseconds that our clock is ahead of the median of the named platforms, how many these are).
        Negative: behind. None until statements of one have come twice."""
        ahead = sorted(self._ahead.values())
        return (ahead[len(ahead) // 2], len(ahead)) if ahead else None

    def latest(self) -> list[Witness]:
        """Those of named platforms first, and of these the newest first."""
        return sorted(self._latest.values(), key=lambda w: (not self.named.has(w.platform), -w.time_ms))

    def fresh_as_of(self) -> tuple[int, WriterKey] | None:
        """(time in ms, platform) of a named platform's newest statement whose root this node has also had. Own ones do
        not count."""
        own = self._signer.key if self._signer else None
        for w in self.latest():
            if not self.named.has(w.platform):
                break
            if w.platform != own and w.root in self.matched:
                return w.time_ms, w.platform
        return None


def _witnessed_hash(time_ms: int, root: bytes) -> EntryId:
    """The hash that is signed in place of an entry id. Its tag differs, so it never equals one."""
    return EntryId(H("witness", time_ms.to_bytes(8, "big"), root))


# Withheld content: who withholds it, by which order, and until when. They are signed and auditable.
#
# Structure is always sent. Content may be withheld; then a peer that asks for it gets this statement. So content never
# disappears silently, and nodes may have different policies while their logs stay equal.
#
#     [[1, platform, time ms, entry, op, order, basis, scope, expires ms|null], sig]   sig over H("withheld", statement)

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
    return encode([statement, signer.sign(_withheld_hash(statement))])


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
        verify(realm, WriterKey(f[1]), _withheld_hash(v[0]), v[1])
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


def _withheld_hash(statement: bytes) -> EntryId:
    """The hash that is signed in place of an entry id. Its tag differs, so it never equals one."""
    return EntryId(H("withheld", statement))
