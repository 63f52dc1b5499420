"""The answers of queries. They name accounts and posts by their ids, so nothing in them is local to this store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_schema.social import Post, ProfileField, Target


@dataclass(frozen=True, slots=True)
class ProfileView:
    """fields: sorted by name."""

    account: AccountId
    fields: tuple[ProfileField, ...]


@dataclass(frozen=True, slots=True)
class PostView:
    """time_ms: orders a timeline. ref: the write that is shown. cursor: for `feed(before=...)`."""

    target: Target
    time_ms: int
    ref: Ref
    post: Post
    cursor: bytes


@dataclass(frozen=True, slots=True)
class ThreadPost:
    """depth: 1 for a direct reply, 2 for a reply to that, ..."""

    view: PostView
    depth: int


@dataclass(frozen=True, slots=True)
class ThreadView:
    """ancestors: oldest first. missing: the next ancestor, if it is not held. replies: each followed by its own
    replies. complete: whether `replies` has all held replies."""

    ancestors: tuple[PostView, ...]
    missing: Target | None
    post: PostView | None
    replies: tuple[ThreadPost, ...]
    complete: bool


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
    """stored_bytes: used by the store. digest: of the frontier; equal digests mean equal states."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    stored_bytes: int
    digest: bytes
