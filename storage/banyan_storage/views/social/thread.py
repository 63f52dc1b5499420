"""The posts that answer a post, and their number; and the answers of a conversation that answer another answer, which
are found there if that one is deleted."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import Counter, Row, View

REPLIES = Table("replies")
"""parent 48 | BY_TIME -> place 8"""
REPLY_COUNTS = Table("reply_counts")
"""parent 48 -> u32"""
CONVERSATIONS = Table("conversations")
"""conversation 8 | BY_TIME -> WITHIN. Conversation: see `banyan_schema.address`"""
REPLY = Layout("parent 48 | time 8 | account 4 | key 16")
WITHIN = Layout("place 8 | parent 48")
_WHERE = Layout("begin 16 | parent 48")


def _row(account: bytes, parent_and_time: bytes, post: bytes, place: bytes) -> Row:
    return REPLIES, parent_and_time + account + post, place


def _within(account: bytes, where_and_parent: bytes, post: bytes, place: bytes) -> Row:
    return CONVERSATIONS, where_and_parent[_WHERE.begin] + account + post, place + where_and_parent[_WHERE.parent]


VIEW = View(
    "thread",
    4,
    (REPLIES, CONVERSATIONS),
    {"replies": _row, "conversations": _within},
    {REPLIES: 56, CONVERSATIONS: 16},
    (Counter(REPLIES, REPLY_COUNTS, itemgetter(REPLY.parent)),),
)
