"""What this node believes of its peers together: whether they may all be one stranger, and whether its clock is wrong.

Only on the replica's thread; what others need of it is published (publisher.py). A clock that is ahead is seen by what
peers do not take: they refuse entries of their future, and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from banyan_crdt.ids import LogId, WriterKey, is_checkpoint
from banyan_replica.gossip.address_groups import LOCAL, group_of
from banyan_replica.intake.clock_bounds import FUTURE_MS
from banyan_replica.status import LinkView, ReplicaView
from banyan_storage.reader import StoreReader

NETWORKS = 3
"""Peers that nobody named are believed together if they are in so many networks (gossip/address_groups.py)."""

UNTAKEN_S = 60.0
"""Entries of this node that no peer takes for so long are refused; peers that agree take them within seconds."""
LOOK_S = 1.0
"""How often it is looked for that."""


def are_independent(links: Iterable[LinkView]) -> bool:
    """Whether these peers cannot all be one stranger: the operator named one, or they are in NETWORKS networks.
    Those of this machine and of private networks are in one."""
    groups = set[str]()
    for link in links:
        if link.named:
            return True
        group = group_of(link.address)
        groups.add(LOCAL if group.startswith(LOCAL) else group)
    return len(groups) >= NETWORKS


def wrong_by_platforms(ahead_ms: int, platforms: int) -> str | None:
    """A sentence if this machine's clock is not that of the platforms that the operator named."""
    if abs(ahead_ms) <= FUTURE_MS:
        return None
    way = "ahead of" if ahead_ms > 0 else "behind"
    others = "the only named platform" if platforms == 1 else f"{platforms} named platforms"
    return f"this clock is {abs(ahead_ms) // 60_000:,} min {way} {others}; set it, with NTP if you can"


def wrong_clock(view: ReplicaView) -> str | None:
    """The same, or if no named platform was heard, by entries that peers send."""
    if view.ahead_ms is not None:
        return wrong_by_platforms(view.ahead_ms, view.platforms)
    notes = {key for key, note in view.notes.items() if note.reason == "future"}
    peers = {peer for peer, _ in notes}
    if notes and are_independent(link for link in view.links if link.peer in peers):
        logs = len({log for _, log in notes})
        what = f"entries of {logs:,} log{'s' * (logs > 1)} that peers have are dated in the future"
        return f"{what}; if that lasts, this clock is behind: set it"
    return None


class _Stood(NamedTuple):
    """A peer holds `length` entries of a log, and has since then (seconds)."""

    length: int
    since: float


class UntakenWrites:
    """Notices that no linked peer takes what this node writes. One that agrees with this node, or that takes some of
    it, shows that it is not so."""

    def __init__(self, writer: WriterKey, store: StoreReader) -> None:
        self._writer, self._store = writer, store
        self._stood: dict[tuple[str, LogId], _Stood] = {}
        self._due = 0.0
        self._said: str | None = None

    def look(self, now: float, view: ReplicaView) -> str | None:
        """A sentence if it is so."""
        if now >= self._due:
            self._due = now + LOOK_S
            self._said = self._look(view, now)
        return self._said

    def _look(self, view: ReplicaView, now: float) -> str | None:
        before, self._stood = self._stood, {}
        refusing, others, entries = set[str](), False, 0
        for link in view.links:
            if not link.greeted:
                continue
            others = others or link.equal
            for log, theirs in link.differences.items():
                if log.writer != self._writer or is_checkpoint(log):
                    continue
                mine = self._store.head(log).length
                if theirs.length >= mine:
                    continue
                old = before.get((link.peer, log))
                stood = old if old is not None and old.length == theirs.length else _Stood(theirs.length, now)
                self._stood[link.peer, log] = stood
                if now - stood.since >= UNTAKEN_S:
                    refusing.add(link.peer)
                    entries = max(entries, mine - theirs.length)
        if others or not refusing:
            return None
        what = "the last entry" if entries == 1 else f"the last {entries:,} entries"
        no = "does not take" if len(refusing) == 1 else "do not take"
        who = "the linked peer" if len(refusing) == 1 else f"{len(refusing)} linked peers"
        return f"{who} {no} {what} of this node; this clock may be ahead of theirs: compare it, and set it"
