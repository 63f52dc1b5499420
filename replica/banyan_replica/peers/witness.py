"""Fresh as of: completeness is provable only up to a head that somebody showed; a witness shows when that was.

A platform signs (time, frontier root) every minute. A node whose root has matched one, or that holds what the platform
held then, knows how long it can have been kept in the dark at most.
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
"""An older statement is no news, also where the platform was forgotten: else it could go round for ever."""
LIVE_MS = 30_000
"""Two statements of one platform that came as far apart as they were made, but for so much, came as they were made."""
PLATFORMS = 1_024
"""Platforms whose latest witness is remembered."""


class Witnesses:
    """The latest signed statement of each platform; `signer` is this node's own key if it is a platform."""

    def __init__(self, realm: Realm, signer: Signer | None) -> None:
        self._realm, self._signer = realm, signer
        self._latest: OrderedDict[WriterKey, Witness] = OrderedDict()
        self._made_ms = 0
        self.matched: dict[bytes, int] = {}
        """Roots that were ours, and when, most recent last (milliseconds)."""
        self._came: OrderedDict[WriterKey, tuple[int, int]] = OrderedDict()
        self._ahead: dict[WriterKey, int] = {}

    def due(self, now_ms: int, root: bytes, every_s: float) -> Witness | None:
        """A new statement of our own when one is due."""
        self.saw(root, now_ms)
        if self._signer is None or now_ms - self._made_ms < every_s * 1000:
            return None
        self._made_ms = now_ms
        made = Witness(self._signer.key, now_ms, root, self._signer.sign(_named(now_ms, root)))
        self._latest[made.platform] = made
        return made

    def saw(self, root: bytes, now_ms: int) -> None:
        """Our own root at this time; kept for an hour's worth of distinct roots at most."""
        self.matched.pop(root, None)
        self.matched[root] = now_ms
        if len(self.matched) > 3_600:
            self.matched.pop(next(iter(self.matched)))

    def heard(self, w: Witness, now_ms: int) -> bool:
        """Whether it is news. Raises BadSignature."""
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
        """Notes how far our clock is ahead of a platform's, from a statement that comes as it is made and not later.

        Unsigned ones count too: it decides nothing but what this node's operator is told.
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
        """(milliseconds by which our clock is ahead of the median of the platforms', how many platforms); None while no
        other platform's statements have come twice. Negative: behind."""
        ahead = sorted(self._ahead.values())
        return (ahead[len(ahead) // 2], len(ahead)) if ahead else None

    def latest(self) -> list[Witness]:
        """Newest first."""
        return sorted(self._latest.values(), key=lambda w: -w.time_ms)

    def fresh_as_of(self) -> tuple[int, WriterKey] | None:
        """(time in ms, platform) of the newest statement whose root this node has held too; own ones do not count."""
        own = self._signer.key if self._signer else None
        for w in self.latest():
            if w.platform != own and w.root in self.matched:
                return w.time_ms, w.platform
        return None


def _named(time_ms: int, root: bytes) -> EntryId:
    """What is signed, in the place of an entry id: no entry has this id, the tag differs."""
    return EntryId(H("witness", time_ms.to_bytes(8, "big"), root))
