"""What waits to be sent on one link."""

from __future__ import annotations

from collections import deque

import trio

from banyan_replica.gossip.frames import is_of_the_tree
from banyan_replica.wire import goes_ahead, is_gossip

WRITE_BYTES = 32 << 10
"""Frames are handed to a stream until they have so many bytes together: what comes meanwhile waits for them."""
TALK_BYTES = WRITE_BYTES // 2
"""Of these, so many go ahead of answers that wait: neither is to hold up the other."""
HOLD_BYTES = 256 << 10
"""Of what is relayed, so much may wait here for one peer. The rest waits in the gossip, which announces what does not
fit: a peer that reads slowly is not disconnected because of what others made this node relay."""


class SendQueue:
    """Frames that wait to be sent on one link: hello, then what this node's people wrote and what it asks, then gossip,
    then answers. A slow line may need a minute for these."""

    def __init__(self) -> None:
        self.first: deque[bytes] = deque()
        self.talk: deque[bytes] = deque()
        self.frames: deque[bytes] = deque()
        self.size = self.relayed = 0
        self.held = self.ended = False
        self.more = trio.Event()
        self.since = trio.current_time()
        self._greeted = False

    def put(self, frame: bytes, own: bool) -> None:
        gossip, ahead = is_gossip(frame), self._greeted and goes_ahead(frame)
        first = self._greeted and (own or (ahead and not gossip))
        (self.first if first else self.talk if ahead else self.frames).append(frame)
        self.size += len(frame)
        if gossip and not first:
            self.relayed += len(frame)
        self.more.set()

    def hold(self) -> bool:
        """Whether it changed that too much waits of what is relayed."""
        before, self.held = self.held, self.relayed > (HOLD_BYTES // 2 if self.held else HOLD_BYTES)
        return before != self.held

    def end(self) -> None:
        """Nothing more is sent."""
        self.ended = True
        for queue in (self.first, self.talk, self.frames):
            queue.clear()
        self.size = self.relayed = 0

    async def take(self) -> tuple[list[bytes], bool]:
        """Waiting frames, about WRITE_BYTES; waits for at least one. And whether most of it are messages of the gossip,
        which are sent for those who wrote them and not for the peer."""
        while not (self.first or self.talk or self.frames):
            self.more = trio.Event()
            await self.more.wait()
        self._greeted = True
        taken, size, told = [], 0, 0
        while size < WRITE_BYTES:
            ahead = self.talk if size < TALK_BYTES or not self.frames else None
            queue = self.first or ahead or self.frames
            if not queue:
                break
            taken.append(queue.popleft())
            size += len(taken[-1])
            if is_gossip(taken[-1]):
                told += len(taken[-1]) if is_of_the_tree(taken[-1][2:4]) else 0
                self.relayed -= 0 if queue is self.first else len(taken[-1])
        return taken, 2 * told > size

    def sent(self, frames: list[bytes]) -> None:
        """What was taken is sent, and takes no memory any more."""
        if not self.ended:
            self.size -= sum(map(len, frames))
