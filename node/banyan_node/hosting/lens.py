"""How one account sees the others: without those that it blocks or mutes, and through its filters; and of those whom
moderators of this node limit, only whom it follows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Literal, TypeAlias

from banyan_crdt.ids import AccountId
from banyan_node.hosting.vault import Private
from banyan_schema.address import Target
from banyan_schema.privately import Bookmark, Filter, FollowWish, Mute, QuietThread
from banyan_schema.social import Post
from banyan_storage.queries import PostView

Where: TypeAlias = Literal["home", "notifications", "public", "thread", "account"]
"""Where posts are shown. A list counts as home."""
PATTERNS = 4_096
"""Words of filters that are kept compiled."""


class Lens:
    """reader: None sees all but those whom moderators limit. hides: whom it says for all to read that it blocks or
    mutes. where: only the filters that count there; None: all of them. limited: of whom nothing is seen, as moderators
    want it."""

    def __init__(
        self,
        hides: Iterable[AccountId],
        private: Private,
        reader: AccountId | None,
        now_ms: int,
        where: Where | None = None,
        limited: Collection[AccountId] = (),
    ) -> None:
        self.reader, self.now_ms = reader, now_ms
        self._private = private
        self._kept: set[Target] | None = None
        self._quiet: set[Target] | None = None
        self._wishes: dict[AccountId, FollowWish] | None = None
        self.hidden: set[AccountId] = set()
        """The accounts of which nothing is seen, as the reader wants it."""
        self.limited = limited
        """Those of which nothing is seen, as moderators want it."""
        self._filters: list[tuple[str, re.Pattern[str], bool]] = []
        """The words of each, what finds them, and whether it hides the post."""
        if reader is None:
            return
        muted = (AccountId(m.account) for m in private.all(Mute) if lasts(m.until_ms, now_ms))
        self.hidden.update(hides, muted)
        for one in private.all(Filter):
            counts = where is None or one.contexts is None or where in one.contexts.split()
            if counts and lasts(one.until_ms, now_ms) and one.words.split():
                self._filters.append((one.words, _pattern(one.words, one.matches != "part"), one.action == "hide"))
        self._filters.sort(key=lambda one: not one[2])  # of several that are against a post, one that hides it is told

    def keeps(self, post: Target) -> bool:
        """Whether the reader bookmarked the post."""
        if self._kept is None:
            self._kept = {one.post for one in self._private.all(Bookmark)} if self.reader is not None else set()
        return post in self._kept

    def is_quiet(self, root: Target) -> bool:
        """Whether the reader wants to be told nothing of the conversation that this post opened."""
        if self._quiet is None:
            self._quiet = {one.root for one in self._private.all(QuietThread)} if self.reader is not None else set()
        return root in self._quiet

    def at_home(self, view: PostView) -> bool:
        """Whether the reader wants this post, or repost, of one whom it follows."""
        if self._wishes is None:
            self._wishes = {AccountId(one.account): one for one in self._private.all(FollowWish)}
        by = view.target.account if view.reposted is None else view.reposted.by
        wish = self._wishes.get(by)
        if wish is None:
            return True
        if view.reposted is not None:
            return wish.reposts != "no"
        return wish.langs is None or in_langs(view.post, wish.langs.split())

    def sees(self, author: AccountId) -> bool:
        return author not in self.hidden and author not in self.limited

    def shows(self, author: AccountId, post: Post) -> bool:
        """Whether a post is seen. One's own always is."""
        if author == self.reader:
            return True
        if not self.sees(author):
            return False
        if not self._filters:
            return True
        text = _folded(_text(post))
        return not any(hides and pattern.search(text) for _, pattern, hides in self._filters)

    def warns(self, author: AccountId, post: Post) -> str | None:
        """The words of a filter that is against the post: where a post is shown that a filter hides elsewhere, because
        one asked for it or it stands above another, that is said too."""
        if not self._filters or author == self.reader:
            return None
        text = _folded(_text(post))
        return next((words for words, pattern, _ in self._filters if pattern.search(text)), None)


def lasts(until_ms: int | None, now_ms: int) -> bool:
    """Whether what ends at `until_ms` (None: never) goes on."""
    return until_ms is None or until_ms > now_ms


def in_langs(post: Post, langs: Collection[str]) -> bool:
    """Whether a post is in one of these languages, or names none."""
    return post.lang is None or post.lang.split("-")[0] in langs or post.lang in langs


def _text(post: Post) -> str:
    return " ".join([post.warning or "", post.text, *post.tags])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@lru_cache(PATTERNS)
def _pattern(words: str, whole: bool) -> re.Pattern[str]:
    """The words one after another, as whole words; an emoji also in the middle of one."""
    said = _folded(words).split()
    before = r"(?<!\w)" if whole and said[0][0].isalnum() else ""
    after = r"(?!\w)" if whole and said[-1][-1].isalnum() else ""
    return re.compile(before + r"\s+".join(map(re.escape, said)) + after)
