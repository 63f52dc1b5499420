"""The posts that quote a post, by time, and their number."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import Counter, Row, View

QUOTES = Table("quotes")
"""quoted 48 | BY_TIME, with the place -> nothing"""
QUOTE_COUNTS = Table("quote_counts")
"""quoted 48 -> u32"""
_QUOTE = Layout("quoted 48 | by_time")


def _row(account: bytes, quoted_and_time: bytes, post: bytes, place: bytes) -> Row:
    return QUOTES, quoted_and_time + account + post + place, b""


_COUNTER = Counter(QUOTES, QUOTE_COUNTS, itemgetter(_QUOTE.quoted))
VIEW = View("quotes", 1, (QUOTES,), {"quotes": _row}, {QUOTES: 56}, (_COUNTER,))
