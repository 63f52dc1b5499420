"""The answers of queries. They name accounts and posts by their ids, so nothing in them is local to this store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_schema.media import Media
from banyan_schema.social import Post, ProfileField, Target
from banyan_storage.slots import ms_of
from banyan_storage.tables import RowLayout


@dataclass(frozen=True)
class ProfileView:
    """fields: sorted by name."""

    account: AccountId
    fields: tuple[ProfileField, ...] = ()

    @property
    def name(self) -> str:
        """Empty if there is none."""
        return self.texts.get("name", "")

    @property
    def avatar(self) -> bytes | None:
        """The root of the picture, of the smaller one if there are two."""
        found = self.pictures.get("avatar")
        return None if found is None else found.preview or found.blob

    @cached_property
    def texts(self) -> dict[str, str]:
        """The fields that are shown as texts, by name."""
        return {field.field: field.value for field in self.fields if field.is_text}

    @cached_property
    def pictures(self) -> dict[str, Media]:
        """Its pictures, each with its description, by the names of their fields."""
        return {field.field: picture for field in self.fields if (picture := field.picture) is not None}


class RepostView(NamedTuple):
    """by: who reposted a post. time_ms: when, by the clock of its author."""

    by: AccountId
    time_ms: int


class PostView(NamedTuple):
    """time_ms: orders a timeline. cursor: its place in a timeline. write: names the write that is shown, to who gave
    it (`Queries.ref`). reposted: why it stands there, if it is not because of its author."""

    target: Target
    time_ms: int
    post: Post
    cursor: bytes
    write: bytes
    reposted: RepostView | None = None


@dataclass(frozen=True, slots=True)
class Above:
    """What a post answers. posts: oldest first. missing: what the first of them answers, if that is not held. further:
    the same, if it is held but too far above."""

    posts: tuple[PostView, ...]
    missing: Target | None
    further: Target | None = None


@dataclass(frozen=True, slots=True)
class ReactionCount:
    """accounts: how many reacted with the emoji."""

    emoji: str
    accounts: int


@dataclass(frozen=True, slots=True)
class ShownItem:
    """What a register, or an element of a set, shows. elem: None for a register. values: the fields of its content.
    time_ms: of the entry. ref: the write that is shown."""

    key: CellKey
    elem: CellKey | None
    time_ms: int
    values: list[Any]
    ref: Ref


@dataclass(frozen=True, slots=True)
class GraphTotals:
    """stored_bytes: used by the store. digest: of the frontier; equal ones mean equal states. None: not asked for."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    stored_bytes: int
    digest: bytes | None


CURSOR = RowLayout("time 8 | account 32 | key 16", target="account")
"""Where a post or a repost stands among those of all. time: milliseconds since 1970, 48 bits, and a counter."""
CURSOR_BYTES = CURSOR.key.stop


class TimelineLine(NamedTuple):
    """A post or a repost where it stands. cursor: `CURSOR`; its key is that of the post, or of the repost's element.
    write: see `PostView`."""

    cursor: bytes
    write: bytes
    is_post: bool = True

    @property
    def account(self) -> AccountId:
        """Who posted or reposted."""
        return AccountId(self.cursor[CURSOR.account])

    @property
    def ms(self) -> int:
        """When, in milliseconds since 1970."""
        return ms_of(self.cursor[CURSOR.time])

    @property
    def post(self) -> Target:
        """Of a line that is a post."""
        return Target.of(self.cursor[CURSOR.target])


class AccountTotals(NamedTuple):
    """How many accounts it follows, how many follow it or ask to, and how many posts it has. last_ms: the time of the
    newest one, in milliseconds since 1970; None: there is none."""

    follows: int
    followers: int
    posts: int
    last_ms: int | None


class PollTally(NamedTuple):
    """How many accounts voted for each option, and for any."""

    options: tuple[int, ...]
    voters: int
