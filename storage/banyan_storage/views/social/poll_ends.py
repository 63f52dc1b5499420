"""When the polls end of which an account is to hear: those that it asked, and those in which it voted."""

from __future__ import annotations

from ...engine import Table
from ..view import View, by_account

OWN_POLLS = Table("own_polls")
"""account number 4 | ends, ms, 8 | post's key 16 -> nothing"""
VOTED_POLLS = Table("voted_polls")
"""account number 4 | ends, ms, 8 | post's account 32 | post's key 16 | cell key 16 -> nothing"""

VIEW = View(
    "poll_ends",
    1,
    (OWN_POLLS, VOTED_POLLS),
    {"own_polls": by_account(OWN_POLLS), "voted_polls": by_account(VOTED_POLLS)},
    {OWN_POLLS: 0, VOTED_POLLS: 0},
)
