"""Whom the operator of this node named: peers (`node.bootstrap`, `banyan peers add`) and platforms (`node.platforms`);
and the members of the charter that it follows.

All others are strangers. What named peers bring is not counted as a stranger's (`untrusted.py`). A node also keeps
places for them (`connection_slots.py`), never throttles them (`throttle.py`), and relies on them (`fair_queue.py`).

A peer that says it is the platform of an account hosted here stays linked like those that are named (`in`), one for
each platform. Nothing proves it, so it gets nothing else. Nodes that members name stay linked too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from banyan_crdt.ids import WriterKey


class OperatorTrust:
    """What the operator named: peers, and platforms by the key that signs their statements. A peer that is named stands
    for the platform's key in its hello."""

    def __init__(
        self,
        peers: Iterable[str] = (),
        platforms: Iterable[WriterKey] = (),
        is_host: Callable[[WriterKey], bool] = lambda platform: False,
    ) -> None:
        """is_host: whether the platform may write for an account that is hosted here."""
        self.peers, self._platforms, self._is_host = set(peers), frozenset(platforms), is_host
        self._of_peers: dict[str, WriterKey] = {}
        self._hosts: dict[WriterKey, str] = {}
        self._members: Collection[str] = ()
        self._member_platforms: Collection[WriterKey] = ()

    def __contains__(self, peer: object) -> bool:
        """Whether the peer stays linked."""
        return peer in self.peers or peer in self._hosts.values() or peer in self._members

    def set_members(self, peers: Collection[str], platforms: Collection[WriterKey]) -> None:
        """The nodes of members, and the keys of their platforms."""
        self._members, self._member_platforms = peers, platforms

    def trusts(self, platform: WriterKey) -> bool:
        """Whether its statements count about any account: the operator named it, or it is a member's."""
        return platform in self._platforms or platform in self._member_platforms

    def name(self, peer: str, operator: bytes) -> None:
        """The operator names a peer. operator: the platform's key if it said hello, or empty."""
        self.peers.add(peer)
        self.said(peer, operator)

    def said(self, peer: str, operator: bytes) -> None:
        """A peer said hello. operator: its platform's key, or empty."""
        if peer in self.peers and operator:
            self._of_peers[peer] = WriterKey(operator)
        elif operator and self._is_host(WriterKey(operator)):
            self._hosts[WriterKey(operator)] = peer

    def has(self, platform: WriterKey) -> bool:
        return self.trusts(platform) or platform in self._of_peers.values()
