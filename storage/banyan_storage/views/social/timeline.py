"""The posts of an account by time, for its own page and for the home timelines of its followers."""

from __future__ import annotations

from collections.abc import Iterable

from banyan_storage.engine import Item, Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import OpeningPost, Row, View

TIMELINE = Table("timeline", dupsort=True)
"""account number 4 -> set of: LINE"""
LINE = Layout("time 8 | key 16 | place 8", rest="key")
"""key: of the post."""


def _row(account: bytes, time: bytes, post: bytes, place: bytes) -> Row:
    return TIMELINE, account, time + post + place


def _openings(posts: Iterable[OpeningPost]) -> list[Item]:
    return [(account, time + post + place) for account, time, post, place in posts]


VIEW = View("timeline", 1, (TIMELINE,), {"timeline": _row}, {TIMELINE: 0}, openings=_openings)
