"""Methods that need the running node: its peers, what differs from them, and stopping it."""

from __future__ import annotations

import time
from typing import Annotated

import trio
from msgspec import Meta, convert, structs

from banyan_node.api import differing
from banyan_node.api.declare import Declared, NoResult, Nothing, Request, Response, Shell
from banyan_node.api.methods import node_state
from banyan_node.context import Context
from banyan_node.home.peers import is_peer_id, why_no_address
from banyan_node.links import bans
from banyan_node.operator_errors import CallError

METHODS = Declared()
DAY_MS = 86_400_000
DIFF_MS = 1_000
"""How long to wait for the result of a comparison: a few round trips."""
PeerId = Annotated[str, Meta(title="a peer's id", description="The whole id of a peer, as `peers` answers it.")]


class AddrRequest(Request, frozen=True, forbid_unknown_fields=True):
    addr: Annotated[str, Meta(title="an address", description="/ip4/HOST/tcp/PORT/p2p/PEER")]


class PeerRequest(Request, frozen=True, forbid_unknown_fields=True):
    peer: PeerId


class PeerBanRequest(Request, frozen=True, forbid_unknown_fields=True):
    peer: PeerId
    reason: Annotated[str, Meta(max_length=200)] = ""
    days: Annotated[int, Meta(ge=0, le=36_500, description="How many days; 0: until it is pardoned.")] = 0


class DiffRequest(Request, frozen=True, forbid_unknown_fields=True):
    """peer: its id, or a unique start or end of it. wait_ms: how long to compare before answering."""

    peer: str
    wait_ms: Annotated[int, Meta(ge=0, le=30_000)] = DIFF_MS


class Peer(Response, frozen=True):
    peer: PeerId


@METHODS.node("shutdown", "write")
async def stop(shell: Shell, ask: Nothing) -> NoResult:
    """Stops the node after making everything durable."""
    shell.stop()
    return NoResult()


@METHODS.node("peers", "read")
async def peers(shell: Shell, ask: Nothing) -> list[node_state.PeerRow]:
    """Lists linked and banned peers."""
    return await shell.look(node_state.peers)


@METHODS.node("peers.add", "write", "no_peer", audited=True)
async def add(shell: Shell, ask: AddrRequest) -> Peer:
    """Dials a peer now, and returns once it is linked."""
    wrong = why_no_address(ask.addr)
    if wrong is not None:
        raise CallError("bad_request", f"'{ask.addr[:160]}' is not the address of a peer: {wrong}.")
    peer = ask.addr.rsplit("/p2p/", 1)[-1]
    if peer == await _own(shell):
        raise CallError("bad_request", "That is this node itself: name another peer.")
    why = await shell.links.dial_now(ask.addr)
    if why is not None:
        raise CallError("no_peer", f"{ask.addr[:200]} cannot be reached: {why}", 502)
    return Peer(peer)


async def _own(shell: Shell) -> str:
    """The id of this node."""
    own: str = await shell.look(lambda at: at.here.peer)
    return own


def whole_peer(peer: str) -> str:
    """Checks that it is a complete peer id; a ban of anything else would have no effect."""
    if not is_peer_id(peer):
        raise CallError(
            "bad_request", f"'{peer[:60]}' is not a peer's id: give it whole, as `banyan peers list --json` does."
        )
    return peer


@METHODS.node("peers.ban", "write", audited=True)
async def ban(shell: Shell, ask: PeerBanRequest) -> Peer:
    """Bans a peer, for some days or until it is pardoned."""
    peer = whole_peer(ask.peer)
    if peer == await _own(shell):
        raise CallError("bad_request", "That is this node itself, which cannot be banned.")

    def do(c: Context, now: float) -> None:
        since = c.replica.wall_ms(now)
        c.replica.peers.ban(peer, ask.reason.strip() or "by this node's operator", now)
        bans.note_peer(c, peer, since, since + ask.days * DAY_MS if ask.days else None)

    await shell.worker.call(do)
    return Peer(peer)


@METHODS.node("peers.pardon", "write", audited=True)
async def pardon(shell: Shell, ask: PeerRequest) -> Peer:
    """Ends a ban, and clears the peer's points."""
    peer = whole_peer(ask.peer)

    def do(c: Context, now: float) -> None:
        c.replica.peers.pardon(peer)
        bans.note_peer(c, peer, None, None)

    await shell.worker.call(do)
    return Peer(peer)


@METHODS.node("diff", "read", "no_peer")
async def diff(shell: Shell, ask: DiffRequest) -> list[differing.Difference]:
    """Compares with a peer now, and lists what differs and why."""
    whole = await shell.worker.call(lambda c, now: differing.compare_with(c, ask.peer, now))
    await trio.sleep(ask.wait_ms / 1000)
    known = await shell.worker.call(lambda c, now: differing.facts(c, whole, now))
    return await shell.look(lambda at: differing.differences(at, known))


@node_state.METHODS.on_node("id")
async def identity(shell: Shell, shown: node_state.NodeIdentity) -> node_state.NodeIdentity:
    return structs.replace(shown, addresses=list(shell.addresses), doors=list(shell.servers.doors), running=True)


@node_state.METHODS.on_node("status")
async def status(shell: Shell, shown: node_state.Status) -> node_state.Status:
    uptime = round(time.time() - shell.started, 1)
    used = shell.slots
    slots = convert({**used._asdict(), "crowded": used.crowded}, node_state.SlotsUsed)
    running = {"running": True, "ready": shell.ready, "uptime_s": uptime}
    lately = {
        "failing": shell.tasks.failing(),
        "unreached": shell.links.unreached(),
        "trouble": shown.trouble or shell.links.twin,
    }
    throttle = node_state.Throttled(round(shell.throttle.used_by_all, 3), shell.throttle.waiting)
    return structs.replace(shown, **running, **lately, slots=slots, throttle=throttle, door=shell.door)
