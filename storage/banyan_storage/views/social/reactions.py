"""Who reacted to a post and with what, who reposted it, and how many of each."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import ReadTxn, Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import BY, Counter, View, by_target, count_of

REACTIONS = Table("reactions")
"""target 48 | length 1 | emoji | account number 4 | cell key and element 32 -> nothing"""
REACTION_COUNTS = Table("reaction_counts")
"""target 48 | length 1 | emoji -> u32: accounts"""
REPOSTS = Table("reposts")
"""target 48 | account number 4 | cell key and element 32 -> nothing"""
REPOST_COUNTS = Table("repost_counts")
"""target 48 -> u32: accounts"""
REACTION = Layout("target 48 | length 1 | emoji")
"""Where a reaction, or its count, begins."""
KINDS = 200
"""So many kinds of reactions of one post are read, the shortest first: anybody can invent any number."""
USUAL = ("❤", "❤️", *"👍👎😂🤣😮😢😡🙏🔥🎉👏💯😍🤔✅👀💔🌳")
"""These are read in any case."""
_and_account = itemgetter(slice(0, BY.stop))


def _target_and_emoji(key: bytes) -> bytes:
    return key[: REACTION.emoji.start + key[REACTION.length][0]]


VIEW = View(
    "reactions",
    2,
    (REACTIONS, REPOSTS),
    {"reactions": by_target(REACTIONS), "reposts": by_target(REPOSTS)},
    {REACTIONS: BY.start, REPOSTS: BY.start},
    (
        Counter(REACTIONS, REACTION_COUNTS, _target_and_emoji, _and_account),
        Counter(REPOSTS, REPOST_COUNTS, itemgetter(REACTION.target), _and_account),
    ),
)


def kinds_of(txn: ReadTxn, target: bytes) -> dict[str, int]:
    """How many accounts reacted to a post, 48 bytes, by emoji: KINDS of them, and the usual ones."""
    rows = list(txn.prefix(REACTION_COUNTS, target, limit=KINDS))
    if len(rows) == KINDS:
        rows += txn.get_many(
            REACTION_COUNTS, sorted(target + bytes((len(raw),)) + raw for raw in map(str.encode, USUAL))
        )
    return {key[REACTION.emoji].decode(): count_of(count) for key, count in rows}
