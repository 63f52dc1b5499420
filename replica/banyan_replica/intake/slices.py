"""A prepared frame in slices, for a node that has other work: between two of them it can answer its own people.

Slices that are judged in their order come to what the whole frame comes to, unless the peer's lies end its link on the
way: then the rest of the frame is not judged. What a frame says beside its items (announcements, requests, the bytes to
credit) goes with the last slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from banyan_replica.gossip.frames import Pushes, encode_frame
from banyan_replica.intake.prepare import Prepared, brings_items
from banyan_replica.wire import DataItems, GossipFrame, size_of


def slices(whole: Prepared, most: int) -> list[Prepared]:
    """Slices of about `most` bytes, at least one. Frames that do not consist of items stay whole."""
    message = whole.message
    if isinstance(message, DataItems):
        groups = _groups([size_of(item) for item in message.items], most)
        parts = [Prepared(0, DataItems(message.items[a:b]), whole.items[a:b]) for a, b in groups]
        return [*parts[:-1], parts[-1]._replace(size=whole.size)]
    if isinstance(message, GossipFrame) and brings_items(message.frame):
        code, items, *more = message.frame
        *first, (last, _) = _groups([len(payload) for _, _, payload in items], most)
        parts = [Prepared(0, GossipFrame([code, items[a:b], *_NOTHING_MORE]), [], whole.pushed) for a, b in first]
        return [*parts, whole._replace(message=GossipFrame([code, items[last:], *more]))]
    return [whole]


_, _, *_NOTHING_MORE = encode_frame(Pushes())


def _groups(sizes: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Where each slice begins and ends. Only a slice of a single item is larger than `most`."""
    begins, size = [0], 0
    for n, more in enumerate(sizes):
        if n and size + more > most:
            begins.append(n)
            size = 0
        size += more
    return list(pairwise([*begins, len(sizes)]))
