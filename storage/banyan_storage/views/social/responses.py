"""What others did with a post: reactions, reposts, quotes and answers, with their numbers; and who may."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from banyan_storage.engine import ReadTxn, Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import BY, BY_PLACE, Counter, Row, View, by_account, by_target, count_of

REACTIONS = Table("reactions")
"""target 48 | length 1 | emoji | account number 4 | cell key and element 32 -> nothing"""
REACTION_COUNTS = Table("reaction_counts")
"""target 48 | length 1 | emoji -> u32: accounts"""
REPOSTS = Table("reposts")
"""target 48 | account number 4 | cell key and element 32 -> nothing"""
REPOST_COUNTS = Table("repost_counts")
"""target 48 -> u32: accounts"""
REACTION = RowLayout("target 48 | length 1 | emoji")
"""Where a reaction, or its count, begins."""
KINDS = 200
"""So many kinds of reactions of one post are read, the shortest first: anybody can invent any number."""
USUAL = ("❤", "❤️", *"👍👎😂🤣😮😢😡🙏🔥🎉👏💯😍🤔✅👀💔🌳")
"""These are read in any case."""
_and_account = itemgetter(slice(0, BY.stop))


def _target_and_emoji(key: bytes) -> bytes:
    return key[: REACTION.emoji.start + key[REACTION.length][0]]


REACTIONS_VIEW = View(
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


def kinds_of(txn: ReadTxn, targets: Iterable[bytes]) -> dict[bytes, dict[str, int]]:
    """How many accounts reacted to posts, 48 bytes, by emoji: KINDS of them, and the usual ones; without those to which
    nobody did."""
    found = dict[bytes, dict[bytes, bytes]]()
    for target, key, count in txn.prefixes(REACTION_COUNTS, sorted(targets), KINDS):
        found.setdefault(target, {})[key] = count
    for target, rows in found.items():
        if len(rows) == KINDS:
            usual = sorted(target + bytes((len(raw),)) + raw for raw in map(str.encode, USUAL))
            rows.update(txn.get_many(REACTION_COUNTS, usual))
    return {
        target: {key[REACTION.emoji].decode(): count_of(count) for key, count in rows.items()}
        for target, rows in found.items()
    }


# The posts that quote a post, by time, and their number.

QUOTES = Table("quoted", dupsort=True, size=BY_PLACE.place.stop)
"""quoted 48 -> set of: BY_PLACE"""
QUOTE_COUNTS = Table("quote_counts")
"""quoted 48 -> u32"""
_QUOTE = RowLayout("quoted 48 | time 8")
_BEFORE = Table("quotes")
"""Of version 1: is emptied when the view is built again."""


def _quote_row(account: bytes, quoted_and_time: bytes, post: bytes, place: bytes) -> Row:
    quoted, time = _QUOTE.unpack(quoted_and_time)
    return QUOTES, quoted, time + account + place


_COUNTER = Counter(QUOTES, QUOTE_COUNTS, itemgetter(_QUOTE.quoted))
QUOTES_VIEW = View("quotes", 2, (QUOTES, _BEFORE), {"quotes": _quote_row}, {QUOTES: 56, _BEFORE: 56}, (_COUNTER,))


# Who may answer, quote and repost a post, where not everybody may, and what its author hid below it.

RULES = Table("rules")
"""account number 4 | post key 16 -> policy 1 (banyan_schema.social.post), or
account number 4 | post key 16 | hidden post 48 | cell key and element 32 -> nothing"""


def _policy(account: bytes, policy: bytes, post: bytes, place: bytes) -> Row:
    return RULES, account + post, policy


RULES_VIEW = View("rules", 1, (RULES,), {"policies": _policy, "hidden": by_account(RULES)}, {RULES: 0})


# The posts that answer a post, and their number; and the answers of a conversation that answer another answer, which
# are found there if that one is deleted.

REPLIES = Table("replies")
"""parent 48 | BY_TIME -> place 8"""
REPLY_COUNTS = Table("reply_counts")
"""parent 48 -> u32"""
CONVERSATIONS = Table("conversations")
"""conversation 8 | BY_TIME -> WITHIN. Conversation: see `banyan_schema.address`"""
REPLY = RowLayout("parent 48 | time 8 | account 4 | key 16")
WITHIN = RowLayout("place 8 | parent 48")
_WHERE = RowLayout("begin 16 | parent 48")


def _reply_row(account: bytes, parent_and_time: bytes, post: bytes, place: bytes) -> Row:
    return REPLIES, parent_and_time + account + post, place


def _within(account: bytes, where_and_parent: bytes, post: bytes, place: bytes) -> Row:
    return CONVERSATIONS, where_and_parent[_WHERE.begin] + account + post, place + where_and_parent[_WHERE.parent]


THREAD_VIEW = View(
    "thread",
    4,
    (REPLIES, CONVERSATIONS),
    {"replies": _reply_row, "conversations": _within},
    {REPLIES: 56, CONVERSATIONS: 16},
    (Counter(REPLIES, REPLY_COUNTS, itemgetter(REPLY.parent)),),
)
