"""The only package that imports libp2p: it provides authenticated, framed links to peers, and hides everything else.

Start reading at edge.py (who keeps which link), then link.py (frames, bounds, deadlines), then stack.py (the libp2p
host and its guards). config.py has the settings, the errors and the events.
"""

from .config import (
    CreditBroken,
    DialFailed,
    EdgeConfig,
    EdgeError,
    EdgeEvent,
    FrameTooLarge,
    LinkClosed,
    SlowPeer,
)
from .edge import SYNC_PROTOCOL, Edge, open_edge
from .link import Link

__all__ = [
    "SYNC_PROTOCOL",
    "CreditBroken",
    "DialFailed",
    "Edge",
    "EdgeConfig",
    "EdgeError",
    "EdgeEvent",
    "FrameTooLarge",
    "Link",
    "LinkClosed",
    "SlowPeer",
    "open_edge",
]
