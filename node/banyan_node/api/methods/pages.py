"""What programs that show pages of posts ask for: posts by their addresses, what somebody favoured, and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.blob import BlobRoot
from banyan_node.api.declare import CommitView, Declared, Request, Response
from banyan_node.api.kept_rows import KeptRows
from banyan_node.api.methods.reading import (
    CURSOR_BYTES,
    PostRow,
    PostRows,
    reader_of,
    visibility_of,
)
from banyan_node.api.texts import (
    BlobRef,
    FeedCursor,
    Own,
    PostRef,
    Reader,
    feed_cursor,
    place_of,
    root_of,
    target_of,
)
from banyan_node.hosting import hosted
from banyan_node.media.about import about_of
from banyan_node.media.naming import naming
from banyan_node.operator_errors import CallError
from banyan_reading.answers import PostView, Reposted
from banyan_reading.timelines import CURSOR
from banyan_reading.visibility import FilterContext, Place
from banyan_schema.media import Media
from banyan_schema.social import Target
from banyan_schema.social.reaction import COLLECTION as REACTIONS

METHODS = Declared()
MOST = 400
"""Posts of one question."""
NAMED = 200
"""Things that name a blob, which are looked at to see whether one of them is shown."""


class PostsRequest(Request, frozen=True, forbid_unknown_fields=True):
    """where: only the filters of the reader that count there warn; null: all of them. tag: at home, because the reader
    follows a tag. seen: only those that the reader sees there: not of whom it mutes, and not what a filter hides.
    reposter: as this account reposted them, which `refused` is of then, too. as: the account that reads."""

    uris: Annotated[list[PostRef], Meta(max_length=MOST)]
    where: FilterContext | Literal["tag"] | None = None
    seen: bool = False
    reposter: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None
    by: Reader = None


class FavouritesRequest(Request, frozen=True, forbid_unknown_fields=True):
    by: Own = None
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class ShownBlobRequest(Request, frozen=True, forbid_unknown_fields=True):
    blob: BlobRef


class Posts(Response, frozen=True):
    """In the order of the addresses; null for what is not shown here."""

    posts: list[PostRow | None]


class Favourites(Response, frozen=True):
    """before: give it to get the next page; null on the last one."""

    posts: list[PostRow]
    before: FeedCursor | None


class ShownBlob(Response, frozen=True):
    """type: null if nothing here says it, as of previews that came from peers. whole: whether all bytes are here."""

    type: str | None
    size: int | None
    whole: bool


@METHODS.read("posts.get", "refused")
def posts_get(at: CommitView, ask: PostsRequest) -> Posts:
    """Posts by their addresses."""
    visibility = visibility_of(at, reader_of(at, ask.by), Place(ask.where or "elsewhere"))
    rows, found = KeptRows(at, visibility), list[PostView | None]()
    reposter = None if ask.reposter is None else hosted.account_of(at, ask.reposter)
    for one in ask.uris:
        view = rows.post(target_of(one))
        if view is not None and reposter is not None:
            view = replace(view, reposted=Reposted(reposter, 0))
        shown = view is not None and (not ask.seen or visibility.shows(view))
        found.append(view if shown else None)
    made = iter(rows.rows([(view, ()) for view in found if view is not None]))
    return Posts([None if view is None else next(made) for view in found])


@METHODS.read("favourites", "refused", slow=True)
def favourites(at: CommitView, ask: FavouritesRequest) -> Favourites:
    """The posts to which an account reacted, the latest reaction first."""
    q, reader = at.queries(), hosted.account_of(at, ask.by)
    latest = dict[Target, int]()
    for item in q.items(reader, REACTIONS):
        target = Target(*item.values[:2])
        latest[target] = max(latest.get(target, 0), item.time_ms)
    places = sorted(((ms << 16).to_bytes(8, "big") + target.raw for target, ms in latest.items()), reverse=True)
    before = place_of(ask.before, CURSOR_BYTES, "among favourites")
    rows, page, last = PostRows(q, at.blobs, visibility_of(at, reader)), list[PostRow](), None
    for place in places:
        if before is not None and place >= before:
            continue
        if len(page) == ask.limit:
            return Favourites(page, last)
        last = feed_cursor(place)
        row = rows.of(Target.of(place[CURSOR.target]))
        if row is not None:
            page.append(row)
    return Favourites(page, None)


@METHODS.read("media.shown", "not_found")
def media_shown(at: CommitView, ask: ShownBlobRequest) -> ShownBlob:
    """A blob that a post or a profile names which is shown: what may be given to anybody."""
    root = root_of(ask.blob)
    item = next(_shown_items(at, root), None)
    if item is None:
        raise CallError("not_found", "No post and no profile that is shown here names this blob.", 404)
    held, about = at.blobs.find(root), about_of(at.blobs, root)
    kind = item.type if item.blob == root else about.type if about else None
    size = held.size if held is not None else item.size if item.blob == root else None
    return ShownBlob(kind, size, held is not None and held.whole)


def _shown_items(at: CommitView, root: BlobRoot) -> Iterator[Media]:
    q = at.queries()
    for one in naming(at.store, root, NAMED):
        items: tuple[Media, ...] = ()
        if one.post is not None:
            view = q.post(one.post)
            items = () if view is None else view.post.media
        elif one.field is not None:
            picture = q.profile(one.account).pictures.get(one.field)
            items = () if picture is None else (picture,)
        yield from (item for item in items if root in (item.blob, item.preview))
