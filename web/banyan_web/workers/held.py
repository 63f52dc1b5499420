"""The connections of a worker and their limits, which are those of the embedded server (http_connections.py): uvicorn
has no deadline for heads, and none for answers that nobody reads.

- The head of a request must come within `Patience.head` of the connection's start or of the answer before.
- A client must go on reading: what waits for it must get less within `Patience.send`.
- There are never more than `most` connections. A further one replaces the oldest that never showed a token; if all
  have shown one, it waits to be accepted, here or by another worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from banyan_node.server.http_connections import Patience, Shown

LOOK_S = 1.0
"""Seconds between two looks at all connections."""


@dataclass(slots=True, eq=False)
class Held:
    """A connection. head_since: since when the head of a request is waited for; None while one is answered. full_since:
    since when so much waits to be sent that the application is held up. size, size_since: the bytes that waited at the
    last look, and since when they are as many. gone: it was cut."""

    shown: Shown = field(default_factory=Shown)
    transport: asyncio.Transport | None = None
    head_since: float | None = None
    full_since: float | None = None
    size: int = 0
    size_since: float = 0.0
    gone: bool = False

    def cut(self) -> None:
        """Ends it now."""
        self.gone = True
        if self.transport is not None:
            self.transport.abort()


class HeldLines:
    """All connections of a process. fewer: called when there is one less."""

    def __init__(
        self,
        most: int,
        patience: Patience,
        fewer: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._most, self._patience, self._fewer, self.clock = most, patience, fewer, clock
        self._held: dict[Held, None] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def has_room(self) -> bool:
        """Whether one more may be accepted."""
        return not self._full or self._stranger is not None

    def accepted(self) -> Held:
        """One more, in the place of a stranger if need be."""
        if self._full and (stranger := self._stranger) is not None:
            del self._held[stranger]
            stranger.cut()
        held = Held(head_since=self.clock())
        self._held[held] = None
        return held

    def remove(self, held: Held) -> None:
        self._held.pop(held, None)
        self._fewer()

    @property
    def _full(self) -> bool:
        return len(self._held) >= self._most

    @property
    def _stranger(self) -> Held | None:
        return next((held for held in self._held if not held.shown.let_in), None)

    async def watch(self) -> None:
        """Cuts those that break a limit, until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        now, (head, send) = self.clock(), self._patience
        for held in list(self._held):
            waits = held.transport.get_write_buffer_size() if held.transport is not None else 0
            if waits != held.size:
                held.size, held.size_since = waits, now
            stuck = waits and now - held.size_since > send
            full = held.full_since is not None and now - held.full_since > send
            late = held.head_since is not None and now - held.head_since > head
            if stuck or full or late:
                held.cut()
