"""Groups as people read them: which acts count, who is a member, and which posts are shown.

An act counts while the account that says it is the owner or one of the moderators that the owner names. So all follows
from what holds now, in whatever order it came: a moderator who is dismissed takes his acts along, those of before too.
Anybody may say that he joins, and post: what does not count costs a look-up, and is bounded by who asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Literal, TypeAlias, TypeVar

from banyan_crdt.ids import AccountId, CellKey
from banyan_reading.answers import CURSOR, PostView
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.group import GROUP, WHATS, Group, What, group_digest
from banyan_storage.engine import Table, after_prefix
from banyan_storage.slots import NUMBERED, SLOT
from banyan_storage.views.social.groups import (
    GROUP_ACTS,
    GROUP_JOIN,
    GROUP_JOIN_COUNTS,
    GROUP_JOINS,
    GROUP_POSTS,
    JOINED_GROUP,
    JOINED_GROUPS,
)
from banyan_storage.views.social.groups import VIEW as GROUPS
from banyan_storage.views.social.relations import BLOCKS
from banyan_storage.views.view import BY_TIME, UNIQUE, count_of

MODERATORS = 64
"""Of more, those with the lowest ids count: each question about a group asks each of them."""
COUNTED = 10_000
"""So many rows are looked at to count members."""
B = TypeVar("B", bound=bytes)
Standing: TypeAlias = Literal["owner", "moderator", "member", "asked", "invited", "banned", "none"]


@dataclass(frozen=True, slots=True)
class MemberCount:
    """exact: whether all were looked at; otherwise there may be others than `members`."""

    members: int
    exact: bool


def group_of(ask: Queries, target: Target) -> GroupView | None:
    """The group, or None if it is unknown or deleted or its content is not held. Raises ViewBuilding."""
    ask.need(GROUPS.name, "relations")
    group, _ = ask.register(target, GROUP)
    return GroupView(ask, target, group) if isinstance(group, Group) else None


def joined(ask: Queries, account: AccountId) -> Iterator[Target]:
    """The groups that an account joined or asked to join."""
    ask.need(GROUPS.name)
    number = ask.number(account)
    rows = ask.reader.txn.prefix(JOINED_GROUPS, number) if number else ()
    return map(Target.of, _distinct(key[JOINED_GROUP.group] for key, _ in rows))


def owned(ask: Queries, account: AccountId) -> Iterator[Target]:
    """The groups of an account."""
    ask.need()
    number = ask.number(account)
    for slot, _ in ask.shown(number, GROUP) if number else ():
        yield Target(account, CellKey(slot[SLOT.key]))


class GroupView:
    """One group in one state of the store. What it found of an account it keeps: a page asks again and again."""

    def __init__(self, ask: Queries, target: Target, group: Group) -> None:
        self._ask, self._txn = ask, ask.reader.txn
        self.target, self.group = target, group
        self._members: dict[AccountId, bool] = {}

    # -- who rules

    @cached_property
    def moderators(self) -> tuple[AccountId, ...]:
        """Those whom the owner names, by id, without the owner."""
        owner = self.target.account
        found = _distinct(AccountId(named) for named in self._acts(owner, "moderator"))
        return tuple(islice((one for one in found if one != owner), MODERATORS))

    @property
    def rulers(self) -> tuple[AccountId, ...]:
        """Those whose acts count: the owner, then the moderators."""
        return (self.target.account, *self.moderators)

    @cached_property
    def _numbers(self) -> list[bytes]:
        return [number for number in map(self._ask.number, self.rulers) if number is not None]

    def _acts(self, by: AccountId, what: What) -> Iterator[bytes]:
        """The accounts or posts of which an account says that, in order."""
        number = self._ask.number(by)
        start = (number or b"") + _what(what) + self.target.raw
        rows = self._txn.prefix(GROUP_ACTS, start) if number else iter(())
        return (key[len(start) : UNIQUE.start] for key, _ in rows)

    def acts(self, by: AccountId, what: What) -> Iterator[bytes]:
        """The accounts (32 bytes) or posts (48) of which `by` says that, each once, whether it counts or not."""
        return _distinct(self._acts(by, what))

    def says(self, by: AccountId, what: What, named: bytes) -> bool:
        """Whether an account says that of an account or a post."""
        number = self._ask.number(by)
        return number is not None and self._is(number, what, named)

    def _is(self, number: bytes, what: What, named: bytes) -> bool:
        return self._any(GROUP_ACTS, number + _what(what) + self.target.raw + named)

    def _any(self, table: Table, start: bytes) -> bool:
        return next(iter(self._txn.prefix(table, start, limit=1)), None) is not None

    def ruled(self, what: What, named: bytes) -> bool:
        """Whether it is said, and counts."""
        return any(self._is(number, what, named) for number in self._numbers)

    # -- members

    def joined(self, account: AccountId) -> bool:
        """Whether the account says that it joins."""
        number = self._ask.number(account)
        return number is not None and self._any(GROUP_JOINS, self.target.raw + number)

    def admitted(self, account: AccountId) -> bool:
        """Whether an account that joins is a member, unless it is banned."""
        open_to_all = self.group.kind == "open" or account in self.rulers
        return open_to_all or self.ruled("accept", account) or self.ruled("invite", account)

    def banned(self, account: AccountId) -> bool:
        """The owner and the moderators cannot be."""
        return account not in self.rulers and self.ruled("ban", account)

    def is_member(self, account: AccountId) -> bool:
        """The owner is one without joining."""
        found = self._members.get(account)
        if found is None:
            found = account == self.target.account or (
                self.joined(account) and self.admitted(account) and not self.banned(account)
            )
            self._members[account] = found
        return found

    def blocked(self, account: AccountId) -> bool:
        """Whether the owner blocks it: then the group does not show it. It stays a member."""
        number = self._ask.number(self.target.account)
        return number is not None and self._any(BLOCKS, number + account)

    def standing(self, account: AccountId) -> Standing:
        """What the account is here."""
        if account in self.rulers:
            return "owner" if account == self.target.account else "moderator"
        if self.banned(account):
            return "banned"
        admitted = self.admitted(account)
        if self.joined(account):
            return "member" if admitted else "asked"
        return "invited" if admitted and self.group.kind != "open" else "none"

    def count(self) -> MemberCount:
        """How many members there are. Of an open group the view has counted those who join, and only bans are looked
        at; of the others, all who were accepted or invited are."""
        rulers = self.rulers
        if self.group.kind == "open":
            gone, exact = self._some("ban")
            joins = count_of(self._txn.get(GROUP_JOIN_COUNTS, self.target.raw))
            owner = 0 if self.joined(rulers[0]) else 1
            return MemberCount(joins + owner - sum(map(self.joined, gone - {*rulers})), exact)
        accepted, exact = self._some("accept", "invite")
        others = sum(map(self.is_member, accepted - {*rulers}))
        return MemberCount(others + sum(map(self.is_member, rulers)), exact)

    def _some(self, *whats: What) -> tuple[set[AccountId], bool]:
        rows = (named for by in self.rulers for what in whats for named in self._acts(by, what))
        found = {AccountId(named) for named in islice(rows, COUNTED)}
        return found, next(rows, None) is None

    def joining(self, after: AccountId | None) -> Iterator[AccountId]:
        """All who say that they join, members or not, in the order in which this store met them. after: the last one of
        the page before."""
        start = self.target.raw
        number = None if after is None else self._ask.number(after)
        begin = start if number is None else after_prefix(start + number) or start
        rows = self._txn.scan(GROUP_JOINS, begin, after_prefix(start))
        return _distinct(self._account(key[GROUP_JOIN.account]) for key, _ in rows)

    def _account(self, number: bytes) -> AccountId:
        return AccountId(self._txn.get(NUMBERED, number) or b"")

    def asks(self, account: AccountId) -> bool:
        """Whether it waits for an answer: it asked, was neither accepted nor refused nor banned, and is not blocked."""
        if self.group.kind != "request" or self.standing(account) != "asked":
            return False
        return not self.ruled("refuse", account) and not self.blocked(account)

    # -- posts

    def removed(self, post: Target) -> bool:
        """What the owner says only the owner removes."""
        if post.account == self.target.account:
            return self.says(post.account, "remove", post.raw)
        return self.ruled("remove", post.raw)

    def shows(self, view: PostView) -> bool:
        """Whether the group shows a post: it was said here, by a member, and is not removed."""
        return view.post.group == self.target and self.lets(view.target)

    def lets(self, said: Target) -> bool:
        """Whether the group shows a post or an event that says it is of here: by a member, and not removed."""
        return self.is_member(said.account) and not self.removed(said) and not self.blocked(said.account)

    def posts(self, before: bytes | None) -> Iterator[tuple[bytes, PostView | None]]:
        """(cursor, post), newest first; None in the place of what the group does not show, so that a caller can stop.
        before: the cursor of the last one read, 56 bytes: time, account, key."""
        start = group_digest(self.target.raw)
        stop = after_prefix(start)
        if before is not None:
            time, account, post = CURSOR.unpack(before)
            number = self._ask.number(AccountId(account)) or b""
            stop = start + time + number + (post if number else b"")
        for row, _ in self._txn.scan(GROUP_POSTS, start, stop, reverse=True):
            time, number, post = BY_TIME.unpack(row[len(start) :])
            target = Target(self._account(number), CellKey(post))
            view = self._ask.post(target)
            yield time + target.raw, view if view is not None and self.shows(view) else None

    def pinned(self) -> Iterator[PostView]:
        """The posts that the owner or a moderator pinned, those of the owner first."""
        named = dict.fromkeys(named for by in self.rulers for named in self._acts(by, "pin"))
        for raw in named:
            view = self._ask.post(Target.of(raw))
            if view is not None and self.shows(view):
                yield view


def _what(what: What) -> bytes:
    return bytes((WHATS.index(what),))


def _distinct(found: Iterator[B]) -> Iterator[B]:
    """Without equal neighbours: one account may say one thing in several cells."""
    return (one for one, _ in groupby(found))
