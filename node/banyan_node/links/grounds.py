"""What this node believes of its peers together: whether they may all be one stranger, and whether its clock is wrong.

Only on the replica's thread; what others need of it is published (published.py). A clock that is ahead is seen by what
peers do not take: they refuse entries of their future, and say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from banyan_crdt.ids import LogId, WriterKey, is_checkpoint
from banyan_replica.gossip.groups import LOCAL, group_of
from banyan_replica.intake.future import FUTURE_MS
from banyan_replica.peers.session import PeerSession
from banyan_replica.replica import Replica

NETWORKS = 3
"""Peers that nobody named are believed together if they are in so many networks (gossip/groups.py)."""

UNTAKEN_S = 60.0
"""Entries of this node that no peer takes for so long are refused; peers that agree take them within seconds."""
LOOK_S = 1.0
"""How often it is looked for that."""


def are_independent(replica: Replica, links: Iterable[PeerSession]) -> bool:
    """Whether these peers cannot all be one stranger: the operator named one, or they are in NETWORKS networks.
    Those of this machine and of private networks are in one."""
    named, groups = replica.witnesses.named.peers, set[str]()
    for link in links:
        if link.peer in named:
            return True
        group = group_of(link.address)
        groups.add(LOCAL if group.startswith(LOCAL) else group)
    return len(groups) >= NETWORKS


def wrong_by_platforms(replica: Replica) -> str | None:
    """A sentence if this machine's clock is not that of the platforms that the operator named."""
    found = replica.witnesses.ahead_ms()
    if found is None or abs(found[0]) <= FUTURE_MS:
        return None
    ahead, platforms = found
    way = "ahead of" if ahead > 0 else "behind"
    others = "the only named platform" if platforms == 1 else f"{platforms} named platforms"
    return f"this clock is {abs(ahead) // 60_000:,} min {way} {others}; set it, with NTP if you can"


def wrong_clock(replica: Replica) -> str | None:
    """The same, or if no named platform was heard, by entries that peers send."""
    if replica.witnesses.ahead_ms() is not None:
        return wrong_by_platforms(replica)
    notes = {key for key, note in replica.intake.notes.items() if note.reason == "future"}
    peers = [link for peer in {peer for peer, _ in notes} if (link := replica.links.get(peer)) is not None]
    if notes and are_independent(replica, peers):
        logs = len({log for _, log in notes})
        what = f"entries of {logs:,} log{'s' * (logs > 1)} that peers have are dated in the future"
        return f"{what}; if that lasts, this clock is behind: set it"
    return None


class _Stood(NamedTuple):
    """A peer holds `length` entries of a log, and has since then (seconds)."""

    length: int
    since: float


class Untaken:
    """Notices that no linked peer takes what this node writes. One that agrees with this node, or that takes some of
    it, shows that it is not so."""

    def __init__(self, writer: WriterKey) -> None:
        self._writer = writer
        self._stood: dict[tuple[str, LogId], _Stood] = {}
        self._due = 0.0
        self._said: str | None = None

    def look(self, replica: Replica, now: float) -> str | None:
        """A sentence if it is so."""
        if now >= self._due:
            self._due = now + LOOK_S
            self._said = self._look(replica, now)
        return self._said

    def _look(self, replica: Replica, now: float) -> str | None:
        before, self._stood = self._stood, {}
        refusing, others, entries = set[str](), False, 0
        for link in replica.links.values():
            if link.hello is None:
                continue
            others = others or link.course.live
            for log, theirs in link.told.differences.items():
                if log.writer != self._writer or is_checkpoint(log):
                    continue
                mine = replica.sync.ingest.head(log).length
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
