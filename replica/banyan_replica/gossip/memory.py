"""Two bounded memories: ids that were seen, and recent payloads.

Invariant: an id is marked seen only when its message was accepted, published or learned.
"""

from __future__ import annotations

from typing import NamedTuple


class Seen:
    """Ids in two generations: a full young generation replaces the old one. Knows the last `size` ids at least."""

    __slots__ = ("old", "size", "young")

    def __init__(self, size: int) -> None:
        self.size = size
        self.young: set[bytes] = set()
        self.old: set[bytes] = set()

    def __contains__(self, mid: bytes) -> bool:
        return mid in self.young or mid in self.old

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def add(self, mid: bytes) -> None:
        if len(self.young) >= self.size:
            self.old, self.young = self.young, set()
        self.young.add(mid)

    def discard(self, mid: bytes) -> None:
        self.young.discard(mid)
        self.old.discard(mid)


class RecentPayload(NamedTuple):
    payload: bytes
    hop: int
    at: float


class Recent:
    """The latest payloads, to answer grafts: at most `count`, and `size` bytes in all. The oldest are dropped."""

    __slots__ = ("count", "held", "items", "size")

    def __init__(self, count: int, size: int) -> None:
        self.count = count
        self.size = size
        self.held = 0
        self.items: dict[bytes, RecentPayload] = {}

    def put(self, mid: bytes, payload: bytes, hop: int, now: float) -> None:
        if mid in self.items or len(payload) > self.size:
            return
        self.items[mid] = RecentPayload(payload, hop, now)
        self.held += len(payload)
        while len(self.items) > self.count or self.held > self.size:
            self.held -= len(self.items.pop(next(iter(self.items))).payload)

    def drop(self, mid: bytes) -> None:
        kept = self.items.pop(mid, None)
        if kept is not None:
            self.held -= len(kept.payload)

    def forget(self, raw: bytes) -> None:
        """Drops all payloads that have these bytes."""
        for mid in [mid for mid, kept in self.items.items() if raw in kept.payload]:
            self.drop(mid)

    def get(self, mid: bytes) -> RecentPayload | None:
        return self.items.get(mid)

    def newest(self, most: int, since: float) -> list[bytes]:
        """The latest ids put since `since`, at most `most`, oldest first."""
        out: list[bytes] = []
        for mid in reversed(self.items):
            if len(out) >= most or self.items[mid].at < since:
                break
            out.append(mid)
        out.reverse()
        return out
