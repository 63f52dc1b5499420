"""Missing content is asked for elsewhere: frontiers may agree while a relay passed on the structure alone.

The store keeps an index of parts that count, are wanted and are not held. Every second some of them are asked of a
neighbour drawn at random, so that one that withholds cannot starve us of what another has.
"""

from __future__ import annotations

from collections.abc import Sequence

from banyan_crdt.ids import EntryId
from banyan_replica.gossip.settings import Rng
from banyan_replica.peers.links import Limits, Link
from banyan_replica.peers.withholding import read_withheld
from banyan_replica.wire import Parts, WantParts
from banyan_storage.store import Store

ANSWER_BYTES = 1 << 20
"""Content in one answer, bytes; what is left out is asked for again."""


class MissingParts:
    """Walks the index of lacking parts in a circle."""

    def __init__(self, store: Store, limits: Limits, rng: Rng) -> None:
        self._store, self._limits, self._rng = store, limits, rng
        self._cursor = b""
        self._ask_at = 0.0
        self.withheld: dict[tuple[EntryId, int], bytes] = {}
        """The last reason given for a part that nobody gave us yet; bounded by `Limits.notes`."""

    def ask(self, links: Sequence[Link], now: float) -> list[tuple[str, WantParts]]:
        """At most one question, to one neighbour."""
        ready = [link for link in links if link.hello is not None]
        if now < self._ask_at or not ready:
            return []
        self._ask_at = now + self._limits.parts_s
        rows = self._store.lacking(self._cursor, self._limits.parts_asked)
        if not rows:
            self._cursor = b""
            return []
        self._cursor = rows[-1].cursor if len(rows) == self._limits.parts_asked else b""
        link = ready[self._rng.randrange(len(ready))]
        wanted = [(row.entry, row.op) for row in rows]
        link.parts_asked = dict.fromkeys(wanted, now)
        return [(link.peer, WantParts(wanted))]

    def answer(self, wanted: Sequence[tuple[EntryId, int]]) -> list[tuple[EntryId, int, bytes | None, bytes]]:
        """What is held of it, and for what was erased here the signed reason."""
        out: list[tuple[EntryId, int, bytes | None, bytes]] = []
        size = 0
        for entry, op in wanted[: self._limits.parts_asked]:
            raw = self._store.part(entry, op)
            reason = self._store.withheld(entry, op) if raw is None else None
            if raw is None and reason is None:
                continue
            size += len(raw or b"") + 64
            if size > ANSWER_BYTES:
                break
            out.append((entry, op, raw, reason or b""))
        return out

    def answered(self, link: Link, m: Parts) -> None:
        """Raises Reject where a withholding is not what it says; one without a statement is taken as it is."""
        for entry, op, raw, reason in m.parts:
            key = (entry, op)
            if raw is None and key in link.parts_asked and len(self.withheld) < self._limits.notes:
                if reason:
                    read_withheld(self._store.realm, reason, entry, op)
                self.withheld[key] = reason
            elif raw is not None:
                self.withheld.pop(key, None)
        if any(raw is not None for _, _, raw, _ in m.parts):
            self._ask_at = 0.0  # it flows: ask for more at once
        link.parts_asked = {}
