"""Who says that it is in a group, what is said in it, and what owners and moderators say of members and posts.

The rows say who said what. Whether an act counts depends on what others say, so that is asked when they are read
(groups.py). Acts are found by the account that says them: what strangers say of a group costs its readers nothing.
"""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Counter, Row, View, by_account, by_target

GROUP_JOINS = Table("group_joins")
"""GROUP_JOIN -> nothing"""
GROUP_JOIN_COUNTS = Table("group_join_counts")
"""group 48 -> u32: accounts that joined or asked to"""
JOINED_GROUPS = Table("joined_groups")
"""JOINED_GROUP -> nothing"""
GROUP_ACTS = Table("group_acts")
"""account number 4 | what 1 | group 48 | account 32, or a post 48 | cell key and element 32 -> nothing. What:
see banyan_schema.social.group"""
GROUP_POSTS = Table("group_posts")
"""group's digest 8 | BY_TIME -> place 8"""
GROUP_JOIN = RowLayout("group 48 | account 4 | key 16 | element 16", both="group account")
JOINED_GROUP = RowLayout("account 4 | group 48 | key 16 | element 16")


def _post(account: bytes, group_and_time: bytes, post: bytes, place: bytes) -> Row:
    return GROUP_POSTS, group_and_time + account + post, place


VIEW = View(
    "groups",
    1,
    (GROUP_JOINS, JOINED_GROUPS, GROUP_ACTS, GROUP_POSTS),
    {
        "group_joins": by_target(GROUP_JOINS),
        "joined_groups": by_account(JOINED_GROUPS),
        "group_acts": by_account(GROUP_ACTS),
        "group_posts": _post,
    },
    {GROUP_JOINS: 48, JOINED_GROUPS: 0, GROUP_ACTS: 0, GROUP_POSTS: 16},
    (Counter(GROUP_JOINS, GROUP_JOIN_COUNTS, itemgetter(GROUP_JOIN.group), itemgetter(GROUP_JOIN.both)),),
)
