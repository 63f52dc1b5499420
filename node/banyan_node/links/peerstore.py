"""Peers by name: those that the operator bans, with networks, and those that the next start dials; why an address
cannot be dialled.

Bans are notes of the store: the replica keeps whom it refuses and why, and here stands until when; a network is refused
at the edge, before a peer of it can say who it is.
"""

import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple, TypeAlias

import trio

from banyan_node.context import Context
from banyan_node.home.folder import write_private
from banyan_node.workers.worker import Worker
from banyan_replica.gossip.frames import PeerInfo
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


# In `peers.json` are the peers that this node chose (the gossip's anchors), because an attacker who fills our links by
# dialling us must not decide whom we find again. If there are none, the file names peers that dialled us, at the
# addresses that they announce; the next start stops dialling them once any peer is linked. A node without links keeps
# the old file.

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
    replica = context.replica
    return worth_keeping(replica.gossip.anchors(), replica.gossip.callers())


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


# Why an address cannot be dialled: its name is unknown, the machine refuses, or it does not answer.
#
# libp2p reports the same error for all of them. So after a failed dial the address is tried once more with plain TCP.

SECONDS = 3.0
"""How long a machine may take to answer."""


def why_unreachable(addr: str) -> str | None:
    """A sentence without a full stop. None if TCP connects, so the cause is in a layer above, or if it is no address.

    Blocks for at most SECONDS, not counting the system's resolver. Raises nothing.
    """
    parts = addr.split("/")
    if len(parts) < 5 or parts[3] != "tcp" or not parts[4].isdigit():
        return None
    kind, host, port = parts[1], parts[2], int(parts[4])
    family = {"ip4": socket.AF_INET, "dns4": socket.AF_INET, "ip6": socket.AF_INET6, "dns6": socket.AF_INET6}.get(
        kind, 0
    )
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as why:
        if getattr(why, "errno", None) == socket.EAI_AGAIN:
            return f"the name {host} could not be looked up: no name server (DNS) answers; is this machine online"
        return f"the name {host} is not known (DNS); check its spelling"
    refused = False
    for kin, sort, proto, _, where in found[:4]:
        with socket.socket(kin, sort, proto) as probe:
            probe.settimeout(SECONDS / min(len(found), 4))
            try:
                probe.connect(where)
            except ConnectionRefusedError:
                refused = True
            except OSError:
                continue
            else:
                return None
    if refused:
        return f"{host} refuses port {port}: no node listens there, or a firewall blocks it"
    return f"{host} does not answer on port {port}: the machine is off, or a firewall drops the packets"
