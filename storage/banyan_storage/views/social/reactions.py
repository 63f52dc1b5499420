"""Who reacted to a post and with what, who reposted it, and how many of each."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, View, by_target

REACTIONS = Table("reactions")
"""target account 32 | target key 16 | length 1 | emoji | account number 4 | cell key and element 32 -> nothing"""
REACTION_COUNTS = Table("reaction_counts")
"""target account 32 | target key 16 | length 1 | emoji -> u32: accounts"""
REPOSTS = Table("reposts")
"""target account 32 | target key 16 | account number 4 | cell key and element 32 -> nothing"""
REPOST_COUNTS = Table("repost_counts")
"""target account 32 | target key 16 -> u32: accounts"""
FROM_END = -36
"""Where the account's number is in the keys of both tables: before the cell's key and element."""


def _target(key: bytes) -> bytes:
    return key[:48]


def _target_and_emoji(key: bytes) -> bytes:
    return key[: 49 + key[48]]


def _and_account(key: bytes) -> bytes:
    return key[: FROM_END + 4]


VIEW = View(
    "reactions",
    2,
    (REACTIONS, REPOSTS),
    {"reactions": by_target(REACTIONS), "reposts": by_target(REPOSTS)},
    {REACTIONS: FROM_END, REPOSTS: FROM_END},
    (
        Counter(REACTIONS, REACTION_COUNTS, _target_and_emoji, _and_account),
        Counter(REPOSTS, REPOST_COUNTS, _target, _and_account),
    ),
)
