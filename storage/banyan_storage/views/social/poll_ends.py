"""When the polls end of which an account is to hear: those that it asked, and those in which it voted."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import View, by_account

OWN_POLLS = Table("own_polls")
"""OWN_POLL -> nothing"""
VOTED_POLLS = Table("voted_polls")
"""VOTED_POLL -> nothing"""
OWN_POLL = Layout("account 4 | ends_ms 8 | key 16")
VOTED_POLL = Layout("account 4 | ends_ms 8 | poll 48 | cell 16")

VIEW = View(
    "poll_ends",
    1,
    (OWN_POLLS, VOTED_POLLS),
    {"own_polls": by_account(OWN_POLLS), "voted_polls": by_account(VOTED_POLLS)},
    {OWN_POLLS: 0, VOTED_POLLS: 0},
)
