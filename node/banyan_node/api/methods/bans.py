"""Whom this node refuses: peers and networks, why, and until when."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta

from banyan_node.api.declare import Declared, Nothing, Request, Response, Shell
from banyan_node.api.methods.network import PeerId, whole_peer
from banyan_node.api.texts import Milliseconds
from banyan_node.context import Context
from banyan_node.links import bans
from banyan_node.links.bans import NetworkBan
from banyan_node.operator_errors import CallError

METHODS = Declared()
DAY_MS = 86_400_000
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


class BanNetwork(Request, frozen=True, forbid_unknown_fields=True):
    network: Network
    reason: Reason = ""
    days: Days = 0


class UnbanNetwork(Request, frozen=True, forbid_unknown_fields=True):
    network: Network


class PeerDropRequest(Request, frozen=True, forbid_unknown_fields=True):
    peer: PeerId


class PeerBanned(Response, frozen=True):
    """by_operator: whether somebody made it; else the peer lied, and the ban ends by itself. since_ms: null if it is
    not known."""

    peer: PeerId
    reason: str
    by_operator: bool
    since_ms: Milliseconds | None
    until_ms: Milliseconds | None


class NetworkBanned(Response, frozen=True):
    network: str
    reason: str
    since_ms: Milliseconds
    until_ms: Milliseconds | None


class Bans(Response, frozen=True):
    """until_ms: null if it ends only when somebody ends it."""

    peers: list[PeerBanned]
    networks: list[NetworkBanned]


class DroppedPeer(Response, frozen=True):
    """linked: whether there was a link."""

    peer: PeerId
    linked: bool


@METHODS.node("bans", "read")
async def listing(shell: Shell, ask: Nothing) -> Bans:
    """Whom this node refuses."""

    seen = shell.seen.bans
    ends = await shell.look(lambda at: {ban.peer: bans.of_peer(at.store, ban.peer) for ban in seen})
    networks = await shell.look(lambda at: [*bans.networks(at.store)])
    peers = []
    for ban in seen:
        since, until = ends[ban.peer]
        by_itself = since is None and ban.until * 1000 < shell.started * 1000 + 9 * 365 * DAY_MS
        shown = int(ban.until * 1000) if by_itself else until
        peers.append(PeerBanned(ban.peer, ban.reason, not by_itself, since, shown))
    return Bans(peers, [NetworkBanned(str(ban.network), *ban[1:]) for ban in networks])


@METHODS.node("networks.ban", "write", audited=True)
async def ban_network(shell: Shell, ask: BanNetwork) -> NetworkBanned:
    """Refuses all peers of a network, and hangs up on those that are linked. `network.deny` does so from a start on."""
    network = _network(ask.network)

    def do(c: Context, now: float) -> NetworkBan:
        since = c.replica.wall_ms(now)
        made = NetworkBan(network, ask.reason.strip(), since, since + ask.days * DAY_MS if ask.days else None)
        bans.note_network(c, network, made)
        return made

    made = await shell.worker.call(do)
    await shell.keep_bans()
    return NetworkBanned(str(network), *made[1:])


@METHODS.node("networks.pardon", "write", "not_found", audited=True)
async def pardon_network(shell: Shell, ask: UnbanNetwork) -> NetworkBanned:
    """Ends the ban of a network."""
    network = _network(ask.network)

    def do(c: Context, now: float) -> NetworkBan | None:
        made = next((ban for ban in bans.networks(c.store) if ban.network == network), None)
        bans.note_network(c, network, None)
        return made

    made = await shell.worker.call(do)
    if made is None:
        raise CallError("not_found", f"{network} is not banned; `bans` lists the networks that are.", 404)
    await shell.keep_bans()
    return NetworkBanned(str(network), *made[1:])


def _network(text: str) -> bans.Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise CallError("bad_request", f"'{text[:60]}' is no network: one is 192.0.2.0/24, or 2001:db8::/32.") from None


@METHODS.node("peers.drop", "write", audited=True)
async def drop(shell: Shell, ask: PeerDropRequest) -> DroppedPeer:
    """Hangs up on a peer, and dials it no more as a contact. It may come again; `peers.ban` refuses it."""
    peer = whole_peer(ask.peer)
    return DroppedPeer(peer, shell.links.drop(peer))
