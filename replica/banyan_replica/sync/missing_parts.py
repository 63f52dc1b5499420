"""Asks neighbours for missing content. Frontiers may be equal although a relay sent only the structure of entries.

The store keeps an index of parts that count, are wanted and are not held. It is asked for in two ways, so that
neighbours that withhold cannot keep from us for long what another has:

- When more is missing, some neighbours are tried one after another for the newest of it: first those that were asked in
  vain least often since content came from them. The next is asked `Limits.parts_next_s` after an answer, or
  `Limits.parts_s` after a question without one.
- A random neighbour is asked for what comes next in the index: every second while content arrives. If no neighbour has
  any, the pause doubles up to `Limits.parts_most_s`. A new neighbour, or more missing content, resets the pause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from banyan_crdt.errors import NotYet
from banyan_crdt.ids import AccountId, EntryId
from banyan_replica.gossip.settings import Rng
from banyan_replica.host import ReplicaHost
from banyan_replica.peers.limits import Limits
from banyan_replica.peers.session import PeerSession
from banyan_replica.peers.statements import read_withheld
from banyan_replica.wire.messages import Parts, WantParts
from banyan_storage.reader import Lack
from banyan_storage.store import Store

ANSWER_BYTES = 1 << 20
"""Bytes of content in one answer; the rest is asked for again."""


class MissingParts:
    """Walks the index of missing parts again and again. why_not(peer, account): why nothing of the account is taken
    from the peer now, or nothing."""

    def __init__(
        self, store: Store, limits: Limits, rng: Rng, why_not: Callable[[str, AccountId], str], around: ReplicaHost
    ) -> None:
        self._store, self._limits, self._rng, self._why_not, self._around = store, limits, rng, why_not, around
        self._cursor = b""
        self._walk_at = inf
        self._fruitless = 0
        """Questions since content came, a neighbour came, or more was missing."""
        self._lacking = 0
        self._asked: dict[str, int] = {}
        """Open questions to each neighbour."""
        self._named: dict[str, frozenset[tuple[EntryId, int]]] = {}
        """What each neighbour was last asked for, while a question is open."""
        self._in_vain: dict[str, int] = {}
        """Questions to each neighbour since missing content came from it."""
        self._known: set[str] = set()
        """The neighbours at the last call of `ask`."""
        self._to_try: list[str] = []
        """The neighbours that are still to be asked for the newest missing content, the next one first."""
        self.try_at: float | None = None
        """When `ask` is to be called for the next of them, besides every second."""
        self.withheld: dict[tuple[EntryId, int], bytes] = {}
        """The last reason given for a part that is still missing; bounded by `Limits.notes`."""
        self._also: dict[str, frozenset[tuple[EntryId, int]]] = {}
        """What each neighbour was asked about by `ask_about`, while that is open."""

    def ask(self, links: Sequence[PeerSession], now: float) -> list[tuple[str, WantParts]]:
        """At most one question, to one neighbour."""
        ready = {link.peer: link for link in links if link.hello is not None}
        lacking = self._store.counts().lacking
        self._follow(lacking, set(ready), now)
        if not lacking:
            self._to_try, self.try_at, self._walk_at = [], None, inf
            return []
        if now >= self._walk_at + self._limits.parts_s:  # what comes anew must not put off what is missing for long
            return self._walk(list(ready), now) or self._try_next(now)
        return self._try_next(now) or self._walk(list(ready), now)

    def _follow(self, lacking: int, ready: set[str], now: float) -> None:
        """Notes new neighbours, and whether more is missing."""
        more, new = lacking > self._lacking, sorted(ready - self._known)
        self._lacking, self._known = lacking, ready
        if more or new:
            self._fruitless, self._walk_at = 0, min(self._walk_at, now + self._limits.parts_s)
            tried = sorted(ready) if more else new
            tried.sort(key=lambda peer: (self._in_vain.get(peer, 0), self._rng.random()))
            self._to_try = ([] if more else self._to_try) + tried
            del self._to_try[self._limits.parts_tries :]
            self._try_by(now)

    def is_due(self, now: float) -> bool:
        return self.try_at is not None and self.try_at <= now

    def _try_by(self, at: float) -> None:
        self.try_at = at if self.try_at is None else min(self.try_at, at)

    def _try_next(self, now: float) -> list[tuple[str, WantParts]]:
        if not self.is_due(now):
            return []
        self._to_try = [peer for peer in self._to_try if peer in self._known]
        self.try_at = None
        if not self._to_try:
            return []
        question = self._question(self._to_try.pop(0), self._store.last_lacking(self._limits.parts_asked))
        if self._to_try:
            self.try_at = now + (self._limits.parts_s if question else self._limits.parts_next_s)
        return question

    def _walk(self, ready: Sequence[str], now: float) -> list[tuple[str, WantParts]]:
        if now < self._walk_at or not ready:
            return []
        rows = self._store.lacking(self._cursor, self._limits.parts_asked)
        if not rows:
            self._cursor = b""
            return []
        self._cursor = rows[-1].cursor if len(rows) == self._limits.parts_asked else b""
        self._fruitless += 1
        self._walk_at = now + self._pause(len(ready))
        return self._question(ready[self._rng.randrange(len(ready))], rows)

    def _question(self, peer: str, rows: Sequence[Lack]) -> list[tuple[str, WantParts]]:
        wanted = [(row.entry, row.op) for row in rows if self._is_taken(peer, row.entry)]
        if not wanted:
            return []
        self._asked[peer] = self._asked.get(peer, 0) + 1
        self._in_vain[peer] = self._in_vain.get(peer, 0) + 1
        self._named[peer] = frozenset(wanted)
        return [(peer, WantParts(wanted))]

    def ask_about(self, peer: str, some: Sequence[tuple[EntryId, int]]) -> list[WantParts]:
        """Asks for statements about operations without content, unless another question is open."""
        if self.asked(peer):
            return []
        self._asked[peer], asked = 1, [*some[: self._limits.parts_asked]]
        self._also[peer] = frozenset(asked)
        return [WantParts(asked)]

    def _is_taken(self, peer: str, entry: EntryId) -> bool:
        """Whether there is room for the content of the entry if the peer sends it."""
        place = self._store.place(entry)
        return place is not None and not self._why_not(peer, place[0].account)

    def _pause(self, neighbours: int) -> float:
        """Seconds until the next question: doubled each time all neighbours could have been asked for everything."""
        questions = neighbours * -(-self._lacking // self._limits.parts_asked)
        doubled = min(self._fruitless // questions, 20)
        return min(self._limits.parts_s * (1 << doubled), self._limits.parts_most_s)

    def answer(self, wanted: Sequence[tuple[EntryId, int]]) -> list[tuple[EntryId, int, bytes | None, bytes]]:
        """The held content, and the signed reason for content that was erased here."""
        out: list[tuple[EntryId, int, bytes | None, bytes]] = []
        size = 0
        for entry, op in wanted[: self._limits.parts_asked]:
            raw = self._store.part(entry, op)
            reason = self._store.withheld(entry, op) or self._around.statement(entry, op) if raw is None else None
            if raw is None and reason is None:
                continue
            size += len(raw or b"") + 64
            if size > ANSWER_BYTES:
                break
            out.append((entry, op, raw, reason or b""))
        return out

    def asked(self, peer: str) -> bool:
        """Whether a question to the peer is open."""
        return self._asked.get(peer, 0) > 0

    def gone(self, peer: str) -> None:
        """The link is down."""
        self._asked.pop(peer, None)
        self._named.pop(peer, None)
        self._also.pop(peer, None)
        self._in_vain.pop(peer, None)

    def answered(self, link: PeerSession, m: Parts, now: float) -> None:
        """Notes why content is withheld. Raises Reject if a statement is not valid; an empty one, or one of a later
        version, is accepted."""
        self._asked[link.peer] -= 1
        asked, also = self._named.pop(link.peer, frozenset()), self._also.pop(link.peer, frozenset())
        said = {row[:2]: self._statement(row[3], *row[:2]) for row in m.parts if row[:2] in also}
        if also and (said or not asked):  # else it may be the answer to another question
            self._around.answered(link.peer, dict.fromkeys(also, b"") | said, now)
        if self._to_try:
            self._try_by(now + self._limits.parts_next_s)
        for entry, op, raw, reason in m.parts:
            key = (entry, op)
            if raw is None and key in asked and len(self.withheld) < self._limits.notes:
                found = self.withheld[key] = self._statement(reason, entry, op)
                if found:
                    self._around.stated(entry, op, found)
            elif raw is not None:
                self.withheld.pop(key, None)

    def _statement(self, reason: bytes, entry: EntryId, op: int) -> bytes:
        try:
            if reason:
                read_withheld(self._store.realm, reason, entry, op)
        except NotYet:
            return b""
        return reason

    def came(self, peer: str, now: float) -> None:
        """Missing content arrived, so more is asked for at once."""
        self._in_vain[peer] = 0
        self._fruitless, self._walk_at = 0, min(self._walk_at, now)
