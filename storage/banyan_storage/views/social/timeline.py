"""Posts of all accounts by time; and reposts of an account, as `TIMELINE` (slots.py) has its posts."""

from __future__ import annotations

from collections.abc import Iterable

from banyan_schema.social.post import OPENING
from banyan_storage.engine import Item, Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import BY_PLACE, OpeningPost, Row, View

# Of all accounts: a page of everybody's costs the same however many there are. Openings and answers are apart: most
# public timelines have no answers, and would have to read past them.

RECENT = Table("latest", dupsort=True, size=BY_PLACE.place.stop)
"""kind 1 -> set of: BY_PLACE. kind: OPENING or ANSWER of banyan_schema.social.post"""
_BEFORE = Table("recent")
"""Of version 1: it is emptied when the view is built again."""
_KIND = RowLayout("kind 1 | time 8")


def _recent_row(account: bytes, key: bytes, post: bytes, place: bytes) -> Row:
    kind, time = _KIND.unpack(key)
    return RECENT, kind, time + account + place


def _recent_openings(posts: Iterable[OpeningPost]) -> list[Item]:
    return [(OPENING, time + account + place) for account, time, _, place in posts]


RECENT_VIEW = View(
    "recent", 2, (RECENT, _BEFORE), {"recent": _recent_row}, {RECENT: 9, _BEFORE: 9}, openings=_recent_openings
)


# Reposts of an account.

SHARES = Table("shares", dupsort=True)
"""account number 4 -> set of: LINE of slots.py; its key is the element of the repost"""

_UNIQUE = RowLayout("key 16 | element 16")


def _share_row(account: bytes, time: bytes, cell_and_element: bytes, place: bytes) -> Row:
    return SHARES, account, time + cell_and_element[_UNIQUE.element] + place


SHARES_VIEW = View("shares", 1, (SHARES,), {"shares": _share_row}, {SHARES: 0})
