"""Posts by their addresses, who reacted to one, and what proves it to somebody who does not trust this node."""

from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from typing import Annotated, Literal

from msgspec import Meta

from banyan_crdt.blob import BlobRoot
from banyan_crdt.ids import AccountId
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, PostOf, ReaderRequest, Request, Response
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    PostRow,
    PostRows,
    account_name,
    name_of,
    reader_of,
    visibility_of,
)
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.api.row_cache import RowCache
from banyan_node.hosting import hosted
from banyan_node.media.local_blobs import about_of, naming
from banyan_node.operator_errors import bad_request, not_found
from banyan_reading.answers import CURSOR, CURSOR_BYTES, RepostView
from banyan_reading.responses import NUMBER_BYTES
from banyan_reading.visibility import FilterContext, ViewPlace
from banyan_schema.address import short
from banyan_schema.media import Media
from banyan_schema.social import Target
from banyan_schema.social.response import REACTION_COLLECTION as REACTIONS
from banyan_storage.archive import export_proof

METHODS = MethodTable()


class PostGetRequest(ReaderRequest):
    """as: the account that reads."""

    uri: js.PostRef


class PostProof(Response):
    """entry: that shows. archive: base64, the frames of an archive (docs/protocol.md, section 12): the account's
    control log and checkpoints, the run with that entry up to its signature, and the post's content."""

    uri: js.PostUri
    entry: js.EntryHex
    archive: str


@METHODS.read("post.get", "not_found")
def get(at: CommitView, ask: PostGetRequest) -> PostRow:
    """One post, as the account sees it that reads."""
    q, target = at.queries(), js.target_of(ask.uri)
    view, visibility = q.post(target), visibility_of(at, reader_of(at, ask.by))
    if view is None:
        raise missing(q, target)
    if visibility.hides(target.account):
        raise not_found(f"{ask.uri} is by somebody whom the reader blocks or mutes.")
    return PostRows(q, at.blobs, visibility).row(view)


@METHODS.read("post.proof", "not_found")
def proof(at: CommitView, ask: PostOf) -> PostProof:
    """What proves a post: that its author's key signed it, and that this key may speak for the account. It does not
    prove that the post was not edited or deleted since."""
    q, target = at.queries(), js.target_of(ask.uri)
    view = q.post(target)
    shown = None if view is None else q.ref(view.write)
    place = None if shown is None else at.store.place(shown.entry)
    if shown is None or place is None:
        raise missing(q, target)
    out = BytesIO()
    if not export_proof(at.store, *place, shown.op, out):
        raise not_found(f"The signature of {ask.uri} is not held here yet.")
    return PostProof(js.uri(target), js.entry_hex(shown.entry), b64encode(out.getvalue()).decode())


# For programs that show pages of posts.

MOST = 400
"""Posts of one question."""
NAMED = 200
"""Things that name a blob, which are looked at to see whether one of them is shown."""


class PostsRequest(ReaderRequest):
    """where: only the filters of the reader that count there warn, and what its labellers hide is left out; null: all
    filters warn. tag: at home, because the reader follows a tag. seen: only those that the reader sees there: not of
    whom it mutes, and not what a filter hides. reposter: as this account reposted them, which `refused` is of then,
    too. as: the account that reads."""

    uris: Annotated[list[js.PostRef], Meta(max_length=MOST)]
    where: FilterContext | Literal["tag"] | None = None
    seen: bool = False
    reposter: Annotated[str | None, Meta(title="an account", description="A DID, or a name hosted here.")] = None


class FavouritesRequest(ActorRequest):
    before: Annotated[str | None, Meta(title="a place in a feed", description="`before` of the page above.")] = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class ShownBlobRequest(Request):
    blob: js.BlobRef


class Posts(Response):
    """In the order of the addresses; null for what is not shown here."""

    posts: list[PostRow | None]


class Favourites(Response):
    """before: give it to get the next page; null on the last one."""

    posts: list[PostRow]
    before: js.FeedCursor | None


class ShownBlob(Response):
    """type: null if nothing here says it, as of previews that came from peers. whole: whether all bytes are here."""

    type: str | None
    size: int | None
    whole: bool


@METHODS.read("posts.get", "refused")
def posts_get(at: CommitView, ask: PostsRequest) -> Posts:
    """Posts by their addresses."""
    visibility = visibility_of(at, reader_of(at, ask.by), ViewPlace(ask.where or "elsewhere"))
    rows, targets = RowCache(at, visibility), [*map(js.target_of, ask.uris)]
    by = None if ask.reposter is None else RepostView(hosted.account_of(at, ask.reposter), 0)
    views = {target: view._replace(reposted=by) for target, view in rows.posts(targets).items()}
    shown = [view for view in views.values() if not ask.seen or visibility.shows(view)]
    shown = [view for view in shown if not ask.where or not visibility.is_labelled(view.target)]
    made = dict(zip([view.target for view in shown], rows.rows([(view, ()) for view in shown]), strict=True))
    return Posts([made.get(target) for target in targets])


