"""The posts that quote a post, by time, and their number."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, Row, View

QUOTES = Table("quotes")
"""quoted account 32 | quoted key 16 | time 8 | account number 4 | post key 16 | place 8 -> nothing"""
QUOTE_COUNTS = Table("quote_counts")
"""quoted account 32 | quoted key 16 -> u32"""


def _row(account: bytes, quoted_and_time: bytes, post: bytes, place: bytes) -> Row:
    return QUOTES, quoted_and_time + account + post + place, b""


def _quoted(key: bytes) -> bytes:
    return key[:48]


VIEW = View("quotes", 1, (QUOTES,), {"quotes": _row}, {QUOTES: 56}, (Counter(QUOTES, QUOTE_COUNTS, _quoted),))
