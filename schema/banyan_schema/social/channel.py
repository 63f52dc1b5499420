"""A channel: a series of films or sound of one account, its episodes, who subscribes to it, and playlists of posts.

| collection | op | cell | element | content |
|---|---|---|---|---|
| channel | put | time and nonce | | [title, description, kind, language, site, picture]; the last three may be null |
| episode | put | time and nonce | | [channel, post, title, season, number, published ms, chapters]; see below |
| playlist | put | time and nonce | | [title, description, posts] |
| subscription | add | one for the account | the channel | [account, key] |

A channel and a post are targets: [account b32, key b16]. Season, number and published may be null. A chapter is
[ms from the beginning, title]. The film, its size and its captions are media of the post; an episode says only where it
stands in the series. docs/social.md has the rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from banyan_crdt.ids import CellKey, Ref
from banyan_crdt.ops import Add, Put, Tomb
from banyan_schema.address import Target
from banyan_schema.collection import Blobs, Collection, Fact, Facts, OpDraft, cell_key
from banyan_schema.compound import many, record
from banyan_schema.fields import ACCOUNT, HASH, KEY, TARGET, choice, number, optional, text
from banyan_schema.layout import Layout
from banyan_schema.notices import names, told_by
from banyan_schema.social.post import MAX_LANG, post_time

MAX_TITLE, MAX_ABOUT, MAX_SITE = 512, 16_384, 2_048
"""The most bytes of UTF-8 of a title (of a chapter too), a description, and the address of a page in the web."""
MAX_CHAPTERS, MAX_POSTS = 100, 250
"""The most chapters of an episode and posts of a playlist."""
ChannelKind = Literal["video", "audio"]
CHANNEL_KINDS: tuple[ChannelKind, ...] = get_args(ChannelKind)
_LAST = b"\xff" * 8
"""Stands for a season or a number that there is not: behind those that there are."""


@dataclass(frozen=True, slots=True)
class Channel:
    """language: a BCP 47 tag. site: its page in the web. picture: the root of a blob, 32 bytes."""

    title: str
    description: str = ""
    kind: ChannelKind = "video"
    language: str | None = None
    site: str | None = None
    picture: bytes | None = None


class Chapter(NamedTuple):
    """at_ms: from the beginning of the film."""

    at_ms: int
    title: str


@dataclass(frozen=True, slots=True)
class Episode:
    """post: whose media is the film or the sound. published_ms: milliseconds since 1970, claimed by the account; views
    place the episode there, but never after its entry."""

    channel: Target
    post: Target
    title: str
    season: int | None = None
    number: int | None = None
    published_ms: int | None = None
    chapters: tuple[Chapter, ...] = ()


@dataclass(frozen=True, slots=True)
class Playlist:
    """posts: in the order in which they are played; one may be there twice."""

    title: str
    description: str = ""
    posts: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """The account wants to hear of new episodes of `channel`."""

    channel: Target


# --- the four collections --------------------------------------------------------------------------------------------

_CHANNEL = Collection(
    "channel",
    "register",
    Layout(
        Channel,
        lambda said: (said.title, said.description, said.kind, said.language, said.site, said.picture),
        (
            text("the title of a channel", MAX_TITLE),
            text("the description of a channel", MAX_ABOUT),
            choice("the kind of a channel", *CHANNEL_KINDS),
            optional(text("a language tag", MAX_LANG)),
            optional(text("the site of a channel", MAX_SITE)),
            optional(HASH),
        ),
    ),
    limits={"title": MAX_TITLE, "description": MAX_ABOUT, "language": MAX_LANG, "site": MAX_SITE},
    blobs=Blobs("picture", lambda root: (root,)),
)


def _episode_seed(time: bytes, values: list[Any]) -> bytes:
    """The channel, 48 bytes, season and number, 8 each, and the time of the episode, 8."""
    channel, season, which = values[0], values[3], values[4]
    order = b"".join(_LAST if n is None else n.to_bytes(8, "big") for n in (season, which))
    return bytes(channel.raw + order + post_time(time, values[5]))


def published_in(seed: bytes) -> bytes:
    """The time of an episode in its seed."""
    return seed[64:]


def _episode_facts(seed: bytes) -> Facts:
    return Fact("channel_episodes", seed), Fact("new_episodes", seed[:48] + seed[64:]), told_by("episode")


_EPISODE = Collection(
    "episode",
    "register",
    Layout(
        Episode,
        lambda said: (said.channel, said.post, said.title, said.season, said.number, said.published_ms, said.chapters),
        (
            TARGET,
            TARGET,
            text("the title of an episode", MAX_TITLE),
            optional(number("a season")),
            optional(number("the number of an episode")),
            optional(number("the time at which an episode is published, in milliseconds since 1970,")),
            many(
                "the chapters of an episode",
                record(
                    "a chapter", Chapter, number("the time of a chapter"), text("the title of a chapter", MAX_TITLE)
                ),
                MAX_CHAPTERS,
            ),
        ),
    ),
    limits={"title": MAX_TITLE},
    seed=_episode_seed,
    kinds=frozenset({"channel_episodes", "new_episodes", "broadcasts"}),
    facts=_episode_facts,
)
_PLAYLIST = Collection(
    "playlist",
    "register",
    Layout(
        Playlist,
        lambda said: (said.title, said.description, said.posts),
        (
            text("the title of a playlist", MAX_TITLE),
            text("the description of a playlist", MAX_ABOUT),
            many("the posts of a playlist", TARGET, MAX_POSTS),
        ),
    ),
    limits={"title": MAX_TITLE, "description": MAX_ABOUT},
)


def _subscription_seed(time: bytes, values: list[Any]) -> bytes:
    """The channel, 48 bytes."""
    return bytes(values[0] + values[1])


_SUBSCRIPTION = Collection(
    "subscription",
    "set",
    Layout(lambda account, key: Subscription(Target(account, key)), lambda said: tuple(said.channel), (ACCOUNT, KEY)),
    seed=_subscription_seed,
    kinds=frozenset({"channel_subscribers", "subscriptions", "notices"}),
    facts=lambda seed: (Fact("channel_subscribers", seed), Fact("subscriptions", seed), *names(seed)),
)
COLLECTIONS = (_CHANNEL, _EPISODE, _PLAYLIST, _SUBSCRIPTION)
CHANNEL, EPISODE, PLAYLIST, SUBSCRIPTION = (collection.id for collection in COLLECTIONS)
CHANNELS, PLAYLISTS = _CHANNEL, _PLAYLIST
"""The collections, to list those of one account."""


# --- writing ---------------------------------------------------------------------------------------------------------


def write_channel(key: CellKey, channel: Channel, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new channel (with a key from `post_key`), or a change (`replaces`: the live writes). This and the next two
    raise ValueError past a limit."""
    return OpDraft(Put(CHANNEL, key, tuple(replaces), None), _CHANNEL.encode(channel))


