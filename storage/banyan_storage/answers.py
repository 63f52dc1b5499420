"""What queries answer with: accounts and posts by their ids, nothing that is local to this store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan_crdt.ids import AccountId, CellKey, Ref
from banyan_schema.social import Post, ProfileField, Target


@dataclass(frozen=True, slots=True)
class ProfileView:
    """`fields`: by name, ascending."""

    account: AccountId
    fields: tuple[ProfileField, ...]


@dataclass(frozen=True, slots=True)
class PostView:
    """`time_ms`: where it stands in a timeline. `ref`: the write that shows. `cursor`: for `feed(before=...)`."""

    target: Target
    time_ms: int
    ref: Ref
    post: Post
    cursor: bytes


@dataclass(frozen=True, slots=True)
class ThreadPost:
    """`depth`: 1 for an answer to the post asked for, 2 for an answer to that."""

    view: PostView
    depth: int


@dataclass(frozen=True, slots=True)
class ThreadView:
    """`ancestors`: the oldest first. `missing`: the ancestor above them that is not held. `replies`: each followed by
    the answers to it. `complete`: whether all replies that are held are there."""

    ancestors: tuple[PostView, ...]
    missing: Target | None
    post: PostView | None
    replies: tuple[ThreadPost, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class ReactionCount:
    """`accounts`: how many accounts reacted with the emoji."""

    emoji: str
    accounts: int


@dataclass(frozen=True, slots=True)
class ShownItem:
    """What one register shows, or one element of a set (`elem` is None in a register). `values`: of the fields of its
    content. `time_ms`: of the entry that says it. `ref`: the write that shows."""

    key: CellKey
    elem: CellKey | None
    time_ms: int
    values: list[Any]
    ref: Ref


@dataclass(frozen=True, slots=True)
class GraphTotals:
    """`stored_bytes`: taken by the store. `digest`: over the frontier; equal digests are equal states."""

    accounts: int
    follows: int
    posts: int
    replies: int
    reactions: int
    reposts: int
    entries: int
    stored_bytes: int
    digest: bytes
