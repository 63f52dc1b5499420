"""What pages ask of what is stored, over values: accounts, posts, times, and cursors.

Nothing here names a table, a row or an engine. `Queries` answers from one state of the store; whatever else answers,
such as a database beside the log, is held to the same by tests/reading/test_questions.py. What follows from these
answers is decided once, for all of them: conversations (threads.py), who may do what (interaction_rules.py), locked
accounts (relations.py), counts (responses.py), timelines (timelines.py), pinned posts (profiles.py).

An answer holds for the state that is asked, and is read before that is given back. The order of the store is any that
stays: each page goes on behind the account or the cursor that `after` names. Raises ViewBuilding where the answer is
not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from banyan_crdt.ids import AccountId
from banyan_reading.answers import (
    AccountTotals,
    PollTally,
    PostView,
    ProfileView,
    ReactionCount,
    ShownItem,
    TimelineLine,
)
from banyan_schema.address import Target
from banyan_schema.collection import Collection
from banyan_schema.social import Poll, Relation
from banyan_schema.social.post import InteractionPolicy
from banyan_schema.social.relation import Answer


class PostRule(NamedTuple):
    """policy: of a post. hides: whether its author hides anything below it."""

    policy: InteractionPolicy
    hides: bool


class ResponseTotals(NamedTuple):
    """How many posts answer a post and quote it, and how many accounts reposted it."""

    replies: int
    quotes: int
    reposts: int


class People(Protocol):
    def profile(self, account: AccountId) -> ProfileView:
        """The profile. If two cells are of one field, the later write is shown."""

    def profiles(self, accounts: Iterable[AccountId]) -> dict[AccountId, ProfileView]:
        """The same of many."""

    def items(
        self, account: AccountId, of: Collection[Any], prefix: bytes = b"", after: bytes = b""
    ) -> Iterator[ShownItem]:
        """The items that the account shows in a collection of registers or sets, by key and element. prefix, after: of
        key and element; after: of the last item of the page before."""

    def follows(self, account: AccountId, after: AccountId | None = None, limit: int | None = None) -> list[AccountId]:
        """The accounts that it follows, by id. after: the last one of the page before."""

    def blocks(
        self, account: AccountId, after: AccountId | None = None, limit: int | None = None
    ) -> list[AccountId]: ...

    def mutes(
        self, account: AccountId, after: AccountId | None = None, limit: int | None = None
    ) -> list[AccountId]: ...

    def relates(self, account: AccountId, relation: Relation, other: AccountId) -> bool:
        """Whether the account says that it follows, blocks or mutes the other."""

    def following(self, account: AccountId, after: AccountId | None = None) -> Iterator[AccountId]:
        """Who follows the account or asks to, in the order of the store."""

    def among(self, account: AccountId, accounts: Iterable[AccountId]) -> list[AccountId]:
        """Those of these accounts that follow the account, by id."""

    def locked(self, accounts: Iterable[AccountId]) -> set[AccountId]:
        """Those of these accounts whose profiles say that follows want an accept."""

    def follow_answered(self, account: AccountId, answer: Answer, follower: AccountId) -> bool:
        """Whether an account, locked or not, answers that to a follower."""

    def accepted(self, account: AccountId) -> Iterator[AccountId]:
        """Whom the account accepts as followers, by id, whether they follow or not."""

    def account_totals(self, accounts: Iterable[AccountId]) -> dict[AccountId, AccountTotals]:
        """Of many accounts at once."""


class PostQuestions(Protocol):
    def post(self, target: Target, hidden: bool = False) -> PostView | None:
        """The post, or None if it is unknown or deleted or its content is not held; or if it is hidden here, unless
        `hidden` is given."""

    def posts(self, targets: Iterable[Target]) -> dict[Target, PostView]:
        """Many posts, those that `post` gives."""

    def is_shown(self, target: Target) -> bool:
        """Whether there is such a post that is not hidden here."""

    def written_ms(self, target: Target) -> int | None:
        """The time that orders a post in a timeline, in milliseconds since 1970; None if it is not shown."""

    def parent(self, target: Target) -> Target | None:
        """What a post answers, also a hidden one."""

    def edits(self, views: Iterable[PostView]) -> dict[bytes, int]:
        """When what these posts show was said, in milliseconds since 1970, by their `write`; without those that said
        nothing else before. Who may answer, quote and repost is not counted among what a post says."""

    def label(self, target: Target) -> str | None:
        """What moderators of this node say before a post."""

    def lines(
        self, accounts: Iterable[AccountId], before: bytes | None, reposts: bool, after: bytes | None = None
    ) -> Iterator[TimelineLine]:
        """What the accounts posted, newest first. before: the cursor of the last line of the page before. reposts: and
        what they reposted, each time. after: then what is newer than that, the oldest first."""

    def posts_at(self, lines: Iterable[TimelineLine]) -> dict[TimelineLine, PostView]:
        """The posts of lines, those that `post` gives; of a repost what was reposted, as it stands there."""

    def everybody(self, answers: bool, before: bytes | None, after: bytes | None = None) -> Iterator[TimelineLine]:
        """The posts of all accounts, as `lines`; those of one time in the order of the store. answers: those, too."""

    def quoting(self, target: Target, before: bytes | None, after: bytes | None = None) -> Iterator[TimelineLine]:
        """The posts that quote a post, as `everybody`."""

    def replies(self, target: Target, after: bytes | None = None) -> Iterator[PostView]:
        """Direct replies, oldest first; those of the same time by account. after: the cursor of the last one read."""

    def within(self, root: Target, after: bytes | None = None) -> Iterator[tuple[bytes, Target]]:
        """(cursor, parent) of the replies to replies of a conversation, oldest first, and perhaps of others."""

    def post_count(self, account: AccountId | None) -> int:
        """How many posts it has. None: of all accounts."""


class Responses(Protocol):
    def reactions(self, targets: Iterable[Target]) -> dict[Target, tuple[ReactionCount, ...]]:
        """How many accounts reacted to each post with each emoji, the most frequent first, then by emoji."""

    def reacted(self, target: Target, emoji: str = "", after: bytes = b"") -> Iterator[tuple[bytes, AccountId, str]]:
        """(cursor, account, emoji), by emoji, the shortest first, then in the order of the store; each account once
        with each. emoji: only this. after: the cursor of the last one of the page before."""

    def reposted(self, target: Target, after: bytes = b"") -> Iterator[tuple[bytes, AccountId]]:
        """(cursor, account), in the order of the store, each account once."""

    def reacted_by(self, account: AccountId, emojis: Mapping[Target, Iterable[str]]) -> dict[Target, list[str]]:
        """With which of these emojis an account reacted to posts; without those to which it did not."""

    def reposted_by(self, account: AccountId, targets: Iterable[Target]) -> dict[Target, int]:
        """When an account reposted posts, in milliseconds since 1970; without those that it did not."""

    def reposted_at(self, account: AccountId, ms: int) -> Iterator[Target]:
        """What an account reposted in a millisecond since 1970, and still does."""

    def answering(self, target: Target) -> Iterator[Target]:
        """The posts that answer it, hidden ones, too, the oldest first."""

    def totals(self, targets: Sequence[Target]) -> dict[Target, ResponseTotals]:
        """Of many posts at once, whatever their authors let."""

    def responses(self, targets: Iterable[Target], accounts: Iterable[AccountId]) -> Iterator[tuple[int, int, int]]:
        """Of each of these posts, how many of these accounts reposted it, answered it, and reacted to it. Of a post
        with very many responses only some are looked at."""

    def tally(self, post: Target, poll: Poll) -> PollTally:
        """The votes for a poll as it stands."""

    def vote_of(self, account: AccountId, post: Target, poll: Poll) -> list[int]:
        """The options that an account's vote counts for."""


class Rules(Protocol):
    def has_rules(self) -> bool:
        """Whether any post has a rule."""

    def rule_of(self, target: Target) -> PostRule | None:
        """Who may do what with a post; None: everybody, and nothing is hidden below it."""

    def hides_below(self, below: Target, post: Target) -> bool:
        """Whether the author of a post hides another one below it."""


class Questions(People, PostQuestions, Responses, Rules, Protocol):
    """All of them."""
