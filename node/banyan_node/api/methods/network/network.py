"""Methods that need the running node: its peers, whom it refuses, and stopping it."""

import time
from ipaddress import ip_network
from typing import Annotated

import trio
from msgspec import Meta, convert, structs

from banyan_node.api.declare import EmptyRequest, MethodTable, NoResult, Request, Response, Shell
from banyan_node.api.json_types import Milliseconds
from banyan_node.api.methods.network import network_view, node_state
from banyan_node.context import Context
from banyan_node.home.values import is_peer_id, why_no_address
from banyan_node.links import peerstore
from banyan_node.links.peerstore import NetworkBan
from banyan_node.operator_errors import CallError, bad_request, not_found

METHODS = MethodTable()
DAY_MS = 86_400_000
DIFF_MS = 1_000
"""How long to wait for the result of a comparison: a few round trips."""
PeerId = Annotated[str, Meta(title="a peer's id", description="The whole id of a peer, as `peers` answers it.")]


class AddrRequest(Request):
    addr: Annotated[str, Meta(title="an address", description="/ip4/HOST/tcp/PORT/p2p/PEER")]


class PeerRequest(Request):
    peer: PeerId


class PeerBanRequest(Request):
    peer: PeerId
    reason: Annotated[str, Meta(max_length=200)] = ""
    days: Annotated[int, Meta(ge=0, le=36_500, description="How many days; 0: until it is pardoned.")] = 0


class DiffRequest(Request):
    """peer: its id, or a unique start or end of it. wait_ms: how long to compare before answering."""

    peer: str
    wait_ms: Annotated[int, Meta(ge=0, le=30_000)] = DIFF_MS


class Peer(Response):
    peer: PeerId


@METHODS.node("shutdown", "write")
async def stop(shell: Shell, ask: EmptyRequest) -> NoResult:
    """Stops the node after making everything durable."""
    shell.stop()
    return NoResult()


@METHODS.node("peers", "read")
async def peers(shell: Shell, ask: EmptyRequest) -> list[node_state.PeerRow]:
    """Lists linked and banned peers."""
    return await shell.look(node_state.peers)


@METHODS.node("peers.add", "write", "no_peer", audited=True)
async def add(shell: Shell, ask: AddrRequest) -> Peer:
    """Dials a peer now, and returns once it is linked."""
    wrong = why_no_address(ask.addr)
    if wrong is not None:
        raise bad_request(f"'{ask.addr[:160]}' is not the address of a peer: {wrong}.")
    peer = ask.addr.rsplit("/p2p/", 1)[-1]
    if peer == await _own(shell):
        raise bad_request("That is this node itself: name another peer.")
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
        raise bad_request(f"'{peer[:60]}' is not a peer's id: give it whole, as `banyan peers list --json` does.")
    return peer


@METHODS.node("peers.ban", "write", audited=True)
async def ban(shell: Shell, ask: PeerBanRequest) -> Peer:
    """Bans a peer, for some days or until it is pardoned."""
    peer = whole_peer(ask.peer)
    if peer == await _own(shell):
        raise bad_request("That is this node itself, which cannot be banned.")

    def do(c: Context, now: float) -> None:
        since = c.replica.wall_ms(now)
        c.replica.peers.ban(peer, ask.reason.strip() or "by this node's operator", now)
        peerstore.note_peer(c, peer, since, since + ask.days * DAY_MS if ask.days else None)

    await shell.worker.call(do)
    return Peer(peer)


@METHODS.node("peers.pardon", "write", audited=True)
async def pardon(shell: Shell, ask: PeerRequest) -> Peer:
    """Ends a ban, and clears the peer's points."""
    peer = whole_peer(ask.peer)

    def do(c: Context, now: float) -> None:
        c.replica.peers.pardon(peer)
        peerstore.note_peer(c, peer, None, None)

    await shell.worker.call(do)
    return Peer(peer)


@METHODS.node("diff", "read", "no_peer")
async def diff(shell: Shell, ask: DiffRequest) -> list[network_view.Difference]:
    """Compares with a peer now, and lists what differs and why."""
    whole = await shell.worker.call(lambda c, now: network_view.compare_with(c, ask.peer, now))
    await trio.sleep(ask.wait_ms / 1000)
    known = await shell.worker.call(lambda c, now: network_view.facts(c, whole, now))
    return await shell.look(lambda at: network_view.differences(at, known))


@node_state.METHODS.on_node("id")
async def identity(shell: Shell, shown: node_state.NodeIdentity) -> node_state.NodeIdentity:
    return structs.replace(shown, addresses=list(shell.addresses), doors=list(shell.servers.doors), running=True)


