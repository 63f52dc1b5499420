"""Bulk on one link, in both directions, in bytes: how much each side may still send, and how much it sent."""

from __future__ import annotations

from banyan_replica.peers.ledger import Breach, Offence

WINDOW = 4 << 20
"""Bulk bytes that each side may send before the first credit, and the most that may be outstanding."""
OVERSHOOT = 4 << 20
"""How far the last frame may exceed the window."""
FIRST_ROOM, LEAST_ROOM = 256 << 10, 128 << 10
"""Bytes that may be under way to a peer of which no pace is known, and to the slowest."""
ROOM_S = 4.0
"""A peer of known pace may have under way LEAST_ROOM and what its line carries in so many seconds. Our questions wait
behind that."""
LOOK_S = 2.0
"""How often the pace of a line is taken, seconds."""
GROWTH = 8
"""Until a pace is taken, the room is at most so many times what was credited: a few credits that come at once say
little."""


class Flow:
    """most: the most bytes in transit to the peer, whatever credit it gives."""

    __slots__ = ("_credited", "_first", "_since", "came", "gave", "may_send", "most", "room", "uncredited", "window")

    def __init__(self, most: int = WINDOW) -> None:
        self.most = min(WINDOW, most)
        self.may_send = self.most
        """Bytes that we may still send."""
        self.window = WINDOW
        """Bytes that the peer may still send."""
        self.uncredited = 0
        """Digested bytes that are not credited back yet."""
        self.gave = 0
        """Bytes ever sent to it."""
        self.came = 0
        """Bytes ever received."""
        self.room = FIRST_ROOM
        """How much bulk may be under way to it, by the pace at which it gives credit."""
        self._credited, self._first, self._since = 0, 0, -1.0

    # -- to the peer

    @property
    def transit(self) -> int:
        """Bytes sent that the peer gave no credit for yet."""
        return self.most - self.may_send

    def sent(self, size: int) -> None:
        self.may_send -= size
        self.gave += size

    def unsent(self, size: int) -> None:
        """A frame that counts as sent was dropped before it left."""
        self.may_send += size

    def full(self, beyond: int = 0) -> bool:
        """Whether nothing more is to be sent until it gives credit. beyond: bytes for which there is room all the
        same."""
        return self.may_send <= 0 or self.transit >= self.room + beyond

    def granted(self, size: int, now: float) -> None:
        """The peer digested so much. No claim can raise the window above its start."""
        size = min(size, self.transit)
        self.may_send += size
        if self._since < 0:
            self._since, self._credited, self._first = now, 0, size
        self._credited += size
        took, carried = now - self._since, self._credited - self._first
        carries = int(carried * ROOM_S / took) if took > 0 else 0
        if took < LOOK_S:
            self.room = max(self.room, LEAST_ROOM + max(2 * self._first, min(carries, GROWTH * carried)))
        else:
            self.room = LEAST_ROOM + carries
            self._since, self._credited, self._first = now, 0, 0
        if not self.transit:  # what it takes while nothing is sent says nothing
            self._since = -1.0

    # -- from the peer

    def received(self, size: int) -> None:
        """A frame came. Raises Breach if there was no credit for it."""
        self.came += size
        self.window -= size
        if self.window < -OVERSHOOT:
            raise Breach(Offence.BEYOND_CREDIT, f"{-self.window} bytes more of bulk than there was credit for")

    def digested(self, size: int) -> int:
        """A frame was handled. Returns how much waits to be credited."""
        self.uncredited += size
        return self.uncredited

    def give_back(self) -> int:
        """Returns what to credit the peer with, and opens the window by it."""
        size, self.uncredited = self.uncredited, 0
        self.window += size
        return size
