"""Dials under way, and why they fail."""

import trio

from banyan_node.edge.config import EdgeError
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
