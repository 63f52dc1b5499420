"""Which posts answer a post, and how many."""

from __future__ import annotations

from banyan_crdt.social import POST

from ..engine import Table
from .view import Counter, Row, Showing, View

REPLIES = Table("replies")
"""parent account 32 | parent key 16 | time 8 | account number 4 | post key 16 -> place 8"""
REPLY_COUNTS = Table("reply_counts")
"""parent account 32 | parent key 16 -> u32"""


def _rows(showing: Showing) -> list[Row]:
    time, parent = showing.seed[:8], showing.seed[8:]
    return [(REPLIES, parent + time + showing.account + showing.unique, showing.place)] if parent else []


def _parent(key: bytes) -> bytes:
    return key[:48]


VIEW = View(
    "thread",
    2,
    frozenset({POST}),
    (REPLIES,),
    _rows,
    {REPLIES: 56},
    (Counter(REPLIES, REPLY_COUNTS, _parent),),
)
