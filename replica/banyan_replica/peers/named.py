"""Whom the operator of this node named: peers (`node.bootstrap`, `banyan peers add`) and platforms (`node.platforms`).

All others are strangers. What named peers bring is not counted as a stranger's (`strangers.py`). A node also keeps
places for them (`slots.py`), never throttles them (`throttle.py`), and relies on them (`turns.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_crdt.ids import WriterKey


class NamedByOperator:
    """What the operator named: peers, and platforms by the key that signs their statements. A peer that is named stands
    for the platform's key in its hello."""

    def __init__(self, peers: Iterable[str] = (), platforms: Iterable[WriterKey] = ()) -> None:
        self.peers, self._platforms = set(peers), frozenset(platforms)
        self._of_peers: dict[str, WriterKey] = {}

    def name(self, peer: str, operator: bytes) -> None:
        """The operator names a peer. operator: the platform's key if it said hello, or empty."""
        self.peers.add(peer)
        self.said(peer, operator)

    def said(self, peer: str, operator: bytes) -> None:
        """A peer said hello. operator: its platform's key, or empty."""
        if peer in self.peers and operator:
            self._of_peers[peer] = WriterKey(operator)

    def has(self, platform: WriterKey) -> bool:
        return platform in self._platforms or platform in self._of_peers.values()
