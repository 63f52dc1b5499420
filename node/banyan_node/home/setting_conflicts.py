"""Settings that are allowed alone and not together. `disagreements` names each pair, with a sentence that says why.

Where a node could start with two settings, but not do what one of them promises, they disagree: it is better said when
they are loaded than found out in the third week.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

from banyan_node.home.config import Config

_ANY = ("0.0.0.0", "::")
"""Hosts that stand for every address of their family."""


class SettingConflict(NamedTuple):
    """names: the settings, of which one must change; one alone if it names the same twice."""

    names: tuple[str, ...]
    why: str


def disagreements(config: Config) -> Iterator[SettingConflict]:
    """All that is wrong between settings. Each value is allowed by itself (values.py)."""
    limits, discovery, network = config.limits, config.discovery, config.network
    if limits.peers < discovery.active_view:
        yield SettingConflict(
            ("limits.peers", "discovery.active_view"),
            f"{limits.peers} connections are too few for {discovery.active_view} neighbours",
        )
    if limits.ingest_queue_bytes < limits.frame_bytes:
        yield SettingConflict(
            ("limits.ingest_queue_bytes", "limits.frame_bytes"),
            f"a frame of {limits.frame_bytes:,} bytes does not fit into a queue of {limits.ingest_queue_bytes:,}",
        )
    denied = [ipaddress.ip_network(cidr, strict=False) for cidr in network.deny]
    for cidr in network.allow:
        if over := _within(ipaddress.ip_network(cidr, strict=False), denied):
            yield SettingConflict(("network.allow", "network.deny"), f"{cidr} is allowed, and denied as part of {over}")
    for address in config.node.bootstrap:
        where = _network(address.split("/")[2])
        if where and (over := _within(where, denied)):
            yield SettingConflict(
                ("node.bootstrap", "network.deny"), f"{address} is to be dialled, and {over} is denied"
            )
    taken: list[tuple[str, str, int]] = []
    for name, host, port in _ports(config):
        for other, there, number in taken:
            if number == port and _overlap(host, there):
                yield SettingConflict(tuple(dict.fromkeys((other, name))), f"port {port} is named twice")
        taken.append((name, host, port))


def _ports(config: Config) -> Iterator[tuple[str, str, int]]:
    """Setting, host and port of each place where this node is to listen, but for free ports."""
    control, door = config.control, config.http.address
    found: list[tuple[str, str, int]] = []
    if not control.socket:
        found.append(("control.port", control.host, control.port))
    for address in config.node.listen:
        _, _, host, _, port = address.split("/")
        found.append(("node.listen", host, int(port)))
    if door and not door.startswith("unix:"):
        host, _, port = door.rpartition(":")
        found.append(("http.address", host.strip("[]"), int(port)))
    for name, host, number in found:
        if number:
            yield name, "127.0.0.1" if host == "localhost" else host, number


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
