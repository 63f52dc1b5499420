"""What an account wants to hear of, in the order in which this store heard of it: replies, quotes, mentions, reactions,
reposts, followers.

The order is that of arrival, so nothing new is ever below what was read already, and a page stays where it was. Within
a stretch of STRETCH arrivals the rows of one account and kind stand together, so what is too many is passed over in
one step.
"""

from __future__ import annotations

from banyan_schema.notices import UNTOLD
from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout, part_place
from banyan_storage.views.view import Row, View

NOTICES = Table("notices", dupsort=True)
"""account 32 -> set of: NOTICE"""
NAMINGS = Table("namings", dupsort=True)
"""account 32 -> set of: NAMING, of what it is not told"""
NOTICE = RowLayout("stretch 5 | account 4 | what 1 | place 8", by="account what", begin="stretch what")
"""account: the number of the one that did it. what: see banyan_schema.notices."""
NAMING = RowLayout("place 8 | account 4")
_WHOM = RowLayout("what 1 | account 32")
STRETCH = 1_024
"""Arrivals of a stretch. All its rows are read for a page, but for those that are passed over."""


def stretch_of(place: bytes, beyond: int = 0) -> bytes:
    """The stretch in which a place is, or one that is so many `beyond` it."""
    return (part_place(place)[0] // STRETCH + beyond).to_bytes(5, "big")


def _row(account: bytes, what_and_whom: bytes, unique: bytes, place: bytes) -> Row:
    what, whom = _WHOM.unpack(what_and_whom)
    if what == UNTOLD:
        return NAMINGS, whom, place + account
    return NOTICES, whom, stretch_of(place) + account + what + place


VIEW = View("notices", 3, (NOTICES, NAMINGS), {"notices": _row}, {NOTICES: 32 + 5, NAMINGS: 32 + 8})
