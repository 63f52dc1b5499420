"""The posts that answer a post, and their number."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, Row, View

REPLIES = Table("replies")
"""parent account 32 | parent key 16 | time 8 | account number 4 | post key 16 -> place 8"""
REPLY_COUNTS = Table("reply_counts")
"""parent account 32 | parent key 16 -> u32"""


def _row(account: bytes, parent_and_time: bytes, post: bytes, place: bytes) -> Row:
    return REPLIES, parent_and_time + account + post, place


def _parent(key: bytes) -> bytes:
    return key[:48]


VIEW = View(
    "thread",
    2,
    (REPLIES,),
    {"replies": _row},
    {REPLIES: 56},
    (Counter(REPLIES, REPLY_COUNTS, _parent),),
)
