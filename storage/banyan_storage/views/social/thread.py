"""The posts that answer a post, and their number; and the answers of a conversation that answer another answer, which
are found there if that one is deleted."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, Row, View

REPLIES = Table("replies")
"""parent account 32 | parent key 16 | time 8 | account number 4 | post key 16 -> place 8"""
REPLY_COUNTS = Table("reply_counts")
"""parent account 32 | parent key 16 -> u32"""
CONVERSATIONS = Table("conversations")
"""conversation 8 | time 8 | account number 4 | post key 16 -> place 8 | parent account 32 | parent key 16.
Conversation: see `banyan_schema.address`"""


def _row(account: bytes, parent_and_time: bytes, post: bytes, place: bytes) -> Row:
    return REPLIES, parent_and_time + account + post, place


def _within(account: bytes, where_and_parent: bytes, post: bytes, place: bytes) -> Row:
    return CONVERSATIONS, where_and_parent[:16] + account + post, place + where_and_parent[16:]


def _parent(key: bytes) -> bytes:
    return key[:48]


VIEW = View(
    "thread",
    4,
    (REPLIES, CONVERSATIONS),
    {"replies": _row, "conversations": _within},
    {REPLIES: 56, CONVERSATIONS: 16},
    (Counter(REPLIES, REPLY_COUNTS, _parent),),
)
