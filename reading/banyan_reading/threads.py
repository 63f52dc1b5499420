"""A conversation as a tree, page by page: each answer is followed by what answers it, the oldest first.

A page ends anywhere, and the next one goes on behind it, whatever was written in between. So a cursor is the place of
one answer in the tree: what is below it comes next, then what is behind it, then what is behind those above it. Those
are found through what each answers, so a tree may be of any depth.

An answer to a post that is deleted or not held hangs from nothing. At the end come all those that name the same first
post, each with what is below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from banyan_reading.answers import CURSOR, Above, PostView
from banyan_reading.questions import PostQuestions
from banyan_schema.social import Target
from banyan_storage.tables import RowLayout

MAX_ANCESTORS = 64
_SPOT = RowLayout("loose 1 | depth 4 | branch 56 | parent 48 | at 56")
CURSOR_BYTES = _SPOT.at.stop


class Spot(NamedTuple):
    """Where an answer stands. loose: in a branch that hangs from nothing. depth: 1 for a direct answer, 0 for one that
    was only looked at. branch, at: the place of the first post of its branch, and its own, both `CURSOR`. parent: what
    it answers."""

    loose: bool
    depth: int
    branch: bytes
    parent: Target
    at: bytes

    @property
    def target(self) -> Target:
        return Target.of(self.at[CURSOR.target])

    @property
    def cursor(self) -> bytes:
        """CURSOR_BYTES."""
        return bytes((self.loose,)) + self.depth.to_bytes(4, "big") + self.branch + self.parent.raw + self.at


class ThreadReply(NamedTuple):
    """depth: 1 for a direct answer, 2 for an answer to that, ... lacking: what it answers, if that is not held."""

    view: PostView
    depth: int
    lacking: Target | None


def spot_of(cursor: bytes) -> Spot:
    """The inverse of `Spot.cursor`, of any CURSOR_BYTES bytes."""
    loose, depth, branch, parent, at = _SPOT.unpack(cursor)
    return Spot(loose == b"\1", int.from_bytes(depth, "big"), branch, Target.of(parent), at)


def above(q: PostQuestions, post: PostView | None) -> Above:
    """What a post answers, up to the first post, but at most MAX_ANCESTORS."""
    found, seen = list[PostView](), set[Target]()
    up = post
    while up is not None and up.post.reply is not None:
        parent = up.post.reply.parent
        if len(found) == MAX_ANCESTORS:
            return Above(tuple(found[::-1]), None, parent)
        seen.add(up.target)
        if parent in seen:  # a false claim: a post cannot answer its own answer
            break
        up = q.post(parent)
        if up is None:
            return Above(tuple(found[::-1]), parent)
        found.append(up)
    return Above(tuple(found[::-1]), None)


def below(q: PostQuestions, root: Target, after: bytes | None = None) -> Iterator[tuple[bytes, ThreadReply | None]]:
    """(cursor, answer) of all that answer a post and its answers. None in the place of what is only looked at, so that
    a caller can stop. after: the cursor of the last one of the page before."""
    spot = None if after is None else spot_of(after)
    if spot is None or not spot.loose:
        for at, view in _branches(q, root, spot):
            yield at.cursor, ThreadReply(view, at.depth, None)
        spot = None
    for at, found, lacking in _loose(q, root, spot):
        yield at.cursor, None if found is None else ThreadReply(found, at.depth, lacking)


def _branches(q: PostQuestions, root: Target, after: Spot | None) -> Iterator[tuple[Spot, PostView]]:
    if after is not None:
        yield from _behind(q, root, after)
    for view in q.replies(root, None if after is None else after.branch):
        if view.target == root:
            continue
        at = Spot(False, 1, view.cursor, root, view.cursor)
        yield at, view
        yield from _behind(q, root, at)


def _loose(q: PostQuestions, root: Target, after: Spot | None) -> Iterator[tuple[Spot, PostView | None, Target | None]]:
    if after is not None and after.depth:
        yield from ((at, view, None) for at, view in _behind(q, root, after))
    shown = None
    for cursor, parent in q.within(root, None if after is None else after.branch):
        at = Spot(True, 2, cursor, parent, cursor)
        hangs = root in (at.target, parent) or q.is_shown(parent)
        view = None if hangs else q.post(at.target)
        if view is None or view.post.reply is None or view.post.reply.root != root:
            yield at._replace(depth=0), None, None
            continue
        yield at, view, None if parent == shown else parent
        shown = parent
        yield from ((below, view, None) for below, view in _behind(q, root, at))


def _behind(q: PostQuestions, root: Target, start: Spot) -> Iterator[tuple[Spot, PostView]]:
    """The rest of a branch behind one of its posts. A post has one parent, so only `root` can be met again, where it
    claims to answer one of its own answers."""
    up: Spot | None = start
    base, parents, lists = start.depth, [start.target], [q.replies(start.target)]
    while True:
        while lists:
            view = next(lists[-1], None)
            if view is None:
                lists.pop()
                parents.pop()
            elif view.target != root:
                yield Spot(start.loose, base + len(lists), start.branch, parents[-1], view.cursor), view
                parents.append(view.target)
                lists.append(q.replies(view.target))
        if up is None or up.at == start.branch or up.depth <= 1:
            return
        base, parents, lists = up.depth - 1, [up.parent], [q.replies(up.parent, up.at)]
        parent = q.post(up.parent)
        if parent is None or parent.post.reply is None:  # deleted since: what is behind it is found as loose
            up = None
        else:
            up = Spot(start.loose, base, start.branch, parent.post.reply.parent, parent.cursor)
