"""The orders in which a home timeline can be read. Each is a small function with a name, which the reader chooses, and
says of each post why it stands where it stands.

An order is a function of what everybody can see and of whom the reader follows. Nothing is learned about the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, get_args

Rank = Literal["newest", "catch_up"]
RANKS: tuple[Rank, ...] = get_args(Rank)
A_REPOST, A_REPLY, A_REACTION = 3, 2, 1
"""What a repost, a reply and a reaction of somebody whom the reader follows count in `catch_up`."""


class Candidate(NamedTuple):
    """A post of a home timeline. time_ms: when it was written, or reposted by one that the reader follows. reposts,
    replies, reactions: of how many accounts that the reader follows."""

    time_ms: int
    reposts: int = 0
    replies: int = 0
    reactions: int = 0


class Placed(NamedTuple):
    """score: the higher, the earlier; those with the same score are newest first. why: a sentence without a full
    stop."""

    score: int
    why: str


def newest(candidate: Candidate) -> Placed:
    """The newest first."""
    return Placed(0, "newest first")


def catch_up(candidate: Candidate) -> Placed:
    """First what those whom the reader follows reposted, answered and reacted to most."""
    score = A_REPOST * candidate.reposts + A_REPLY * candidate.replies + A_REACTION * candidate.reactions
    said = [
        f"{n} {one if n == 1 else several}"
        for n, one, several in (
            (candidate.reposts, "repost", "reposts"),
            (candidate.replies, "answer", "answers"),
            (candidate.reactions, "reaction", "reactions"),
        )
        if n
    ]
    if not said:
        return Placed(0, "nothing of those whom you follow, so by time")
    return Placed(score, f"{', '.join(said)} of those whom you follow")


ORDERS: Mapping[Rank, Callable[[Candidate], Placed]] = {"newest": newest, "catch_up": catch_up}
