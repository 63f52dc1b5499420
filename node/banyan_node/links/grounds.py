"""What this node believes of its peers together: whether they may all be one stranger, and whether its clock is wrong.

Only on the replica's thread; what others need of it is published (published.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_replica.gossip.groups import LOCAL, group_of
from banyan_replica.intake.future import FUTURE_MS
from banyan_replica.peers.session import PeerSession
from banyan_replica.replica import Replica

NETWORKS = 3
"""Peers that nobody named are believed together if they are in so many networks (gossip/groups.py)."""


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
