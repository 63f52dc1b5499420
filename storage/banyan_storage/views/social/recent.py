"""The posts of all accounts by time, so that a page of everybody's costs the same however many accounts there are.

Openings and answers are apart: most public timelines have no answers, and would have to read past them.
"""

from __future__ import annotations

from collections.abc import Iterable

from banyan_schema.social.post import OPENING
from banyan_storage.engine import Item, Table
from banyan_storage.views.view import OpeningPost, Row, View

RECENT = Table("recent")
"""kind 1 | BY_TIME, with the place -> nothing. kind: OPENING or ANSWER of
banyan_schema.social.post"""


def _row(account: bytes, key: bytes, post: bytes, place: bytes) -> Row:
    return RECENT, key + account + post + place, b""


def _openings(posts: Iterable[OpeningPost]) -> list[Item]:
    return [(OPENING + time + account + post + place, b"") for account, time, post, place in posts]


VIEW = View("recent", 1, (RECENT,), {"recent": _row}, {RECENT: 9}, openings=_openings)
