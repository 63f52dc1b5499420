"""The posts of an account by the time at which each stands, for its own page and for whoever follows it."""

from __future__ import annotations

from banyan_crdt.social import POST

from ..engine import Table
from .view import Row, Showing, View

TIMELINE = Table("timeline", dupsort=True)
"""account number 4 -> set of: time 8 | post key 16 | place 8"""


def timeline_value(showing: Showing) -> bytes:
    return showing.seed[:8] + showing.unique + showing.place


def _rows(showing: Showing) -> list[Row]:
    return [(TIMELINE, showing.account, timeline_value(showing))]


VIEW = View("timeline", 1, frozenset({POST}), (TIMELINE,), _rows, {TIMELINE: 0})
