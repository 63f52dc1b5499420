"""Rows of posts that are kept from one request to the next (banyan_reading.read_cache).

A row that nobody in particular reads is kept for all readers, and what it is for one reader for that one. Rows with a
quote, a poll, a group or a rule depend on more than accounts and counts, and are made each time. The same row is given
out as the same object, so whoever makes something of it can keep that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView
from banyan_node.api.json_types import did
from banyan_node.api.methods.posts.post_rows import PostRow, PostRows, Reposter, profiles_of, shown_media
from banyan_node.hosting.visibility import Visibility
from banyan_reading.answers import PostView, ProfileView, RepostView, TimelineLine
from banyan_schema.social import Post, Target

T = TypeVar("T", bound=Hashable)
ROW_BYTES, FIELD_BYTES = 3_000, 800
"""Of memory, about, beside the text."""
READER_ROWS = 200
"""So many rows of earlier pages of one reader are kept."""


_Place: TypeAlias = tuple[Target, tuple[tuple[AccountId, int, str], ...]]
"""A post, and who reposted it, when, and their names."""


class _Wanted(NamedTuple):
    """A row for one reader. plain: as nobody in particular reads it, if that can be kept. words: of the reader's
    filters and issuers of labels; None: it has none."""

    place: _Place
    view: PostView
    plain: PostRow | None
    words: tuple[str | None, str | None] | None

    def same(self, before: _Wanted) -> bool:
        return self.plain is before.plain and self.words == before.words


@dataclass(slots=True)
class _KeptPost:
    """people: whose names or posts are in its row. row: as nobody in particular reads it, once that was made."""

    view: PostView
    people: list[AccountId]
    row: PostRow | None = None


class _Profiles(dict[AccountId, ProfileView]):
    """Those that one request reads, each once."""

    def __init__(self, at: CommitView) -> None:
        self._at = at

    def need(self, accounts: Iterable[AccountId]) -> None:
        self.update(kept_profiles(self._at, [one for one in accounts if one not in self]))

    def __missing__(self, account: AccountId) -> ProfileView:
        self.need([account])
        return self[account]


class RowCache:
    """Of one request. Nothing that it made refers to it, so that all of it is freed when the request ends: of what the
    garbage collector had to find, the node stood still for 0.4 s every 700 cold pages."""

    def __init__(self, at: CommitView, visibility: Visibility) -> None:
        self._q, self._kept, self._blobs, self._visibility = at.queries(), at.kept, at.blobs, visibility
        self._posts: dict[Target, _KeptPost] = {}
        self._profiles = profiles = _Profiles(at)
        self._for_reader = PostRows(self._q, at.blobs, visibility, profiles.__getitem__)
        self._for_all = PostRows(self._q, at.blobs, profile=profiles.__getitem__)

    def name(self, account: AccountId) -> str:
        return self._profiles[account].name

    def views(self, lines: Iterable[TimelineLine]) -> dict[TimelineLine, PostView]:
        """What stands at lines, without what is not held."""
        return self._views("at", lines, self._q.posts_at)

    def posts(self, targets: Iterable[Target]) -> dict[Target, PostView]:
        """Posts by their addresses, without what is not held, or not shown here."""
        return self._views("post", targets, self._q.posts)

    def _views(self, kind: str, names: Iterable[T], read: Callable[[list[T]], dict[T, PostView]]) -> dict[T, PostView]:
        found, unread = dict[T, _KeptPost](), list[T]()
        for name in names:
            one: _KeptPost | None = self._kept.get((kind, name))
            if one is None:
                unread.append(name)
            else:
                found[name] = one
        for name, view in read(unread).items() if unread else ():
            found[name] = _KeptPost(view, [view.target.account, *_named(view.post)])
            of: list[AccountId | Target] = [*found[name].people, view.target]
            self._kept.put((kind, name), found[name], of, ROW_BYTES + 4 * len(view.post.text))
        self._posts |= {one.view.target: one for one in found.values()}
        return {name: one.view for name, one in found.items()}

    def rows(self, page: Sequence[tuple[PostView, Sequence[RepostView]]]) -> list[PostRow]:
        """Rows of a page: what they need that is not kept is read at once."""
        self._profiles.need([one.by for _, reposted in page for one in reposted])
        reader, plain = self._visibility.reader, self._plain([view for view, _ in page])
        wanted = [self._wanted(view, plain.get(view.target), reposted) for view, reposted in page]
        kept: dict[_Place, tuple[_Wanted, PostRow]] = self._kept.get(("rows of", reader)) or {}
        made = {one.place: found[1] for one in wanted if (found := kept.get(one.place)) and one.same(found[0])}
        fresh = [one for one in wanted if one.place not in made]
        self._for_reader.prepare([one.view for one in fresh if one.plain is None])
        self._for_reader.prepare([one.view for one in fresh if one.plain is not None], plain)
        made |= {one.place: self._make(one) for one in fresh}
        if fresh:
            rows = {one.place: (one, made[one.place]) for one in wanted if one.plain is not None}
            rows |= islice(((place, one) for place, one in kept.items() if place not in rows), READER_ROWS)
            self._kept.put(("rows of", reader), rows, () if reader is None else (reader,), ROW_BYTES * len(rows))
        return [made[one.place] for one in wanted]

    def _wanted(self, view: PostView, plain: PostRow | None, reposted: Sequence[RepostView]) -> _Wanted:
        by = tuple([(one.by, one.time_ms, self.name(one.by)) for one in reposted])
        said = self._visibility.words(view) if self._visibility.filters else None
        return _Wanted((view.target, by), view, plain, None if said is None else (said.warning, said.label))

    def _make(self, one: _Wanted) -> PostRow:
        reposted = [Reposter(did(by), name, ms) for by, ms, name in one.place[1]]
        if one.plain is None:
            return msgspec.structs.replace(self._for_reader.row(one.view), reposted=reposted)
        if self._visibility.reader is None and not reposted:
            return one.plain
        mine = self._for_reader.mine(one.view)
        filtered, label = one.words or (None, one.plain.label)
        return msgspec.structs.replace(one.plain, filtered=filtered, label=label, reposted=reposted, mine=mine)

    def _alone(self, view: PostView) -> bool:
        """Whether its row is made for each reader."""
        said = view.post
        alone = said.quote is not None or said.poll is not None or said.group is not None
        return alone or self._visibility.rules.touch(view)

    def _plain(self, views: Iterable[PostView]) -> dict[Target, PostRow]:
        """The rows as nobody in particular reads them, of those posts of which such a one can be kept."""
        posts = [self._posts[view.target] for view in views if not self._alone(view)]
        for one in posts:
            if one.row and one.row.media != [shown_media(self._blobs, item) for item in one.view.post.media]:
                one.row = None
        fresh = [one for one in posts if one.row is None]
        self._profiles.need([account for one in fresh for account in one.people])
        self._for_all.prepare([one.view for one in fresh])
        return {one.view.target: one.row or self._row_of(one) for one in posts}

    def _row_of(self, one: _KeptPost) -> PostRow:
        one.row = self._for_all.row(one.view)
        return one.row


def kept_profiles(at: CommitView, accounts: Iterable[AccountId]) -> dict[AccountId, ProfileView]:
    """Those that are kept, and others, read at once."""
    found: dict[AccountId, ProfileView | None] = {one: at.kept.get(("profile", one)) for one in accounts}
    lacking = [one for one, view in found.items() if view is None]
    for account, view in profiles_of(at.queries(), lacking).items() if lacking else ():
        found[account] = view
        at.kept.put(("profile", account), view, [account], FIELD_BYTES * (1 + len(view.fields)))
    return {one: view for one, view in found.items() if view is not None}


def _named(post: Post) -> Iterable[AccountId]:
    return post.mentions if post.reply is None else (*post.mentions, post.reply.parent.account)
