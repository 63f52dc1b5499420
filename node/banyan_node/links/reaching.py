"""Why an address cannot be dialled, in words: its name is unknown, the machine refused, nobody answered, it is another.

libp2p says the same of all of them. So after a dial failed the address is tried once more by plain TCP, which tells.
"""

from __future__ import annotations

import socket

SECONDS = 3.0
"""How long a machine may take to answer."""


def why_unreachable(addr: str) -> str | None:
    """A sentence without its full stop; None where something accepts TCP there, so that the reason lies above it.

    Blocks for SECONDS at most, but for the system's resolver. Raises nothing: what is no address has no reason here.
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
        return f"{host} refuses port {port}: no node listens there, or a firewall says no"
    return f"{host} does not answer on port {port}: the machine is off, or something between drops what is sent"
