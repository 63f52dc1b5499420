"""The episodes of a channel, in their order and by time, and who subscribes to it, with their numbers.

The rows of episodes begin with the account that says them. So an episode that a stranger says of a channel is in the
stranger's own rows, where nobody looks for it.
"""

from __future__ import annotations

from operator import itemgetter

from banyan_storage.engine import Table
from banyan_storage.tables import RowLayout
from banyan_storage.views.view import Counter, Row, View, by_account, by_target

CHANNEL_EPISODES = Table("channel_episodes")
"""EPISODE_ROW -> place 8"""
NEW_EPISODES = Table("new_episodes")
"""NEW_EPISODE -> place 8"""
EPISODE_COUNTS = Table("episode_counts")
"""account number 4 | channel 48 -> u32: episodes"""
SUBSCRIBERS = Table("channel_subscribers")
"""SUBSCRIBER -> nothing"""
SUBSCRIBER_COUNTS = Table("channel_subscriber_counts")
"""channel 48 -> u32: accounts"""
SUBSCRIPTIONS = Table("subscriptions")
"""SUBSCRIPTION -> nothing"""
EPISODE_ROW = RowLayout(
    "account 4 | channel 48 | season 8 | number 8 | time 8 | key 16", own="account channel", at="season"
)
NEW_EPISODE = RowLayout("account 4 | channel 48 | time 8 | key 16", at="time")
SUBSCRIBER = RowLayout("channel 48 | account 4 | key 16 | element 16", both="channel account")
SUBSCRIPTION = RowLayout("account 4 | channel 48 | key 16 | element 16")


def _in_order(account: bytes, channel_and_order: bytes, episode: bytes, place: bytes) -> Row:
    return CHANNEL_EPISODES, account + channel_and_order + episode, place


def _by_time(account: bytes, channel_and_time: bytes, episode: bytes, place: bytes) -> Row:
    return NEW_EPISODES, account + channel_and_time + episode, place


VIEW = View(
    "channels",
    1,
    (CHANNEL_EPISODES, NEW_EPISODES, SUBSCRIBERS, SUBSCRIPTIONS),
    {
        "channel_episodes": _in_order,
        "new_episodes": _by_time,
        "channel_subscribers": by_target(SUBSCRIBERS),
        "subscriptions": by_account(SUBSCRIPTIONS),
    },
    {CHANNEL_EPISODES: 0, NEW_EPISODES: 0, SUBSCRIBERS: 48, SUBSCRIPTIONS: 0},
    (
        Counter(CHANNEL_EPISODES, EPISODE_COUNTS, itemgetter(EPISODE_ROW.own)),
        Counter(SUBSCRIBERS, SUBSCRIBER_COUNTS, itemgetter(SUBSCRIBER.channel), itemgetter(SUBSCRIBER.both)),
    ),
)
