"""Which account says that it moved where or was another one; and what accounts tell those who follow them."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import Row, View, by_account

MOVED_TO = Table("moved_to")
"""MOVE -> nothing"""
MOVED_FROM = Table("moved_from")
"""MOVE, and the element 16 -> nothing"""
BROADCASTS = Table("broadcasts", dupsort=True)
"""account number 4 -> set of: BROADCAST"""
MOVE = Layout("account 4 | other 32 | key 16")
BROADCAST = Layout("place 8 | what 1")
"""what: see banyan_schema.notices."""


def _told(account: bytes, what: bytes, unique: bytes, place: bytes) -> Row:
    return BROADCASTS, account, place + what


VIEW = View(
    "moves",
    1,
    (MOVED_TO, MOVED_FROM, BROADCASTS),
    {"moved_to": by_account(MOVED_TO), "moved_from": by_account(MOVED_FROM), "broadcasts": _told},
    {MOVED_TO: 0, MOVED_FROM: 0, BROADCASTS: 0},
)
