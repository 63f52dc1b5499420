"""Reading the multiaddrs that are dialled."""

import contextlib

from libp2p.peer.id import ID
from multiaddr import Multiaddr

from banyan_node.edge.config import DialFailed


def split(addr: str) -> tuple[str, Multiaddr]:
    """The peer id and the rest of a multiaddr that ends in /p2p/<peer id>. Raises DialFailed."""
    try:
        where, _, peer = addr.rpartition("/p2p/")
        if not where or "/p2p" in where:
            raise ValueError("it does not end in the one /p2p/<peer id> that it must have")
        return str(ID.from_string(peer)), Multiaddr(where)
    except Exception as error:
        raise DialFailed(f"{addr!r} is not an address to dial: {error}") from error


def host_of(target: Multiaddr) -> str | None:
    """The IP address in a multiaddr; None for a name."""
    for protocol in ("ip4", "ip6"):
        with contextlib.suppress(Exception):
            return str(target.value_for_protocol(protocol))
    return None
