"""The peers that the next start dials, in `peers.json`.

These are the peers that this node chose (the gossip's anchors), because an attacker who fills our links by dialling us
must not decide whom we find again. If there are none, the file names peers that dialled us, at the addresses that they
announce; the next start stops dialling them once any peer is linked. A node without links keeps the old file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import trio

from banyan_node.context import Context
from banyan_node.home.folder import write_private
from banyan_node.workers.worker import Worker
from banyan_replica.gossip.frames import PeerInfo

WRITES_S = 30.0
"""Seconds between two writes of the file."""


class Anchor(NamedTuple):
    """called: it dialled us, and we never dialled it."""

    peer: str
    addrs: tuple[str, ...]
    called: bool = False

    @property
    def addr(self) -> str:
        """The first address with the peer's id, so that no other peer can answer."""
        first = self.addrs[0]
        return first if "/p2p/" in first else f"{first}/p2p/{self.peer}"


def worth_keeping(chosen: Sequence[PeerInfo], callers: Sequence[PeerInfo]) -> list[Anchor]:
    """The peers to write: those that we chose, else those that dialled us."""
    if chosen:
        return [Anchor(a.peer, tuple(a.addrs)) for a in chosen]
    return [Anchor(a.peer, tuple(a.addrs), True) for a in callers]


async def keep(worker: Worker[Context], path: Path) -> None:
    """Writes the file now and then, for ever."""
    while True:
        await trio.sleep(WRITES_S)
        await remember(worker, path)


async def remember(worker: Worker[Context], path: Path) -> None:
    """Writes the file as of now. Raises OSError."""
    await trio.to_thread.run_sync(write, path, await worker.call(known))


def known(context: Context, now: float) -> list[Anchor]:
    """On the replica's thread."""
    peers = context.replica.peers
    return worth_keeping(peers.anchors(), peers.callers())


def write(path: Path, anchors: Sequence[Anchor]) -> None:
    """Writes the file; without anchors the old file stays, because its peers may come back."""
    if anchors:
        write_private(path, json.dumps([a._asdict() for a in anchors]).encode())


def read(path: Path) -> list[Anchor]:
    """The peers of the last run; none if the file is unreadable, so that the node still starts."""
    try:
        rows = json.loads(path.read_text("utf-8"))
        found = [Anchor(str(r["peer"]), tuple(map(str, r["addrs"])), bool(r.get("called"))) for r in rows]
        return [a for a in found if a.addrs]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
