"""The reposts of an account by time, for its own page and for the home timelines of its followers."""

from __future__ import annotations

from ...engine import Table
from ..view import Row, View

SHARES = Table("shares", dupsort=True)
"""account number 4 -> set of: time 8 | element 16 | place 8, as in the table of posts"""


def _row(account: bytes, time: bytes, cell_and_element: bytes, place: bytes) -> Row:
    return SHARES, account, time + cell_and_element[16:] + place


VIEW = View("shares", 1, (SHARES,), {"shares": _row}, {SHARES: 0})
