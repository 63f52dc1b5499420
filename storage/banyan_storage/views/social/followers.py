"""Who follows an account, and the numbers of its followers and of the accounts that it follows."""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, View, by_target

FOLLOWERS = Table("followers")
"""target account 32 | account number 4 | cell key and element 32 -> nothing"""
FOLLOWER_COUNTS = Table("follower_counts")
"""target account 32 -> u32: accounts that follow it"""
FOLLOW_COUNTS = Table("follow_counts")
"""account number 4 -> u32: accounts that it follows"""


def _target(key: bytes) -> bytes:
    return key[:32]


def _account(key: bytes) -> bytes:
    return key[32:36]


def _both(key: bytes) -> bytes:
    return key[:36]


VIEW = View(
    "followers",
    2,
    (FOLLOWERS,),
    {"followers": by_target(FOLLOWERS)},
    {FOLLOWERS: 32},
    (
        Counter(FOLLOWERS, FOLLOWER_COUNTS, _target, _both),
        Counter(FOLLOWERS, FOLLOW_COUNTS, _account, _both),
    ),
)
