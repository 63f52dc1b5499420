"""The reposts of an account by time, for its own page and for the home timelines of its followers."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import Row, View

SHARES = Table("shares", dupsort=True)
"""account number 4 -> set of: LINE, as in the table of posts; its key is the element of the repost"""

_UNIQUE = Layout("key 16 | element 16")


def _row(account: bytes, time: bytes, cell_and_element: bytes, place: bytes) -> Row:
    return SHARES, account, time + cell_and_element[_UNIQUE.element] + place


VIEW = View("shares", 1, (SHARES,), {"shares": _row}, {SHARES: 0})