def write_episode(key: CellKey, episode: Episode, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new episode or a change, as above."""
    return OpDraft(Put(EPISODE, key, tuple(replaces), None), _EPISODE.encode(episode))


def write_playlist(key: CellKey, playlist: Playlist, replaces: Iterable[Ref] = ()) -> OpDraft:
    """A new playlist or a change, as above."""
    return OpDraft(Put(PLAYLIST, key, tuple(replaces), None), _PLAYLIST.encode(playlist))


def drop_channel(key: CellKey) -> OpDraft:
    """Ends a channel for good; this and the next two leave the posts."""
    return OpDraft(Tomb(CHANNEL, key), None)


def drop_episode(key: CellKey) -> OpDraft:
    """Takes an episode out of its channel for good."""
    return OpDraft(Tomb(EPISODE, key), None)


def drop_playlist(key: CellKey) -> OpDraft:
    """Ends a playlist for good."""
    return OpDraft(Tomb(PLAYLIST, key), None)


def subscribe(salt: bytes, said: Subscription) -> OpDraft:
    """Subscribes to a channel. `salt`: the account's, 32 bytes. Take it back with `undo`."""
    name = b"subscription"
    return OpDraft(
        Add(SUBSCRIPTION, cell_key(salt, name), cell_key(salt, name, *said.channel), None), _SUBSCRIPTION.encode(said)
    )