@METHODS.read("favourites", "refused", slow=True)
def favourites(at: CommitView, ask: FavouritesRequest) -> Favourites:
    """The posts to which an account reacted, the latest reaction first."""
    q, reader = at.queries(), hosted.account_of(at, ask.by)
    latest = dict[Target, int]()
    for item in q.items(reader, REACTIONS):
        target = Target(*item.values[:2])
        latest[target] = max(latest.get(target, 0), item.time_ms)
    places = sorted(((ms << 16).to_bytes(8, "big") + target.raw for target, ms in latest.items()), reverse=True)
    before = js.place_of(ask.before, CURSOR_BYTES, "among favourites")
    rows = PostRows(q, at.blobs, visibility_of(at, reader))
    found = (
        (js.feed_cursor(place), rows.of(Target.of(place[CURSOR.target])))
        for place in places
        if before is None or place < before
    )
    return Favourites(*js.page_of(found, ask.limit))


@METHODS.read("media.shown", "not_found")
def media_shown(at: CommitView, ask: ShownBlobRequest) -> ShownBlob:
    """A blob that a post or a profile names which is shown: what may be given to anybody."""
    root = js.root_of(ask.blob)
    item = next(_shown_items(at, root), None)
    if item is None:
        raise not_found("No post and no profile that is shown here names this blob.")
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


# Who reacted to a post, and who reposted it.

RESPONSES_MOST = 1_000
"""The most rows of a page."""
After = Annotated[str | None, Meta(title="a place among responses", description="`after` of the page before.")]


class RepostersRequest(ReaderRequest):
    """as: the account that reads. every: also those that it does not see, or that are limited here."""

    uri: js.PostRef
    every: bool = False
    after: After = None
    limit: Annotated[int, Meta(ge=1, le=RESPONSES_MOST)] = 100


class ReactionsRequest(ReaderRequest):
    """emoji: only those who reacted with it. as: the account that reads."""

    uri: js.PostRef
    emoji: Annotated[str, Meta(max_length=100)] | None = None
    after: After = None
    limit: Annotated[int, Meta(ge=1, le=RESPONSES_MOST)] = 100


class FindRepost(Request):
    """account: who reposted. time_ms: when. short: the first 16 bytes of the SHA-256 of account and key of the post."""

    account: js.AccountRef
    time_ms: Annotated[int, Meta(ge=0, lt=1 << 48, description="Milliseconds since 1970.")]
    short: Annotated[str, Meta(title="a post in short", description="32 digits.", pattern="^[0-9a-f]{32}$")]


class ReactorRow(AccountName):
    emoji: str


class Reactions(Response):
    """By emoji, then in the order in which this node met the accounts, without those that the reader does not see.
    after: give it to get the next page; null on the last one. A page can be short or empty, and have one behind it."""

    reactions: list[ReactorRow]
    after: js.ResponsePlace | None


class Reposters(Response):
    """The same of those who reposted."""

    accounts: list[AccountName]
    after: js.ResponsePlace | None


class FoundRepost(Response):
    """uri: of the post; null: there is no such repost here."""

    uri: js.PostUri | None


@METHODS.read("reactions", "refused")
def reactions(at: CommitView, ask: ReactionsRequest) -> Reactions:
    """Who reacted to a post, and with what."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    rows = (
        (js.response_place(cursor), ReactorRow(js.did(one), name_of(q, one), emoji) if visibility.sees(one) else None)
        for cursor, one, emoji in q.reacted(js.target_of(ask.uri), (ask.emoji or "").strip(), _place(ask.after))
    )
    return Reactions(*js.page_of(rows, ask.limit))


@METHODS.read("reposts", "refused")
def reposters(at: CommitView, ask: RepostersRequest) -> Reposters:
    """Who reposted a post."""
    q, visibility = at.queries(), visibility_of(at, reader_of(at, ask.by))
    target = js.target_of(ask.uri)

    def wanted(account: AccountId) -> bool:
        refused = visibility.rules.refuses("reposts", account, [target])
        return not refused and (ask.every or visibility.sees(account))

    found = q.reposted(target, _place(ask.after))
    rows = ((js.response_place(cursor), account_name(q, one) if wanted(one) else None) for cursor, one in found)
    return Reposters(*js.page_of(rows, ask.limit))


@METHODS.read("repost.find", "refused")
def find_repost(at: CommitView, ask: FindRepost) -> FoundRepost:
    """Which post an account reposted at a time, for programs that keep a repost under a short name."""
    wanted = bytes.fromhex(ask.short)
    found = at.queries().reposted_at(hosted.account_of(at, ask.account), ask.time_ms)
    return FoundRepost(next((js.uri(target) for target in found if short(target) == wanted), None))


def _place(given: str | None) -> bytes:
    """Raises CallError."""
    try:
        place = bytes.fromhex(given or "")
    except ValueError:
        place = b"?"
    if given and len(place) < NUMBER_BYTES:
        raise bad_request(f"'{given[:60]}' is no place among responses: give `after` of the page before.")
    return place
