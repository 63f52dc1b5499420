"""The effects of the replica, in order. `Commit` comes before every effect that depends on what it makes durable."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias


class Send(NamedTuple):
    """One frame for one peer. own: it pushes what this node's people wrote, and goes before others that wait."""

    peer: str
    data: bytes
    own: bool = False


class Commit(NamedTuple):
    """Make the store durable before the effects that follow; if that fails, call `commit_failed`."""


class Connect(NamedTuple):
    """Dial the peer at one of these addresses; answer with `peer_up` or `dial_failed`."""

    peer: str
    addrs: tuple[str, ...]


class Disconnect(NamedTuple):
    peer: str
    reason: str


class Event(NamedTuple):
    """Information for people and programs."""

    name: str
    fields: dict[str, Any]


Effect: TypeAlias = Send | Commit | Connect | Disconnect | Event
