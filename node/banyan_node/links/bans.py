"""Bans that the operator made: of peers that end by themselves, and of networks.

They are notes of the store: the replica keeps whom it refuses and why, and here stands until when; a network is refused
at the edge, before a peer of it can say who it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, TypeAlias

from banyan_node.context import Context
from banyan_storage.local_tables import BAN_ENDS, BAN_MADE, BANNED_NETWORKS, NetworkBanRow
from banyan_storage.reader import StoreReader

Network: TypeAlias = IPv4Network | IPv6Network


class NetworkBan(NamedTuple):
    """since_ms, until_ms: milliseconds since 1970; until_ms None: it does not end."""

    network: Network
    reason: str
    since_ms: int
    until_ms: int | None


def note_peer(ctx: Context, peer: str, since_ms: int | None, until_ms: int | None) -> None:
    """Notes when the ban of a peer was made and ends. since_ms None: there is none."""
    BAN_MADE.put(ctx.store, peer, since_ms)
    BAN_ENDS.put(ctx.store, peer, until_ms)


def of_peer(store: StoreReader, peer: str) -> tuple[int | None, int | None]:
    """(when it was made, when it ends), as far as it is known."""
    return BAN_MADE.get(store, peer), BAN_ENDS.get(store, peer)


def note_network(ctx: Context, network: Network, ban: NetworkBan | None) -> None:
    BANNED_NETWORKS.put(ctx.store, str(network), None if ban is None else NetworkBanRow(*ban[1:]))


def networks(store: StoreReader) -> Iterator[NetworkBan]:
    return (NetworkBan(ip_network(text), *row) for text, row in BANNED_NETWORKS.rows(store))


def is_within(address: str, of: Iterable[Network]) -> bool:
    """Whether a multiaddr is in one of these networks; a name is in none."""
    parts = address.split("/")
    if len(parts) < 3 or parts[1] not in ("ip4", "ip6"):
        return False
    host = ip_address(parts[2])
    mapped = host.ipv4_mapped if isinstance(host, IPv6Address) else None
    return any((mapped or host) in network for network in of)


def lift_due(ctx: Context, now: float) -> set[Network]:
    """Ends the bans whose time has come; returns the networks that are refused."""
    now_ms = ctx.replica.wall_ms(now)
    for peer, ends_ms in [*BAN_ENDS.rows(ctx.store)]:
        if ends_ms <= now_ms:
            ctx.replica.peers.pardon(peer)
            note_peer(ctx, peer, None, None)
    held = [*networks(ctx.store)]
    for ban in held:
        if ban.until_ms is not None and ban.until_ms <= now_ms:
            note_network(ctx, ban.network, None)
    return {ban.network for ban in held if ban.until_ms is None or ban.until_ms > now_ms}
