"""Dials under way, why they fail, and the multiaddrs that are dialled."""

import contextlib

import trio
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from banyan_node.edge.config import DialFailed, EdgeError
from banyan_node.edge.link import Link


def why_failed(peer: str, target: object, error: Exception) -> str:
    """Why a dial failed. libp2p has one error for each way in which a handshake can."""
    if "upgrade security" in str(error):
        return f"{target} answers, and the handshake fails: it is another peer than {peer}, or takes nobody now"
    if "timeout" in str(error) or "timed out" in str(error) or isinstance(error, trio.TooSlowError):
        return f"{target} answers, and does not finish the handshake with {peer} in time: it may be overloaded"
    return f"no link to {peer} at {target}: {type(error).__name__} {error}".rstrip()


class Attempt:
    """One dial under way. Several callers may wait for it. rival: the link of the peer's own dial, if that won."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.decided = trio.Event()
        self.rival: Link | None = None
        self.error: EdgeError | None = None


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
