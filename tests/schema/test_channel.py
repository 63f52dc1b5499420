"""Channels, episodes, playlists and subscriptions: their content keeps the laws, and an episode has its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan_crdt.ids import AccountId, CellKey
from banyan_crdt.parts import make_part
from banyan_schema.address import Target
from banyan_schema.registry import SOCIAL
from banyan_schema.social.channel import (
    CHANNEL,
    CHANNEL_KINDS,
    COLLECTIONS,
    MAX_CHAPTERS,
    MAX_POSTS,
    Channel,
    Chapter,
    Episode,
    Playlist,
    Subscription,
    subscribe,
    write_channel,
    write_episode,
    write_playlist,
)
from tests.schema.laws import cell_of, element_of, keeps_the_laws, targets, texts

SALT = b"s" * 32
HERE = Target(AccountId(b"o" * 32), CellKey(b"e" * 16))
CHANNELS, EPISODES, PLAYLISTS, SUBSCRIPTIONS = COLLECTIONS
whole = st.integers(0, 2**64 - 1) | st.integers(0, 30)
maybe = st.none() | whole
hashes = st.binary(min_size=32, max_size=32)


def test_a_channel_keeps_the_laws() -> None:
    said = st.builds(
        Channel,
        texts,
        texts,
        st.sampled_from(CHANNEL_KINDS),
        st.none() | st.just("vi"),
        st.none() | texts,
        hashes | st.none(),
    )
    keeps_the_laws(CHANNELS, said, lambda one: write_channel(HERE.key, one))


def test_an_episode_keeps_the_laws() -> None:
    chapters = st.lists(st.builds(Chapter, whole, texts), max_size=3).map(tuple)
    said = st.builds(Episode, targets, targets, texts, maybe, maybe, maybe, chapters)
    keeps_the_laws(EPISODES, said, lambda one: write_episode(HERE.key, one))


def test_a_playlist_keeps_the_laws() -> None:
    said = st.builds(Playlist, texts, texts, st.lists(targets, max_size=4).map(tuple))
    keeps_the_laws(PLAYLISTS, said, lambda one: write_playlist(HERE.key, one))


def test_a_subscription_keeps_the_laws() -> None:
    keeps_the_laws(SUBSCRIPTIONS, st.builds(Subscription, targets), lambda one: subscribe(SALT, one))


def test_a_subscription_is_one_element_of_its_channel() -> None:
    first, other = (subscribe(SALT, Subscription(HERE._replace(key=CellKey(k * 16)))).op for k in (b"a", b"b"))
    assert cell_of(first) == cell_of(other)
    assert element_of(first) != element_of(other)


@pytest.mark.parametrize(
    ("of", "most", "too_many"),
    [
        (EPISODES, Episode(HERE, HERE, "", chapters=(Chapter(0, "c"),) * MAX_CHAPTERS), {"chapters": MAX_CHAPTERS}),
        (PLAYLISTS, Playlist("", "", (HERE,) * MAX_POSTS), {"posts": MAX_POSTS}),
    ],
    ids=["chapters", "posts"],
)
def test_lists_are_bounded(of: Any, most: Any, too_many: dict[str, int]) -> None:
    assert of.decode(of.encode(most)) == most
    ((name, count),) = too_many.items()
    longer = getattr(most, name) + getattr(most, name)[:1]
    values = [longer if field == name else getattr(most, field) for field in of.layout.names]
    with pytest.raises(ValueError, match=f"are {count + 1}; 0 to {count} are possible"):
        of.encode(of.layout.make(*values))


def order(said: Episode, entry_ms: int) -> bytes:
    seed = EPISODES.seed_of((entry_ms << 16).to_bytes(8, "big"), EPISODES.encode(said))
    assert seed is not None
    return seed[48:]


@given(maybe, maybe, maybe, maybe)
def test_episodes_are_in_the_order_of_season_and_number_and_what_has_none_is_behind(
    season: int | None, number: int | None, other_season: int | None, other_number: int | None
) -> None:
    one, other = (
        (order(Episode(HERE, HERE, "", s, n), 5), [2**64 - 1 if x is None else x for x in (s, n)])
        for s, n in ((season, number), (other_season, other_number))
    )
    assert (one[0] < other[0]) == (one[1] < other[1])


def test_an_episode_of_a_time_to_come_is_of_the_time_of_its_entry() -> None:
    assert order(Episode(HERE, HERE, "", published_ms=9_000), 5_000)[16:] == (5_000 << 16).to_bytes(8, "big")
    assert order(Episode(HERE, HERE, "", published_ms=4_000), 5_000)[16:] == (4_000 << 16).to_bytes(8, "big")


def test_the_picture_of_a_channel_is_a_blob_of_it() -> None:
    content = CHANNELS.encode(Channel("a", picture=b"p" * 32))
    assert SOCIAL.blobs_in(CHANNEL, content) == (b"p" * 32,)
    part = make_part(b"s" * 16, content)[1]
    assert SOCIAL.naming((CHANNEL,), (part,)) == [0]
