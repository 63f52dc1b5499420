"""Conversations: a post, what it answers, and what answers it, page by page."""

from typing import Annotated

from msgspec import Meta, structs

from banyan_node.api import json_types as js
from banyan_node.api.declare import CommitView, MethodTable, ReaderRequest, Response, UndoRequest
from banyan_node.api.methods.posts.post_rows import PostRow, PostRows, reader_of, visibility_of
from banyan_node.api.methods.posts.post_writes import (
    WithheldOrder,
    WrittenEntry,
    add_or_undo,
    held,
    missing,
    withheld_row,
)
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.visibility import PostAbsence, Visibility, why_gone
from banyan_node.operator_errors import bad_request, forbidden
from banyan_reading.answers import PostView
from banyan_reading.queries import Queries
from banyan_reading.threads import CURSOR_BYTES, ThreadReply, above, below
from banyan_reading.visibility import Reason, ViewPlace
from banyan_schema.address import conversation
from banyan_schema.social import Target
from banyan_schema.social.response import Hidden, hide
from banyan_storage.blobs import BlobStore

METHODS = MethodTable()
MOST = 200
LOOKED = 1_000
"""So many more answers are looked at for a page."""
WHY: dict[Reason, str] = {
    "unseen": "by somebody whom the reader blocks or mutes",
    "limited": "by somebody whom the moderators of this node show to followers alone",
    "blocked": "by somebody whom the author of the first post blocks",
    "policy": "not allowed by the author of the conversation, or of the post that it answers",
    "hidden": "hidden by the author of the conversation, or of what it answers",
    "filtered": "hidden by a filter of the reader",
}
"""Why a post of a conversation is not shown."""


class ThreadRequest(ReaderRequest):
    """as: the account that reads. after: then only the answers behind that place."""

    uri: js.PostRef
    after: Annotated[str | None, Meta(title="a place in a conversation", description="`after` of the page before.")] = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=MOST, description="How many answers.")] = MOST


class HideRequest(UndoRequest):
    """uri: the answer or the quote. below: the post of one's own from which it is hidden; default: the first one of the
    conversation that is one's own, or else what is answered, or what is quoted."""

    uri: js.PostRef
    below: js.PostRef | None = None


class ThreadRow(PostRow):
    """depth: 0 for the first held post of the conversation, 1 for a reply to it, and so on."""

    depth: int


class GonePost(Response):
    """word: deleted, withheld, hidden (here, or from this reader), unknown, or further above. sentence: says it of
    "this post", without a full stop. withheld: the order by which it is."""

    word: str
    sentence: str
    withheld: WithheldOrder | None = None


class ThreadGap(Response):
    """A post that stands before `posts[at]` and is not shown. Answers to it are."""

    at: int
    depth: int
    uri: js.PostUri
    gone: GonePost


class Thread(Response):
    """missing: a post that is not shown: the one asked for, or else the one above the first. gone: why. gaps: answers
    that are not shown. after: give it to get the next answers; null if there are none."""

    posts: list[ThreadRow]
    missing: js.PostUri | None
    gone: GonePost | None
    gaps: list[ThreadGap]
    after: js.ThreadCursor | None


def _gone(why: PostAbsence) -> GonePost:
    return GonePost(why.word, why.sentence, withheld_row(why))


FURTHER = GonePost("further", "held here, and so far above that it is not shown: ask for it")


