"""Who sees a post, and where: one rule for pages, apps, streams, searches and notifications; and which content is given
out at all.

It is a function of values. Whoever asks has read what the reader wants (`Viewer`) and what counts of the post
(`PostFacts`): the node from its store, a worker of the door from the node. Which posts are there to be asked about (of
those whom one follows, of a list, with a tag) is another question; this one only leaves out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias, get_args

from banyan_crdt.ids import AccountId, WriterKey
from banyan_schema import dates
from banyan_schema.private_kinds import Filter, FollowWish

Refusal: TypeAlias = Literal["policy", "hidden", "refused"]
"""Why the author of what a post answers or quotes, or of what was reposted, does not want it there. policy: no such
account may. hidden: this one was hidden. refused: what it quotes or reposts is itself a refused answer."""
LabellerWish: TypeAlias = Literal["refuse", "warn", "hide"]
"""What a reader wants of somebody's labels: to hear nothing of them; to be warned; not to be shown what they hide."""
FilterContext: TypeAlias = Literal["home", "notifications", "public", "thread", "account"]
"""Where a filter can count."""
PlaceKind: TypeAlias = Literal["home", "tag", "list", "public", "thread", "account", "notifications", "elsewhere"]
"""Where a post is read. home: among those whom one follows. tag: there too, because one follows its tag. public: by
everybody, with any tag, in a search. account: its own page, where what it says itself is always shown. elsewhere: in a
group, a channel, a list of titles; all filters count."""
KeptBack: TypeAlias = Literal["erased", "deleted", "withheld", "moderated", "building", "unknown"]
"""Why no reader is given a cell. erased: its account is, in steps. withheld: by an order. moderated: moderators of this
node hide it. building: its account is folded anew, so it is not known yet what was deleted. unknown: it is not held."""
Reason: TypeAlias = Literal[
    KeptBack,
    "audience",
    "apart",
    "repost",
    "language",
    "answer",
    "blocked",
    "policy",
    "hidden",
    "refused",
    "labelled",
    "limited",
    "unseen",
    "filtered",
]
"""Why a post is not shown. apart: its author is on an exclusive list. repost, language, answer: it is one, or in one,
that the reader does not want there. blocked: who opened the conversation blocks its author. policy, hidden,
refused: see `Refusal` (interaction_rules.py). labelled: by whom the reader chose for that. limited: moderators
want that only followers see its author. unseen: the reader blocks or mutes its author, or who reposted it. filtered: a
filter of the reader hides it."""
_KEPT_BACK: tuple[KeptBack, ...] = get_args(KeptBack)
PATTERNS = 4_096
"""Words of filters that are kept compiled."""


class ViewPlace(NamedTuple):
    """of: the id of a list."""

    kind: PlaceKind
    of: str = ""

    @property
    def context(self) -> FilterContext | None:
        """The filters that count there; None: all of them."""
        if self.kind == "tag" or self.kind == "list":
            return "home"
        return None if self.kind == "elsewhere" else self.kind


class CellFacts(NamedTuple):
    """What holds of a cell in this store: by the names of `KeptBack`."""

    erased: bool = False
    deleted: bool = False
    withheld: bool = False
    moderated: bool = False
    building: bool = False
    unknown: bool = False


GIVEN = CellFacts()


def kept_back(cell: CellFacts) -> KeptBack | None:
    """Why readers are given nothing of a cell, in whatever way they ask: pages read views, of which they see what is
    not kept back here; the firehose and archives read entries, and ask of each operation. None: they are given what
    counts. Peers are no readers: they get what is held, because what was deleted by a thief counts again once the thief
    is cut."""
    return next((why for why, holds in zip(_KEPT_BACK, cell, strict=True) if holds), None) if True in cell else None


class WithheldBy(NamedTuple):
    """An order that is in force. by: the key of the node that withholds; None: this node. until_ms: 0: no end."""

    by: WriterKey | None
    order: str
    basis: str
    scope: str
    since_ms: int
    until_ms: int

    @property
    def sentence(self) -> str:
        who = "this node" if self.by is None else f"{self.by.hex()[:16]}, its host or a platform named here"
        until = f"until {dates.day(self.until_ms)}" if self.until_ms else ""
        said = "; ".join(text for text in (self.order, self.basis, self.scope, until) if text)
        return f"withheld by {who}: {said or 'no reason given'}"


