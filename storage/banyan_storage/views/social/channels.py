"""The episodes of a channel, in their order and by time, and who subscribes to it, with their numbers.

The rows of episodes begin with the account that says them. So an episode that a stranger says of a channel is in the
stranger's own rows, where nobody looks for it.
"""

from __future__ import annotations

from ...engine import Table
from ..view import Counter, Row, View, by_account, by_target

CHANNEL_EPISODES = Table("channel_episodes")
"""account number 4 | channel account 32 | channel key 16 | season 8 | number 8 | time 8 | episode key 16 -> place 8"""
NEW_EPISODES = Table("new_episodes")
"""account number 4 | channel account 32 | channel key 16 | time 8 | episode key 16 -> place 8"""
EPISODE_COUNTS = Table("episode_counts")
"""account number 4 | channel account 32 | channel key 16 -> u32: episodes"""
SUBSCRIBERS = Table("channel_subscribers")
"""channel account 32 | channel key 16 | account number 4 | cell key and element 32 -> nothing"""
SUBSCRIBER_COUNTS = Table("channel_subscriber_counts")
"""channel account 32 | channel key 16 -> u32: accounts"""
SUBSCRIPTIONS = Table("subscriptions")
"""account number 4 | channel account 32 | channel key 16 | cell key and element 32 -> nothing"""


def _in_order(account: bytes, channel_and_order: bytes, episode: bytes, place: bytes) -> Row:
    return CHANNEL_EPISODES, account + channel_and_order + episode, place


def _by_time(account: bytes, channel_and_time: bytes, episode: bytes, place: bytes) -> Row:
    return NEW_EPISODES, account + channel_and_time + episode, place


def _of_channel(key: bytes) -> bytes:
    return key[:52]


def _channel(key: bytes) -> bytes:
    return key[:48]


def _and_account(key: bytes) -> bytes:
    return key[:52]


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
        Counter(CHANNEL_EPISODES, EPISODE_COUNTS, _of_channel),
        Counter(SUBSCRIBERS, SUBSCRIBER_COUNTS, _channel, _and_account),
    ),
)
