"""Which account says of which handle that it is whose, of which account that it is an official channel, and that it
moved."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import BY, Row, View, by_account, by_target

HANDLES = Table("handles")
"""length 1 | handle | account 32 | number 4 of the account that says it | cell key and element 32 -> nothing"""
HANDLES_SAID = Table("handles_said")
"""number 4 of the account that says it | length 1 | handle | account 32 | cell key and element 32 -> nothing"""
HANDLE_CLAIMS = Table("handle_claims")
"""length 1 | handle | account number 4 | profile cell's key 16 -> nothing: a field of the profile says that it is its
handle. Another cell may say otherwise later"""
CLAIM_BY, SAID_OF = slice(-20, -16), slice(-64, -32)
"""From the end: the account that claims a handle; whom a row of the second table names."""
HANDLES_VIEW = View(
    "handles",
    1,
    (HANDLES, HANDLES_SAID, HANDLE_CLAIMS),
    {
        "handles": by_target(HANDLES),
        "handles_said": by_account(HANDLES_SAID),
        "handle_claims": by_target(HANDLE_CLAIMS),
    },
    {HANDLES: BY.start, HANDLES_SAID: 0, HANDLE_CLAIMS: CLAIM_BY.start},
)


# Which account says of which that it is an official channel.

OFFICIALS = Table("officials")
"""OFFICIAL -> nothing"""
OFFICIAL = RowLayout("by 4 | account 32 | key 16 | element 16")
OFFICIALS_VIEW = View("officials", 1, (OFFICIALS,), {"officials": by_account(OFFICIALS)}, {OFFICIALS: 0})


# Which account says that it moved where or was another one; and what accounts tell those who follow them.

MOVED_TO = Table("moved_to")
"""MOVE -> nothing"""
MOVED_FROM = Table("moved_from")
"""MOVE, and the element 16 -> nothing"""
BROADCASTS = Table("broadcasts", dupsort=True)
"""account number 4 -> set of: BROADCAST"""
MOVE = RowLayout("account 4 | other 32 | key 16")
BROADCAST = RowLayout("place 8 | what 1")
"""what: see banyan_schema.notices."""


def _told(account: bytes, what: bytes, unique: bytes, place: bytes) -> Row:
    return BROADCASTS, account, place + what


MOVES_VIEW = View(
    "moves",
    1,
    (MOVED_TO, MOVED_FROM, BROADCASTS),
    {"moved_to": by_account(MOVED_TO), "moved_from": by_account(MOVED_FROM), "broadcasts": _told},
    {MOVED_TO: 0, MOVED_FROM: 0, BROADCASTS: 0},
)
