"""Who reacted to a post and with what, who reposted it, and how many of each."""

from __future__ import annotations

from ...engine import ReadTxn, Table
from ..view import Counter, View, by_target, count_of

REACTIONS = Table("reactions")
"""target account 32 | target key 16 | length 1 | emoji | account number 4 | cell key and element 32 -> nothing"""
REACTION_COUNTS = Table("reaction_counts")
"""target account 32 | target key 16 | length 1 | emoji -> u32: accounts"""
REPOSTS = Table("reposts")
"""target account 32 | target key 16 | account number 4 | cell key and element 32 -> nothing"""
REPOST_COUNTS = Table("repost_counts")
"""target account 32 | target key 16 -> u32: accounts"""
KINDS = 200
"""So many kinds of reactions of one post are read, the shortest first: anybody can invent any number."""
USUAL = ("❤", "❤️", *"👍👎😂🤣😮😢😡🙏🔥🎉👏💯😍🤔✅👀💔🌳")
"""These are read in any case."""
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


def kinds_of(txn: ReadTxn, target: bytes) -> dict[str, int]:
    """How many accounts reacted to a post, 48 bytes, by emoji: KINDS of them, and the usual ones."""
    rows = list(txn.prefix(REACTION_COUNTS, target, limit=KINDS))
    if len(rows) == KINDS:
        rows += txn.get_many(
            REACTION_COUNTS, sorted(target + bytes((len(raw),)) + raw for raw in map(str.encode, USUAL))
        )
    return {key[49:].decode(): count_of(count) for key, count in rows}
