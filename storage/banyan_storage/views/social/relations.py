"""Whom an account follows, blocks and mutes, who follows it, and whom it accepts if it is locked; with their
numbers."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Counter, View, by_account, by_target

FOLLOWS = Table("follows")
"""RELATION -> nothing; the same for blocks and mutes"""
BLOCKS = Table("blocks")
MUTES = Table("mutes")
RELATION = RowLayout("account 4 | other 32 | key 16 | element 16")
RELATIONS_VIEW = View(
    "relations",
    1,
    (FOLLOWS, BLOCKS, MUTES),
    {"follows": by_account(FOLLOWS), "blocks": by_account(BLOCKS), "mutes": by_account(MUTES)},
    {FOLLOWS: 0, BLOCKS: 0, MUTES: 0},
)


# Who follows an account, and the numbers of its followers and of the accounts that it follows.

FOLLOWERS = Table("followers")
"""FOLLOWER -> nothing"""
FOLLOWER_COUNTS = Table("follower_counts")
"""target account 32 -> u32: accounts that follow it"""
FOLLOW_COUNTS = Table("follow_counts")
"""account number 4 -> u32: accounts that it follows"""

FOLLOWER = RowLayout("target 32 | account 4 | key 16 | element 16", both="target account")
_both = itemgetter(FOLLOWER.both)
FOLLOWERS_VIEW = View(
    "followers",
    2,
    (FOLLOWERS,),
    {"followers": by_target(FOLLOWERS)},
    {FOLLOWERS: 32},
    (
        Counter(FOLLOWERS, FOLLOWER_COUNTS, itemgetter(FOLLOWER.target), _both),
        Counter(FOLLOWERS, FOLLOW_COUNTS, itemgetter(FOLLOWER.account), _both),
    ),
)


# Which accounts say that they are locked, and whom they accept or refuse as followers.

LOCKED = Table("locked")
"""account number 4 | "l" | profile cell's key 16 -> nothing: a field of the profile says `locked`. Another cell may say
otherwise later, so this only rules out."""
FOLLOW_ANSWERS = Table("follow_answers")
"""FOLLOW_ANSWER -> nothing"""
FOLLOW_ANSWER = RowLayout("account 4 | answer 1 | follower 32 | key 16 | element 16")
"""answer: see banyan_schema.social.relation."""
LOCKED_VIEW = View(
    "locked",
    1,
    (LOCKED, FOLLOW_ANSWERS),
    {"locked": by_account(LOCKED), "follow_answers": by_account(FOLLOW_ANSWERS)},
    {LOCKED: 0, FOLLOW_ANSWERS: 0},
)
