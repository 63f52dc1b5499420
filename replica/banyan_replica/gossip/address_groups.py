"""Groups of addresses that probably have one owner: a /16 of IPv4, a /32 of IPv6, the last two labels of a DNS name.

A thousand addresses of one block are cheap, addresses in a thousand blocks are not. So one neighbour per group makes an
eclipse expensive. Loopback and private addresses are marked `local:`, because one LAN has one owner anyway.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

LOCAL = "local:"
KNOWN = 4_096
"""Addresses whose networks are remembered: to work them out takes 14 us, and every link's are asked for often."""


class Nets(NamedTuple):
    """The networks that an address is in. address: IPv4 /32 or IPv6 /64, what one customer has. near: /24 or /48.
    wide: /16 or /32. local: loopback, link-local or private."""

    address: str
    near: str
    wide: str
    local: bool


NOWHERE = Nets("", "", "", True)
"""The networks of an address that is not known."""


def group_of(addr: str) -> str:
    """The group of a multiaddr ("/ip4/203.0.113.7/tcp/4001"), a bare IP or a host name; "" for none of these."""
    parts = addr.split("/")
    if len(parts) >= 3 and parts[0] == "":
        kind, value = parts[1], parts[2]
        if kind.startswith("dns"):
            return _name(value)
        if kind not in ("ip4", "ip6"):
            return ""
    else:
        value = addr
    nets = nets_of(value)
    if nets is NOWHERE:
        return _name(value)
    return LOCAL + nets.wide if nets.local else nets.wide


@lru_cache(KNOWN)
def nets_of(host: str | None) -> Nets:
    """The networks of an IP address; NOWHERE if it is none."""
    try:
        ip = ipaddress.ip_address((host or "").split("%")[0])
    except ValueError:
        return NOWHERE
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    address, near, wide = (
        str(ipaddress.ip_network((ip, bits), strict=False))
        for bits in ((32, 24, 16) if ip.version == 4 else (64, 48, 32))
    )
    return Nets(address, near, wide, ip.is_loopback or ip.is_private or ip.is_link_local)


def group_of_any(addrs: tuple[str, ...]) -> str:
    """The group of a peer of which only claimed addresses are known: that of the first public one, else the first."""
    groups = [g for g in map(group_of, addrs) if g]
    return next((g for g in groups if not g.startswith(LOCAL)), groups[0] if groups else "")


def _name(host: str) -> str:
    labels = host.rstrip(".").lower().split(".")
    if labels == ["localhost"]:
        return LOCAL + "localhost"
    return "name:" + ".".join(labels[-2:]) if labels != [""] else ""
