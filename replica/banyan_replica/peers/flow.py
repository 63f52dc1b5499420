"""Bulk on one link, in both directions, in bytes: how much each side may still send, and how much it sent."""

from __future__ import annotations

from banyan_replica.peers.ledger import Breach, Offence

WINDOW = 4 << 20
"""Bulk bytes that either side may send before the first credit, and the most that it may have outstanding."""
OVERSHOOT = 4 << 20
"""What the last frame of a window may exceed it by."""


class Flow:
    """`most`: what may be on its way to the peer at once, whatever credit it gives."""

    __slots__ = ("came", "gave", "may_send", "most", "undigested", "window")

    def __init__(self, most: int = WINDOW) -> None:
        self.most = min(WINDOW, most)
        self.may_send = self.most
        """What the peer still has room for."""
        self.window = WINDOW
        """What it may still send us."""
        self.undigested = 0
        """What came and was not credited back yet."""
        self.gave = 0
        """All that was ever sent to it."""
        self.came = 0
        """All that ever came."""

    # -- to the peer

    def sent(self, size: int) -> None:
        self.may_send -= size
        self.gave += size

    def unsent(self, size: int) -> None:
        """A frame that counts as sent was taken back before it left."""
        self.may_send += size

    def granted(self, size: int) -> None:
        """The peer digested so much. Nobody's claim can raise the window above what it was."""
        self.may_send = min(self.may_send + size, self.most)

    # -- from the peer

    def received(self, size: int) -> None:
        """A frame came. Raises Breach where there was no credit for it."""
        self.came += size
        self.window -= size
        if self.window < -OVERSHOOT:
            raise Breach(Offence.BEYOND_CREDIT, f"{-self.window} bytes more of bulk than there was credit for")

    def digested(self, size: int) -> int:
        """A frame was looked at; how much waits to be credited."""
        self.undigested += size
        return self.undigested

    def give_back(self) -> int:
        """What to credit the peer with now."""
        size, self.undigested = self.undigested, 0
        self.window += size
        return size