@node_state.METHODS.on_node("status")
async def status(shell: Shell, shown: node_state.Status) -> node_state.Status:
    uptime = round(time.time() - shell.started, 1)
    used = shell.slots
    slots = convert({**used._asdict(), "crowded": used.crowded}, node_state.SlotUsageRow)
    running = {"running": True, "ready": shell.ready, "uptime_s": uptime}
    lately = {
        "failing": shell.tasks.failing(),
        "unreached": shell.links.unreached(),
        "trouble": shown.trouble or shell.links.twin,
    }
    throttle = node_state.ThrottleUsage(round(shell.throttle.used_by_all, 3), shell.throttle.waiting)
    stopped = convert([one._asdict() for one in shell.throttle.tally.most()], list[node_state.GateStop])
    return structs.replace(shown, **running, **lately, slots=slots, throttle=throttle, stopped=stopped, door=shell.door)


# Whom this node refuses: peers and networks, why, and until when.

Network = Annotated[
    str,
    Meta(
        title="a network",
        description="Such as 192.0.2.0/24 or 2001:db8::/48.",
        pattern="^[0-9a-fA-F:.]+(/[0-9]{1,3})?$",
    ),
]
Reason = Annotated[str, Meta(max_length=200)]
Days = Annotated[int, Meta(ge=0, le=36_500, description="How many days; 0: until it is ended.")]


class BanNetwork(Request):
    network: Network
    reason: Reason = ""
    days: Days = 0


class UnbanNetwork(Request):
    network: Network


class PeerBanInfo(Response):
    """by_operator: whether somebody made it; else the peer lied, and the ban ends by itself. since_ms: null if it is
    not known."""

    peer: PeerId
    reason: str
    by_operator: bool
    since_ms: Milliseconds | None
    until_ms: Milliseconds | None


class NetworkBanInfo(Response):
    network: str
    reason: str
    since_ms: Milliseconds
    until_ms: Milliseconds | None


class Bans(Response):
    """until_ms: null if it ends only when somebody ends it."""

    peers: list[PeerBanInfo]
    networks: list[NetworkBanInfo]


class DroppedPeer(Response):
    """linked: whether there was a link."""

    peer: PeerId
    linked: bool


@METHODS.node("bans", "read")
async def listing(shell: Shell, ask: EmptyRequest) -> Bans:
    """Whom this node refuses."""

    seen = shell.seen.bans
    ends = await shell.look(lambda at: {ban.peer: peerstore.of_peer(at.store, ban.peer) for ban in seen})
    networks = await shell.look(lambda at: [*peerstore.networks(at.store)])
    peers = []
    for ban in seen:
        since, until = ends[ban.peer]
        by_itself = since is None and ban.until * 1000 < shell.started * 1000 + 9 * 365 * DAY_MS
        shown = int(ban.until * 1000) if by_itself else until
        peers.append(PeerBanInfo(ban.peer, ban.reason, not by_itself, since, shown))
    return Bans(peers, [NetworkBanInfo(str(ban.network), *ban[1:]) for ban in networks])


@METHODS.node("networks.ban", "write", audited=True)
async def ban_network(shell: Shell, ask: BanNetwork) -> NetworkBanInfo:
    """Refuses all peers of a network, and hangs up on those that are linked. `network.deny` does so from a start on."""
    network = _network(ask.network)

    def do(c: Context, now: float) -> NetworkBan:
        since = c.replica.wall_ms(now)
        made = NetworkBan(network, ask.reason.strip(), since, since + ask.days * DAY_MS if ask.days else None)
        peerstore.note_network(c, network, made)
        return made

    made = await shell.worker.call(do)
    await shell.keep_bans()
    return NetworkBanInfo(str(network), *made[1:])


@METHODS.node("networks.pardon", "write", "not_found", audited=True)
async def pardon_network(shell: Shell, ask: UnbanNetwork) -> NetworkBanInfo:
    """Ends the ban of a network."""
    network = _network(ask.network)

    def do(c: Context, now: float) -> NetworkBan | None:
        made = next((ban for ban in peerstore.networks(c.store) if ban.network == network), None)
        peerstore.note_network(c, network, None)
        return made

    made = await shell.worker.call(do)
    if made is None:
        raise not_found(f"{network} is not banned; `bans` lists the networks that are.")
    await shell.keep_bans()
    return NetworkBanInfo(str(network), *made[1:])


def _network(text: str) -> peerstore.Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise bad_request(f"'{text[:60]}' is no network: one is 192.0.2.0/24, or 2001:db8::/32.") from None


@METHODS.node("peers.drop", "write", audited=True)
async def drop(shell: Shell, ask: PeerRequest) -> DroppedPeer:
    """Hangs up on a peer, and dials it no more as a contact. It may come again; `peers.ban` refuses it."""
    peer = whole_peer(ask.peer)
    return DroppedPeer(peer, shell.links.drop(peer))
