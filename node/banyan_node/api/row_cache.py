"""Rows of posts that are kept from one request to the next (banyan_reading.read_cache).

A row that nobody in particular reads is kept for all readers, and what it is for one reader for that one. Rows with a
quote, a poll, a group or a rule depend on more than accounts and counts, and are made each time. The same row is given
out as the same object, so whoever makes something of it can keep that.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cache
from typing import TypeVar

import msgspec

from banyan_crdt.ids import AccountId
from banyan_node.api.declare import CommitView
from banyan_node.api.json_types import did
from banyan_node.api.methods.posts.post_rows import PostRow, PostRows, Reposter, face_of, shown_media
from banyan_node.hosting.visibility import Visibility
from banyan_reading.answers import Face, PostView, RepostView, TimelineLine
from banyan_schema.social import Post, Target

T = TypeVar("T", bound=Hashable)
VIEW_BYTES, ROW_BYTES, FACE_BYTES = 1_500, 2_000, 400
"""Of memory, about, beside the text."""


class RowCache:
    """Of one request."""

    def __init__(self, at: CommitView, visibility: Visibility) -> None:
        self._q, self._kept, self._blobs, self._visibility = at.queries(), at.kept, at.blobs, visibility
        self._face = cache(self._kept_face)
        self._for_reader = PostRows(self._q, at.blobs, visibility, self._face)
        self._for_all = PostRows(self._q, at.blobs, face=self._face)

    def name(self, account: AccountId) -> str:
        return self._face(account).name

    def _kept_face(self, account: AccountId) -> Face:
        return self._kept.made(("face", account), [account], FACE_BYTES, lambda: face_of(self._q, account))

    def views(self, lines: Iterable[TimelineLine]) -> dict[TimelineLine, PostView]:
        """What stands at lines, without what is not held."""
        return self._views("at", lines, self._q.posts_at)

    def posts(self, targets: Iterable[Target]) -> dict[Target, PostView]:
        """Posts by their addresses, without what is not held, or not shown here."""
        return self._views("post", targets, self._q.posts)

    def _views(self, kind: str, names: Iterable[T], read: Callable[[list[T]], dict[T, PostView]]) -> dict[T, PostView]:
        found: dict[T, PostView | None] = {name: self._kept.get((kind, name)) for name in names}
        unread = [name for name, view in found.items() if view is None]
        for name, view in read(unread).items() if unread else ():
            found[name] = view
            self._kept.put((kind, name), view, [view.target.account], VIEW_BYTES + 2 * len(view.post.text))
        return {name: view for name, view in found.items() if view is not None}

    def rows(self, page: Sequence[tuple[PostView, Iterable[RepostView]]]) -> list[PostRow]:
        """Rows of a page: what they need that is not kept is read at once."""
        views = [view for view, _ in page]
        for rows, some in (
            (self._for_reader, [view for view in views if self._alone(view)]),
            (
                self._for_all,
                [view for view in views if not self._alone(view) and not self._kept.get(("row", view.target))],
            ),
        ):
            rows.prepare(some)
        return [self.row(view, reposted) for view, reposted in page]

    def row(self, view: PostView, reposted: Iterable[RepostView] = ()) -> PostRow:
        plain, by = self._plain(view), tuple((one, self.name(one.by)) for one in reposted)
        if plain is None:
            return self._for_reader.row(view, [one for one, _ in by])
        filtered = self._visibility.words(view).warning
        if self._visibility.reader is None and not by:
            return plain
        key = ("row of", self._visibility.reader, view.target, by)
        found: tuple[PostRow, str | None, PostRow] | None = self._kept.get(key)
        if found is not None and found[0] is plain and found[1] == filtered:
            return found[2]
        row = msgspec.structs.replace(
            plain,
            filtered=filtered,
            reposted=[Reposter(did(one.by), name, one.time_ms) for one, name in by],
            mine=self._for_reader.mine(view, plain.reactions, plain.reposts),
        )
        of = () if self._visibility.reader is None else (self._visibility.reader,)
        self._kept.put(key, (plain, filtered, row), of, ROW_BYTES)
        return row

    def _alone(self, view: PostView) -> bool:
        """Whether its row is made for each reader."""
        said = view.post
        alone = said.quote is not None or said.poll is not None or said.group is not None
        return alone or self._visibility.rules.touch(view)

    def _plain(self, view: PostView) -> PostRow | None:
        """The row as nobody in particular reads it; None if such a one cannot be kept."""
        said, target = view.post, view.target
        if self._alone(view):
            return None
        found: PostRow | None = self._kept.get(("row", target))
        if found is None or found.media != [shown_media(self._blobs, item) for item in said.media]:
            found = self._for_all.row(view)
            of: list[AccountId | Target] = [target.account, *_named(said), target]
            self._kept.put(("row", target), found, of, ROW_BYTES + 2 * len(said.text))
        return found


def _named(post: Post) -> Iterable[AccountId]:
    """The accounts whose names or posts are in the row of a post."""
    yield from post.mentions
    if post.reply is not None:
        yield post.reply.parent.account
