"""Why we use neither timestamps nor store limits: Farcaster's published merge rule, and sets that it tears apart.

A store of one user holds at most N messages of a type. Conflicts are decided in the casts' store by "a remove beats an
add of the same target", in the links' store by the later timestamp (remove at a tie, then the higher hash); a full
store prunes the message with the earliest timestamp, and takes none that is earlier than all it holds. So what was
pruned depends on what was there at that moment, and two hubs that got the same messages in another order differ.

    python -m tests.model.farcaster
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import permutations
from typing import Literal, NamedTuple

Kind = Literal["casts", "links"]


class Message(NamedTuple):
    hash: int
    target: int
    time: int
    remove: bool


def beats(new: Message, held: Message, kind: Kind) -> bool:
    """Whether `new` replaces `held`, which has the same target."""
    if kind == "casts" and new.remove != held.remove:
        return new.remove
    return (new.time, new.remove, new.hash) > (held.time, held.remove, held.hash)


def store(messages: Iterable[Message], limit: int, kind: Kind) -> frozenset[Message]:
    """What a hub holds after getting `messages` in that order."""
    held: dict[int, Message] = {}
    for m in messages:
        other = held.get(m.target)
        if other is not None and not beats(m, other, kind):
            continue
        held[m.target] = m
        if len(held) > limit:
            del held[min(held.values(), key=lambda h: (h.time, h.hash)).target]
    return frozenset(held.values())


def random_set(rng: random.Random) -> list[Message]:
    """Three to six messages about up to four targets. The signer chooses timestamps, as in Farcaster."""
    return [Message(n, rng.randrange(4), rng.randrange(8), rng.random() < 0.4) for n in range(rng.randrange(3, 7))]


def order_dependent(kind: Kind, sets: int = 2_000, limit: int = 2, seed: int = 3) -> int:
    """How many of `sets` random sets give different stores for different orders of arrival (all orders are tried)."""
    rng = random.Random(seed)
    found = 0
    for _ in range(sets):
        ends: set[frozenset[Message]] = set()
        for order in permutations(random_set(rng)):
            ends.add(store(order, limit, kind))
            if len(ends) > 1:
                break
        found += len(ends) > 1
    return found


def main() -> None:
    for kind in ("casts", "links"):
        found = order_dependent(kind)
        print(f"Farcaster's rule, {kind}: {found} of 2,000 random sets end differently by order of arrival")


if __name__ == "__main__":
    main()
