"""Who follows an account, and the numbers of its followers and of the accounts that it follows."""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.layout import Layout
from banyan_storage.views.view import Counter, View, by_target

FOLLOWERS = Table("followers")
"""FOLLOWER -> nothing"""
FOLLOWER_COUNTS = Table("follower_counts")
"""target account 32 -> u32: accounts that follow it"""
FOLLOW_COUNTS = Table("follow_counts")
"""account number 4 -> u32: accounts that it follows"""

FOLLOWER = Layout("target 32 | account 4 | key 16 | element 16", both="target account")
_both = itemgetter(FOLLOWER.both)
VIEW = View(
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