@METHODS.read("thread", "not_found")
def thread(at: CommitView, ask: ThreadRequest) -> Thread:
    """A conversation: a post with the posts above it up to the first, and its replies, each followed by its own.
    Without replies of those that the reader blocks or mutes, of those that the author of the first post blocks or does
    not let answer, and without those that were hidden.

    Replies to a deleted or withheld post are shown, because they belong to their own authors.
    """
    q, target = at.queries(), js.target_of(ask.uri)
    place = _place(ask.after, target)
    post = q.post(target)
    up = above(q, post)
    page = _ThreadPage(
        q,
        at.blobs,
        visibility_of(at, reader_of(at, ask.by), ViewPlace("thread")),
        up.posts[0].target if up.posts else target,
    )
    lacking = target if post is None else up.missing
    gone = None if lacking is None else _gone(why_gone(q, lacking))
    if up.further is not None:
        lacking, gone = up.further, FURTHER
    for view in up.posts:
        why = page.why_not(view)
        if why is None or why == "filtered":
            page.add(view, page.base)
            page.base += 1
        else:  # what stands below it is shown
            page.posts.clear()
            page.base, lacking, gone = 0, view.target, GonePost("hidden", WHY[why])
    if post is not None:
        page.add(post, page.base)
    if place is not None:
        page.posts.clear()
        lacking, gone = None, None
    page.read(target, place, ask.limit)
    if post is None and place is None and not page.posts:
        raise missing(q, target)
    return Thread(page.posts, None if lacking is None else js.uri(lacking), gone, page.gaps, page.after)


@METHODS.write("thread.hide", "not_found", "refused")
def hiding(ctx: Context, ask: HideRequest, now: float) -> WrittenEntry:
    """Hides an answer from a conversation that one opened, or from what one said in it, or a quote of one's post: for
    all readers, at every node. It stays on the page of its author. If it was hidden already, nothing is written."""
    account, post = hosted.account_of(ctx, ask.by), held(ctx, ask.uri, hidden=True)
    said, asked = post.post, None if ask.below is None else js.target_of(ask.below)
    named = [*(said.reply or ()), said.quote] if asked is None else [asked]
    below = next((one for one in named if one is not None and one.account == account), None)
    if below is None or post.target.account == account:
        raise forbidden("Only what others answer to one's own posts, or quote of them, can be hidden.")
    draft = hide(hosted.salt_of(ctx, account), Hidden(below.key, post.target))
    return WrittenEntry(js.entry_hex(add_or_undo(ctx, "thread.hide", account, draft, now, ask.undo)))


def _place(after: str | None, asked: Target) -> bytes | None:
    """The cursor that a page gave. Raises CallError for that of another conversation."""
    place = js.place_of(after, len(conversation(asked)) + CURSOR_BYTES, "in a conversation", "after")
    if place is None:
        return None
    named, place = place[:-CURSOR_BYTES], place[-CURSOR_BYTES:]
    if named != conversation(asked):
        raise bad_request("That place is in another conversation: give `after` of a page of this one.")
    return place


class _ThreadPage:
    """base: the depth of the post that was asked for."""

    def __init__(self, q: Queries, blobs: BlobStore, visibility: Visibility, first: Target) -> None:
        self.q, self.visibility, self._first = q, visibility, first
        self._rows, self._blocked = PostRows(q, blobs, visibility), set(q.blocks(first.account))
        self.base = 0
        self.posts: list[ThreadRow] = []
        self.gaps: list[ThreadGap] = []
        self.after: js.ThreadCursor | None = None

    def add(self, view: PostView, depth: int) -> None:
        self.posts.append(ThreadRow(**structs.asdict(self._rows.row(view)), depth=depth))

    def read(self, target: Target, place: bytes | None, limit: int) -> None:
        """Adds the answers behind a place."""
        last, shown = None, 0
        for n, (cursor, answer) in enumerate(below(self.q, target, place)):
            if n == limit + LOOKED or (shown == limit and answer is not None):
                self.after = last
                return
            last = js.thread_cursor(conversation(target) + cursor)
            shown += answer is not None and self._answer(answer)

    def _answer(self, answer: ThreadReply) -> bool:
        """Whether it is shown."""
        view, depth = answer.view, self.base + answer.depth
        if answer.lacking is not None:
            self._gap(answer.lacking, depth - 1, _gone(why_gone(self.q, answer.lacking)))
        why = self.why_not(view)
        if why is not None:
            self._gap(view.target, depth, GonePost("hidden", WHY[why]))
            return False
        self.add(view, depth)
        return True

    def _gap(self, target: Target, depth: int, gone: GonePost) -> None:
        self.gaps.append(ThreadGap(len(self.posts), depth, js.uri(target), gone))

    def why_not(self, view: PostView) -> Reason | None:
        return self.visibility.of(view, self._blocked, self._first).why
