"""Peers that the next start looks for, in `peers.json`.

First of all those that this node chose (the gossip's anchors): whoever fills our links by dialling us may not decide
whom we find again. Only where there are none, those that dialled us, as they say they may be reached; the start lets
go of them as soon as anybody is linked. What was known is not forgotten because nobody is linked at the moment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from banyan_node.home.folder import write_private
from banyan_replica.gossip.frames import PeerInfo


class Anchor(NamedTuple):
    """called: it dialled us, and never we it."""

    peer: str
    addrs: tuple[str, ...]
    called: bool = False

    @property
    def addr(self) -> str:
        """The first address, with the peer's id, which is what makes sure who answers."""
        first = self.addrs[0]
        return first if "/p2p/" in first else f"{first}/p2p/{self.peer}"


def worth_keeping(chosen: Sequence[PeerInfo], callers: Sequence[PeerInfo]) -> list[Anchor]:
    """What is written down."""
    if chosen:
        return [Anchor(a.peer, tuple(a.addrs)) for a in chosen]
    return [Anchor(a.peer, tuple(a.addrs), True) for a in callers]


def write(path: Path, anchors: Sequence[Anchor]) -> None:
    """Nothing, where nobody is known: those of before may come back."""
    if anchors:
        write_private(path, json.dumps([a._asdict() for a in anchors]).encode())


def read(path: Path) -> list[Anchor]:
    """Peers remembered from the last run; an unreadable file is no reason not to start."""
    try:
        rows = json.loads(path.read_text("utf-8"))
        found = [Anchor(str(r["peer"]), tuple(map(str, r["addrs"])), bool(r.get("called"))) for r in rows]
        return [a for a in found if a.addrs]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
