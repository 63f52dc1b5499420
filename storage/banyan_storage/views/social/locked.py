"""Which accounts say that they are locked, and whom they accept or refuse as followers."""

from __future__ import annotations

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import View, by_account

LOCKED = Table("locked")
"""account number 4 | "l" | profile cell's key 16 -> nothing: a field of the profile says `locked`. Another cell may say
otherwise later, so this only rules out."""
FOLLOW_ANSWERS = Table("follow_answers")
"""FOLLOW_ANSWER -> nothing"""
FOLLOW_ANSWER = Layout("account 4 | answer 1 | follower 32 | key 16 | element 16")
"""answer: see banyan_schema.social.locked."""
VIEW = View(
    "locked",
    1,
    (LOCKED, FOLLOW_ANSWERS),
    {"locked": by_account(LOCKED), "follow_answers": by_account(FOLLOW_ANSWERS)},
    {LOCKED: 0, FOLLOW_ANSWERS: 0},
)
