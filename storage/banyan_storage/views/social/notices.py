"""What an account wants to hear of, in the order in which this store heard of it: replies, quotes, mentions, reactions,
reposts, followers.

The order is that of arrival, so nothing new is ever below what was read already, and a page stays where it was. Within
a stretch of STRETCH arrivals the rows of one account and kind stand together, so what is too many is passed over in
one step.
"""

from __future__ import annotations

from banyan_schema.notices import UNTOLD

from ...engine import Table
from ..view import Row, View

NOTICES = Table("notices", dupsort=True)
"""account 32 -> set of: stretch 5 | number of the account that did it 4 | what happened 1 | place 8. What: see
banyan_schema.notices"""
NAMINGS = Table("namings", dupsort=True)
"""account 32 -> set of: place 8 | number of the account that names it 4, of what it is not told"""
STRETCH = 1_024
"""Arrivals of a stretch. All its rows are read for a page, but for those that are passed over."""


def stretch_of(place: bytes, beyond: int = 0) -> bytes:
    """The stretch in which a place is, or one that is so many `beyond` it."""
    return (int.from_bytes(place[:6], "big") // STRETCH + beyond).to_bytes(5, "big")


def _row(account: bytes, what_and_whom: bytes, unique: bytes, place: bytes) -> Row:
    what, whom = what_and_whom[:1], what_and_whom[1:]
    if what == UNTOLD:
        return NAMINGS, whom, place + account
    return NOTICES, whom, stretch_of(place) + account + what + place


VIEW = View("notices", 3, (NOTICES, NAMINGS), {"notices": _row}, {NOTICES: 32 + 5, NAMINGS: 32 + 8})