class Verdict(NamedTuple):
    """why: None if the post is shown. warning: the words of a filter of the reader that is against it: where a post is
    shown that a filter hides elsewhere, because one asked for it or it stands above another, that is said too. label:
    what moderators say before it. order: by which it is withheld, which is shown in its place."""

    why: Reason | None = None
    warning: str | None = None
    label: str | None = None
    order: WithheldBy | None = None


class PostFacts(NamedTuple):
    """What counts of a post for who may see it. reposted_by: who reposted it, where it stands because of that. answers:
    whom it answers. limited: who of its author and whoever reposted it is limited, so that only those see it who follow
    it. blocked: who opened the conversation, or wrote what it quotes, blocks its author. refused: see
    interaction_rules.py. cell: of the post. label, order: see `Verdict`. labelled: a labeller hides it whom the reader
    chose for that."""

    author: AccountId
    text: str
    warning: str | None = None
    tags: Collection[str] = ()
    lang: str | None = None
    audience: str = "public"
    answers: AccountId | None = None
    reposted_by: AccountId | None = None
    limited: Collection[AccountId] = ()
    blocked: bool = False
    refused: Refusal | None = None
    cell: CellFacts = GIVEN
    label: str | None = None
    order: WithheldBy | None = None
    labelled: bool = False


class WordFilter(NamedTuple):
    """contexts: where it counts; None: everywhere. until_ms: when it ends."""

    words: str
    pattern: re.Pattern[str]
    hides: bool
    contexts: Collection[str] | None
    until_ms: int | None


class ListRule(NamedTuple):
    """members: whose posts are in a list. answered: those to whom its answers go that are in it; None: all."""

    members: Collection[AccountId]
    answered: Collection[AccountId] | None

    @classmethod
    def of(
        cls, owner: AccountId, members: Collection[AccountId], replies: str | None, follows: Iterable[AccountId]
    ) -> ListRule:
        """replies: as `AccountList` has it."""
        to = {"none": (), "list": members, "followed": follows}.get(replies or "")
        return cls(members, None if to is None else {owner, *to})


@dataclass(frozen=True, slots=True)
class Viewer:
    """What one account wants to see. follows: whom it follows; asked only where moderators limit an author. mutes:
    until when, in milliseconds since 1970; None: for good. apart: those on exclusive lists. wishes: what of those that
    it follows is at home. lists: by their ids. labellers: whom it chose,
    and what it wants of them; whom they hide is among the mutes."""

    account: AccountId
    follows: Collection[AccountId] = ()
    blocks: Collection[AccountId] = ()
    mutes: Mapping[AccountId, int | None] = field(default_factory=dict)
    apart: Collection[AccountId] = ()
    wishes: Mapping[AccountId, FollowWish] = field(default_factory=dict)
    filters: tuple[WordFilter, ...] = ()
    lists: Mapping[str, ListRule] = field(default_factory=dict)
    labellers: Mapping[AccountId, LabellerWish] = field(default_factory=dict)

    def hidden(self, now_ms: int) -> frozenset[AccountId]:
        """The accounts of which it wants to see nothing."""
        return frozenset(one for one in {*self.blocks, *self.mutes} if self.hides(one, now_ms))

    def hides(self, account: AccountId, now_ms: int) -> bool:
        """Whether it wants to see nothing of an account."""
        return account in self.blocks or (account in self.mutes and lasts(self.mutes[account], now_ms))

    def until_ms(self, now_ms: int) -> int | None:
        """When the next of its mutes ends; None: none does."""
        return min((end for end in self.mutes.values() if end is not None and end > now_ms), default=None)


def visible(viewer: Viewer | None, post: PostFacts, where: ViewPlace, now_ms: int) -> Verdict:
    """Whether a reader sees a post there. viewer: None is somebody who is not logged in."""
    own = viewer is not None and post.author == viewer.account
    warning, hides = (None, False) if viewer is None or own else _filtered(viewer, post, where.context, now_ms)
    return Verdict(_why_not(viewer, post, where, now_ms, hides), warning, post.label, post.order)


