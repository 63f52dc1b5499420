"""The posts of an account by time, for its own page and for the home timelines of its followers."""

from __future__ import annotations

from ...engine import Table
from ..view import Row, View

TIMELINE = Table("timeline", dupsort=True)
"""account number 4 -> set of: time 8 | post key 16 | place 8"""


def _row(account: bytes, time: bytes, post: bytes, place: bytes) -> Row:
    return TIMELINE, account, time + post + place


VIEW = View("timeline", 1, (TIMELINE,), {"timeline": _row}, {TIMELINE: 0})
