"""What an account wants to see, read from the store, and what of the posts there that shows it (banyan_reading)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from banyan_crdt.ids import AccountId
from banyan_node.hosting.vault import Private
from banyan_reading.queries import PostView, Queries
from banyan_reading.rules import Rules
from banyan_reading.visibility import ListRule, Place, PostFacts, Verdict, Viewer, visible, word_filters
from banyan_schema.address import Target
from banyan_schema.privately import AccountList, Filter, FollowWish, Member, Mute


class Visibility:
    """What one request sees. viewer: who reads; None: nobody in particular. limited: the accounts that moderators
    limit."""

    def __init__(
        self,
        viewer: Viewer | None,
        private: Private,
        limited: Collection[AccountId],
        rules: Rules,
        where: Place,
        now_ms: int,
    ) -> None:
        self.viewer, self.rules, self.now_ms = viewer, rules, now_ms
        self.reader = None if viewer is None else viewer.account
        self._private, self._limited, self._where = private, limited, where

    def of(
        self,
        view: PostView,
        blocked: Collection[AccountId] = (),
        first: Target | None = None,
        quoted: Target | None = None,
    ) -> Verdict:
        """blocked: by who opened the conversation, or wrote what is quoted. first, quoted: see `Rules.of`."""
        by, author = None if view.reposted is None else view.reposted.by, view.target.account
        limited = [one for one in (author, by) if one and one in self._limited] if self._limited else ()
        refused = self.rules.of(view, first, quoted)
        facts = PostFacts.of(author, view.post, by, limited, author in blocked, refused)
        return visible(self.viewer, facts, self._where, self.now_ms)

    def warning(self, view: PostView) -> str | None:
        """The words of a filter against the post."""
        return self.of(view).warning if self.viewer is not None and self.viewer.filters else None

    def shows(self, view: PostView, blocked: Collection[AccountId] = (), quoted: Target | None = None) -> bool:
        return self.of(view, blocked, quoted=quoted).why is None

    def hides(self, account: AccountId) -> bool:
        """Whether the reader wants to see nothing of an account."""
        return self.viewer is not None and self.viewer.hides(account, self.now_ms)

    def limits(self, account: AccountId) -> bool:
        """Whether moderators want that the reader sees nothing of an account."""
        if account not in self._limited or account == self.reader:
            return False
        return self.viewer is None or account not in self.viewer.follows

    def sees(self, account: AccountId) -> bool:
        return not self.hides(account) and not self.limits(account)

    def with_list(self, q: Queries, name: bytes, id_: str) -> Visibility:
        """The same, and what the reader wants in one of its lists."""
        assert self.viewer is not None
        found = self._private.get(AccountList(name, ""))
        members = {AccountId(one.account) for one in self._private.all(Member) if one.list == name}
        replies, own = None if found is None else found.replies, self.viewer.account
        follows = [one for one in q.follows(own) if not self.hides(one)] if replies == "followed" else []
        rule = ListRule.of(own, members, replies, follows)
        viewer = replace(self.viewer, lists={id_: rule})
        return Visibility(viewer, self._private, self._limited, self.rules, self._where, self.now_ms)

    def members(self, id_: str) -> Collection[AccountId]:
        """Of a list that was read."""
        return () if self.viewer is None else self.viewer.lists[id_].members

    def keeps(self, post: Target) -> bool:
        """Whether the reader bookmarked the post."""
        return self._private.has("bookmark", post.raw)

    def is_quiet(self, root: Target) -> bool:
        """Whether the reader wants to be told nothing of the conversation that this post opened."""
        return self._private.has("quiet", root.raw)


def read_viewer(q: Queries, account: AccountId, held: Private) -> Viewer:
    """Without lists, and without whom it follows."""
    return Viewer(
        account,
        blocks=frozenset(q.blocks(account)),
        mutes={AccountId(one.account): one.until_ms for one in held.all(Mute)} | dict.fromkeys(q.mutes(account)),
        apart=on_exclusive_lists(held) - {account},
        wishes={AccountId(one.account): one for one in held.all(FollowWish)},
        filters=word_filters(held.all(Filter)),
    )


def on_exclusive_lists(held: Private) -> set[AccountId]:
    """The accounts on lists that keep their posts out of the home timeline."""
    lists = {one.id for one in held.all(AccountList) if one.exclusive}
    return {AccountId(one.account) for one in held.all(Member) if one.list in lists} if lists else set()