def _why_not(viewer: Viewer | None, post: PostFacts, where: ViewPlace, now_ms: int, hides: bool) -> Reason | None:
    """hides: whether a filter does."""
    why = kept_back(post.cell) or (None if viewer is None else _unwanted(viewer, post, where))
    if why is not None:
        return why
    if where.kind == "public" and post.audience != "public":
        return "audience"
    if post.blocked:
        return "blocked"
    if post.labelled and viewer is not None and post.author != viewer.account:
        return "labelled"
    if where.kind == "account" and post.reposted_by is None:
        return None
    if post.refused is not None:
        return post.refused
    for who in _whose(post, where):
        if viewer is None and who in post.limited:
            return "limited"
        if viewer is not None and who != viewer.account:
            if who in post.limited and who not in viewer.follows:
                return "limited"
            if viewer.hides(who, now_ms):
                return "unseen"
    return "filtered" if hides else None


def _unwanted(viewer: Viewer, post: PostFacts, where: ViewPlace) -> Reason | None:
    """What the reader does not want of those whom it follows, or put on a list."""
    by = post.author if post.reposted_by is None else post.reposted_by
    if where.kind == "list":
        rule = viewer.lists.get(where.of)
        by_itself = post.answers is None or post.reposted_by is not None or post.answers == post.author
        wanted = by_itself or rule is None or rule.answered is None or post.answers in rule.answered
        return None if wanted else "answer"
    if where.kind != "home":
        return None
    if by in viewer.apart and by != viewer.account:
        return "apart"
    wish = viewer.wishes.get(by)
    if wish is None:
        return None
    if post.reposted_by is not None:
        return "repost" if wish.reposts == "no" else None
    return None if wish.langs is None or in_langs(post.lang, wish.langs.split()) else "language"


def _whose(post: PostFacts, where: ViewPlace) -> tuple[AccountId, ...]:
    """Who has to be seen: the author, and who reposted it, but on the page of that one."""
    by = None if where.kind == "account" else post.reposted_by
    return (post.author,) if by is None else (post.author, by)


def _filtered(viewer: Viewer, post: PostFacts, context: FilterContext | None, now_ms: int) -> tuple[str | None, bool]:
    """The words of a filter against the post, and whether it hides it."""
    if not viewer.filters:
        return None, False
    text = _folded(" ".join([post.warning or "", post.text, *post.tags]))
    for one in viewer.filters:
        counts = context is None or one.contexts is None or context in one.contexts
        if counts and lasts(one.until_ms, now_ms) and one.pattern.search(text):
            return one.words, one.hides
    return None, False


def word_filters(filters: Iterable[Filter]) -> tuple[WordFilter, ...]:
    """Of several that are against a post, one that hides it comes first."""
    found = [
        WordFilter(
            one.words,
            _pattern(one.words, one.matches != "part"),
            one.action == "hide",
            None if one.contexts is None else one.contexts.split(),
            one.until_ms,
        )
        for one in filters
        if one.words.split()
    ]
    return tuple(sorted(found, key=lambda one: not one.hides))


def lasts(until_ms: int | None, now_ms: int) -> bool:
    """Whether what ends at `until_ms` (None: never) goes on."""
    return until_ms is None or until_ms > now_ms


def in_langs(lang: str | None, langs: Collection[str]) -> bool:
    """Whether a post that names this language, or none, is in one of them."""
    return lang is None or lang.split("-")[0] in langs or lang in langs


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@lru_cache(PATTERNS)
def _pattern(words: str, whole: bool) -> re.Pattern[str]:
    """The words one after another, as whole words; an emoji also in the middle of one."""
    said = _folded(words).split()
    before = r"(?<!\w)" if whole and said[0][0].isalnum() else ""
    after = r"(?!\w)" if whole and said[-1][-1].isalnum() else ""
    return re.compile(before + r"\s+".join(map(re.escape, said)) + after)
