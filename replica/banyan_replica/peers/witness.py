"""Witnesses: signed statements of platforms that show how fresh this node is.

A platform signs (time, frontier root) every minute. If a node's root has matched one, the node had everything that the
platform had at that time. So it knows since when news can at most have been kept from it.
"""

from __future__ import annotations

from collections import OrderedDict

from banyan_crdt.errors import BadSignature
from banyan_crdt.ids import EntryId, H, WriterKey
from banyan_crdt.realm import Realm
from banyan_crdt.signing import Signer, verify
from banyan_replica.intake.future import FUTURE_MS
from banyan_replica.wire import Witness

STALE_MS = 15 * 60_000
"""An older statement is never news, even of a forgotten platform; otherwise it could circulate for ever."""
LIVE_MS = 30_000
"""Two statements of a platform came without delay if the times between them differ by at most this here and there."""
PLATFORMS = 1_024
"""Platforms whose latest statement is remembered."""


class Witnesses:
    """The latest signed statement of each platform. signer: this node's own, if it is a platform."""

    def __init__(self, realm: Realm, signer: Signer | None) -> None:
        self._realm, self._signer = realm, signer
        self._latest: OrderedDict[WriterKey, Witness] = OrderedDict()
        self._made_ms = 0
        self.matched: dict[bytes, int] = {}
        """Our own roots and when we had them (milliseconds), newest last."""
        self._came: OrderedDict[WriterKey, tuple[int, int]] = OrderedDict()
        self._ahead: dict[WriterKey, int] = {}

    def due(self, now_ms: int, root: bytes, every_s: float) -> Witness | None:
        """A new statement of our own if one is due."""
        self.saw(root, now_ms)
        if self._signer is None or now_ms - self._made_ms < every_s * 1000:
            return None
        self._made_ms = now_ms
        made = Witness(self._signer.key, now_ms, root, self._signer.sign(_named(now_ms, root)))
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
        self._compare_clocks(w, now_ms)
        known = self._latest.get(w.platform)
        if (known is not None and w.time_ms <= known.time_ms) or not -STALE_MS < w.time_ms - now_ms <= FUTURE_MS:
            return False
        try:
            verify(self._realm, w.platform, _named(w.time_ms, w.root), w.sig)
        except BadSignature:
            raise BadSignature(f"the witness of platform {w.platform.hex()[:16]} is not signed by it") from None
        self._latest[w.platform] = w
        self._latest.move_to_end(w.platform)
        if len(self._latest) > PLATFORMS:
            self._latest.popitem(last=False)
        return True

    def _compare_clocks(self, w: Witness, now_ms: int) -> None:
        """Notes how far our clock is ahead of a platform's, if the statement came without delay.

        Signatures are not checked here, because this is only shown to the operator.
        """
        made_ms, came_ms = self._came.get(w.platform, (0, 0))
        if w.time_ms <= made_ms:
            return
        if made_ms and abs((now_ms - came_ms) - (w.time_ms - made_ms)) <= LIVE_MS:
            self._ahead[w.platform] = now_ms - w.time_ms
        self._came[w.platform] = (w.time_ms, now_ms)
        self._came.move_to_end(w.platform)
        if len(self._came) > PLATFORMS:
            self._ahead.pop(self._came.popitem(last=False)[0], None)

    def ahead_ms(self) -> tuple[int, int] | None:
        """(milliseconds that our clock is ahead of the median of the platforms, number of platforms). Negative: behind.
        None until statements of some platform have come twice."""
        ahead = sorted(self._ahead.values())
        return (ahead[len(ahead) // 2], len(ahead)) if ahead else None

    def latest(self) -> list[Witness]:
        """Newest first."""
        return sorted(self._latest.values(), key=lambda w: -w.time_ms)

    def fresh_as_of(self) -> tuple[int, WriterKey] | None:
        """(time in ms, platform) of the newest statement whose root this node has also had. Own ones do not count."""
        own = self._signer.key if self._signer else None
        for w in self.latest():
            if w.platform != own and w.root in self.matched:
                return w.time_ms, w.platform
        return None


def _named(time_ms: int, root: bytes) -> EntryId:
    """The hash that is signed in place of an entry id. Its tag differs, so it never equals one."""
    return EntryId(H("witness", time_ms.to_bytes(8, "big"), root))
