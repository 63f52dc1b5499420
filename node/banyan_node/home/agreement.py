"""Settings that are allowed alone and not together. `disagreements` names each pair, with a sentence that says why.

Where a node could start with two settings, but not do what one of them promises, they disagree: it is better said when
they are loaded than found out in the third week.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from banyan_node.home.config import Config
from banyan_node.home.peers import is_port, why_no_address

_ANY = ("0.0.0.0", "::")
"""Hosts that stand for every address of their family."""


class Disagreement(NamedTuple):
    """names: the settings, of which one must change."""

    names: tuple[str, ...]
    why: str


def disagreements(config: Config) -> Iterator[Disagreement]:
    """All that is wrong between settings; each value is allowed by itself."""
    limits, discovery, network = config.limits, config.discovery, config.network
    if limits.peers < discovery.active_view:
        yield Disagreement(
            ("limits.peers", "discovery.active_view"),
            f"{limits.peers} connections are too few for {discovery.active_view} neighbours",
        )
    if limits.ingest_queue_bytes < limits.frame_bytes:
        yield Disagreement(
            ("limits.ingest_queue_bytes", "limits.frame_bytes"),
            f"a frame of {limits.frame_bytes:,} bytes does not fit into a queue of {limits.ingest_queue_bytes:,}",
        )
    for name in ("allow", "deny"):
        for cidr in getattr(network, name):
            if _network(cidr) is None:
                yield Disagreement((f"network.{name}",), f"{cidr} is no network")
    denied = [net for cidr in network.deny if (net := _network(cidr))]
    for cidr in network.allow:
        if (allowed := _network(cidr)) and (over := _within(allowed, denied)):
            yield Disagreement(("network.allow", "network.deny"), f"{cidr} is allowed, and denied as part of {over}")
    for address in config.node.bootstrap:
        if (why := why_no_address(address)) is not None:
            yield Disagreement(("node.bootstrap",), f"{address} is no address to dial: {why}")
        where = _network(address.split("/")[2])
        if where and (over := _within(where, denied)):
            yield Disagreement(("node.bootstrap", "network.deny"), f"{address} is to be dialled, and {over} is denied")
    taken: list[tuple[str, str, int]] = []
    if config.control.port and not config.control.socket:
        taken.append(("control.port", config.control.host, config.control.port))
    for address in config.node.listen:
        _, _, host, kind, port, *_ = address.split("/")
        if not is_port(port):
            yield Disagreement(("node.listen",), f"{port} is no port: it is from 0 to 65535")
        if kind != "tcp" or port == "0":
            continue
        for name, other, number in taken:
            if number == int(port) and _overlap(host, other):
                yield Disagreement(tuple(dict.fromkeys((name, "node.listen"))), f"port {port} is named twice")
        taken.append(("node.listen", host, int(port)))


def _overlap(one: str, other: str) -> bool:
    """Whether two hosts cannot both have a port. IPv4 and IPv6 can."""
    return one == other or ((":" in one) == (":" in other) and bool({one, other} & {*_ANY}))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _within(
    inner: ipaddress.IPv4Network | ipaddress.IPv6Network, outer: list[ipaddress.IPv4Network | ipaddress.IPv6Network]
) -> str | None:
    """The network of `outer` that holds all of `inner`."""
    for net in outer:
        if net.version == inner.version and inner.network_address in net and inner.broadcast_address in net:
            return str(net)
    return None
