"""Methods that need the running node: its peers, what differs from them, and stopping it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import trio

from banyan_node.backend import status
from banyan_node.backend.params import Params
from banyan_node.operator_errors import CallError

if TYPE_CHECKING:
    from banyan_node.node import Node

DIFF_MS = 1_000
"""How long a comparison is given before what it found is told: trips to the peer, a few."""

_PEER_ID = re.compile(r"(12D3Koo|16Uiu2|Qm)[1-9A-HJ-NP-Za-km-z]{40,}")


async def _stop(node: Node, p: Params) -> Any:
    node.nursery.start_soon(node.stop_soon)
    return {}


async def _peers(node: Node, p: Params) -> Any:
    return await node.worker.call(lambda c, now: status.peers(c, p, now))


async def _add(node: Node, p: Params) -> Any:
    addr = p.text("addr")
    peer = addr.rsplit("/p2p/", 1)[-1]
    if "/p2p/" not in addr or not peer:
        raise CallError("bad_request", f"'{addr}' is not an address: expected /ip4/HOST/tcp/PORT/p2p/PEER.")
    why = await node.links.dial_now(addr)
    if why is not None:
        raise CallError("no_peer", f"{addr} cannot be reached: {why}", 502)
    return {"peer": peer}


def _peer_id(p: Params) -> str:
    """A whole peer id: a ban of anything else would refuse nobody."""
    peer = p.text("peer")
    if not _PEER_ID.fullmatch(peer):
        raise CallError(
            "bad_request", f"'{peer}' is not a peer's id: give it whole, as `banyan peers list --json` does."
        )
    return peer


async def _ban(node: Node, p: Params) -> Any:
    peer = _peer_id(p)
    return await node.worker.call(lambda c, now: {"peer": c.replica.ban(peer, "by this node's operator", now)})


async def _pardon(node: Node, p: Params) -> Any:
    peer = _peer_id(p)
    await node.worker.call(lambda c, now: c.replica.standing.pardon(peer))
    return {"peer": peer}


async def _diff(node: Node, p: Params) -> Any:
    """Compares now, then says what differs: a comparison takes a trip or a few."""
    peer = p.text("peer")
    whole = await node.worker.call(lambda c, now: status.compare_with(c, peer, now))
    await trio.sleep(p.number("wait_ms", DIFF_MS, 30_000) / 1000)
    return await node.worker.call(lambda c, now: status.differences(c, whole))


async def _id(node: Node, p: Params) -> Any:
    shown = await node.worker.call(lambda c, now: status.identity(c, p, now))
    return {**shown, "addresses": list(node.edge.addresses), "running": True}


async def _status(node: Node, p: Params) -> Any:
    shown = await node.worker.call(lambda c, now: status.status(c, p, now))
    return {**shown, "running": True, "ready": node.ready, "uptime_s": round(time.time() - node.started, 1)}


METHODS: dict[str, Callable[[Node, Params], Awaitable[Any]]] = {
    "shutdown": _stop,
    "peers": _peers,
    "peers.add": _add,
    "peers.ban": _ban,
    "peers.pardon": _pardon,
    "diff": _diff,
    "id": _id,
    "status": _status,
}
