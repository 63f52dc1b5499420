"""Why an address cannot be dialled: its name is unknown, the machine refuses, or it does not answer.

libp2p reports the same error for all of them. So after a failed dial the address is tried once more with plain TCP.
"""

from __future__ import annotations

import socket

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
