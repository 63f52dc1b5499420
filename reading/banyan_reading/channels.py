"""Channels as people read them: episodes in order or the newest first, those of many channels, and subscribers."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import CURSOR
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.channel import (
    CHANNEL,
    CHANNELS,
    EPISODE,
    PLAYLIST,
    PLAYLISTS,
    Channel,
    Episode,
    Playlist,
    published_in,
)
from banyan_storage.engine import after_prefix
from banyan_storage.slots import NUMBERS, ms_of
from banyan_storage.views.social.channels import (
    CHANNEL_EPISODES,
    EPISODE_COUNTS,
    EPISODE_ROW,
    NEW_EPISODE,
    NEW_EPISODES,
    SUBSCRIBER_COUNTS,
    SUBSCRIPTION,
    SUBSCRIPTIONS,
    VIEW,
)
from banyan_storage.views.view import count_of

ORDER_BYTES, NEWEST_BYTES = 40, 24
"""Of the last episode of a page of a channel: season, number, time and key, or time and key."""


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """time_ms: when it was published, as its account says, but never after its entry."""

    target: Target
    episode: Episode
    time_ms: int


def channel_of(ask: Queries, target: Target) -> Channel | None:
    """The channel, or None if it is unknown or dropped or its content is not held."""
    found, _ = ask.register(target, CHANNEL)
    return found if isinstance(found, Channel) else None


def playlist_of(ask: Queries, target: Target) -> Playlist | None:
    """The playlist, or None as above."""
    found, _ = ask.register(target, PLAYLIST)
    return found if isinstance(found, Playlist) else None


def episode_of(ask: Queries, target: Target) -> EpisodeView | None:
    """The episode, or None as above, or if it says that it is of a channel of another account."""
    found, seed = ask.register(target, EPISODE)
    if not isinstance(found, Episode) or found.channel.account != target.account:
        return None
    return EpisodeView(target, found, ms_of(published_in(seed)))


def channels_of(ask: Queries, account: AccountId, after: bytes = b"") -> Iterator[tuple[Target, Channel]]:
    """The channels of an account, by key. after: the key of the last one of the page before."""
    layout = CHANNELS.layout
    assert layout is not None
    return ((Target(account, one.key), layout.make(*one.values)) for one in ask.items(account, CHANNELS, b"", after))


def playlists_of(ask: Queries, account: AccountId, after: bytes = b"") -> Iterator[tuple[Target, Playlist]]:
    """The playlists of an account, by key. after: as above."""
    layout = PLAYLISTS.layout
    assert layout is not None
    return ((Target(account, one.key), layout.make(*one.values)) for one in ask.items(account, PLAYLISTS, b"", after))


def in_order(ask: Queries, channel: Target, after: bytes = b"") -> Iterator[tuple[bytes, EpisodeView | None]]:
    """(cursor, episode) of a channel by season, number and time; what has no season or number is behind what has. None
    in the place of what is not held. after: the cursor of the last one read."""
    ask.need(VIEW.name)
    number = ask.number(channel.account)
    if number is None:
        return
    start = number + channel.raw
    begin = after_prefix(start + after) if after else start
    for key, _ in ask.reader.txn.scan(CHANNEL_EPISODES, begin or start, after_prefix(start)):
        yield key[EPISODE_ROW.at], episode_of(ask, Target(channel.account, CellKey(key[EPISODE_ROW.key])))


def newest(ask: Queries, channel: Target, before: bytes = b"") -> Iterator[tuple[bytes, EpisodeView | None]]:
    """(cursor, episode) of a channel, newest first; otherwise as above."""
    ask.need(VIEW.name)
    number = ask.number(channel.account)
    if number is None:
        return
    start = number + channel.raw
    stop = start + before if before else after_prefix(start)
    for key, _ in ask.reader.txn.scan(NEW_EPISODES, start, stop, reverse=True):
        yield key[NEW_EPISODE.at], episode_of(ask, Target(channel.account, CellKey(key[NEW_EPISODE.key])))


def newest_of(
    ask: Queries, channels: Iterable[Target], before: bytes | None
) -> Iterator[tuple[bytes, EpisodeView | None]]:
    """(cursor, episode) of many channels, newest first, those of the same time by account and key. None in the place
    of what is not held. before: the cursor of the last one read. Reads one row of each channel, and one more for each
    row that is used."""
    ask.need(VIEW.name)
    txn, wanted = ask.reader.txn, sorted({*channels})
    numbers = {AccountId(who): n for who, n in txn.get_many(NUMBERS, sorted({one.account for one in wanted}))}

    def last(channel: Target, below: bytes | None) -> tuple[bytes, Target] | None:
        """The channel's newest episode below a cursor."""
        start = numbers[channel.account] + channel.raw
        found = next(iter(txn.scan(NEW_EPISODES, start, _stop(start, channel, below), reverse=True, limit=1)), None)
        if found is None:
            return None
        return found[0][NEW_EPISODE.time] + channel.account + found[0][NEW_EPISODE.key], channel

    heads = [head for one in wanted if one.account in numbers and (head := last(one, before)) is not None]
    heads.sort()
    while heads:
        cursor, channel = heads.pop()
        older = last(channel, cursor)
        if older is not None:
            insort(heads, older)
        yield cursor, episode_of(ask, Target(channel.account, CellKey(cursor[CURSOR.key])))


def _stop(start: bytes, channel: Target, below: bytes | None) -> bytes | None:
    """Where the rows of a channel stop below a cursor: of those of the same time, by account and key."""
    if below is None:
        return after_prefix(start)
    time, account, key = CURSOR.unpack(below)
    at = start + time
    return at + key if channel.account == account else after_prefix(at) if channel.account < account else at


def subscriptions(ask: Queries, account: AccountId, after: Target | None = None) -> Iterator[Target]:
    """The channels to which an account subscribed, by address, whether they are held or not. after: the last one of the
    page before."""
    ask.need(VIEW.name)
    number = ask.number(account)
    if number is None:
        return
    begin = number if after is None else after_prefix(number + after.raw) or number
    rows = ask.reader.txn.scan(SUBSCRIPTIONS, begin, after_prefix(number))
    for channel, _ in groupby(key[SUBSCRIPTION.channel] for key, _ in rows):
        yield Target.of(channel)


def subscribed(ask: Queries, account: AccountId, channel: Target) -> bool:
    """Whether the account subscribed to the channel."""
    ask.need(VIEW.name)
    number = ask.number(account)
    return number is not None and any(islice(ask.reader.txn.prefix(SUBSCRIPTIONS, number + channel.raw, limit=1), 1))


def subscriber_count(ask: Queries, channel: Target) -> int:
    """How many accounts subscribed, as far as this node knows."""
    ask.need(VIEW.name)
    return count_of(ask.reader.txn.get(SUBSCRIBER_COUNTS, channel.raw))


def episode_count(ask: Queries, channel: Target) -> int:
    """How many episodes the channel has."""
    ask.need(VIEW.name)
    number = ask.number(channel.account)
    return 0 if number is None else count_of(ask.reader.txn.get(EPISODE_COUNTS, number + channel.raw))
