"""Playlists: posts of anybody in the order in which an account wants them played."""

from typing import Annotated

from msgspec import Meta

from banyan_crdt.ids import AccountId
from banyan_crdt.ops import Put
from banyan_node.api import json_types as js
from banyan_node.api.declare import ActorRequest, CommitView, MethodTable, ReaderRequest, Response
from banyan_node.api.methods.places.channels import After, Limit, titled
from banyan_node.api.methods.places.episodes import GoneWord, post_or_gone
from banyan_node.api.methods.posts.post_rows import (
    AccountName,
    PostRow,
    PostRows,
    account_name,
    reader_of,
    visibility_of,
)
from banyan_node.api.methods.posts.post_writes import missing
from banyan_node.context import Context
from banyan_node.hosting import hosted
from banyan_node.hosting.entry_writer import append, new_target
from banyan_node.hosting.visibility import shown
from banyan_node.operator_errors import bad_request, forbidden, not_found
from banyan_reading.channels import playlist_of, playlists_of
from banyan_reading.queries import Queries
from banyan_schema.address import Target
from banyan_schema.social.channel import MAX_POSTS, PLAYLIST, Playlist, drop_playlist, write_playlist

METHODS = MethodTable()
Posts = Annotated[list[js.PostRef], Meta(max_length=MAX_POSTS)]


class PlaylistSet(ActorRequest):
    """playlist: the one that changes; without it a new one is made, which needs a title. What is left out does not
    change. posts: in the place of all that there are, in their order. add: posts behind those; take: posts that are
    taken out, wherever they are."""

    playlist: js.PlaylistRef | None = None
    title: str | None = None
    description: str | None = None
    posts: Posts | None = None
    add: Posts | None = None
    take: Posts | None = None


class PlaylistsRequest(ActorRequest):
    """account: whose playlists; default: those of the account that reads."""

    account: js.Own = None
    after: After = None
    limit: Limit = 50


class PlaylistRequest(ReaderRequest):
    """as: the account that reads, or that drops its playlist."""

    playlist: js.PlaylistRef


class PlaylistRow(Response):
    """posts: how many, those that are gone too."""

    uri: js.PostUri
    account: AccountName
    title: str
    description: str
    posts: int


class PlaylistPages(Response):
    """after: give it to get the next page; null on the last page."""

    playlists: list[PlaylistRow]
    after: js.SeriesPlace | None


class PlaylistPost(Response):
    """post: null if it is gone, and `gone` says why: deleted by its author, withheld by this node, unknown here, or
    hidden because the reader blocks, mutes or filters it."""

    uri: js.PostUri
    post: PostRow | None
    gone: GoneWord | None


class PlaylistShown(Response):
    """posts: all of them, in their order."""

    uri: js.PostUri
    account: AccountName
    title: str
    description: str
    posts: list[PlaylistPost]


class PlaylistWritten(Response):
    """posts: how many there are now."""

    uri: js.PostUri
    title: str
    posts: int
    entry: js.EntryHex


def _held(q: Queries, target: Target) -> Playlist:
    return shown(q, playlist_of(q, target), PLAYLIST, target, "playlist", "dropped by its account")


def _own(q: Queries, account: AccountId, text: str, does: str) -> tuple[Target, Playlist]:
    target = js.target_of(text, "a playlist")
    found = _held(q, target)
    if target.account != account:
        raise forbidden(f"Only the account of the playlist '{found.title}' {does}.")
    return target, found


@METHODS.read("playlist.list", "refused")
def listing(at: CommitView, ask: PlaylistsRequest) -> PlaylistPages:
    """The playlists of an account."""
    q, account = at.queries(), hosted.account_of(at, ask.account or ask.by)
    who, place = account_name(q, account), js.place_of(ask.after, 16, "among playlists", "after")
    rows = (
        (js.series_place(target.key), PlaylistRow(js.uri(target), who, said.title, said.description, len(said.posts)))
        for target, said in playlists_of(q, account, place or b"")
    )
    return PlaylistPages(*js.page_of(rows, ask.limit))


@METHODS.read("playlist.show", "not_found", "refused")
def show(at: CommitView, ask: PlaylistRequest) -> PlaylistShown:
    """A playlist and its posts, in their order. What is gone of them is marked."""
    q, target = at.queries(), js.target_of(ask.playlist, "a playlist")
    said, visibility = _held(q, target), visibility_of(at, reader_of(at, ask.by))
    rows, who = PostRows(q, at.blobs, visibility), account_name(q, target.account)
    posts = [PlaylistPost(js.uri(post), *post_or_gone(q, rows, visibility, post)) for post in said.posts]
    return PlaylistShown(js.uri(target), who, said.title, said.description, posts)


def _posts(q: Queries, ask: PlaylistSet, was: tuple[Target, ...]) -> tuple[Target, ...]:
    """The posts as they are to be. One that was not there before must be held. Raises CallError."""
    taken = {js.target_of(text) for text in ask.take or ()}
    for target in taken:
        if target not in was:
            raise not_found(f"The post {js.uri(target)} is not in the playlist.")
    start = was if ask.posts is None else tuple(js.target_of(text) for text in ask.posts)
    found = (*(one for one in start if one not in taken), *(js.target_of(text) for text in ask.add or ()))
    for target in {*found} - {*was}:
        if q.post(target) is None:
            raise missing(q, target)
    if len(found) > MAX_POSTS:
        raise bad_request(f"A playlist has at most {MAX_POSTS} posts, not {len(found)}.")
    return found


@METHODS.write("playlist.set", "not_found", "refused")
def change(ctx: Context, ask: PlaylistSet, now: float) -> PlaylistWritten:
    """Makes a playlist, or changes one. If two devices change one at the same time, the later change shows, whole."""
    account, q = hosted.account_of(ctx, ask.by), ctx.queries()
    if ask.playlist is None:
        target, was = new_target(ctx, account, now), Playlist("")
    else:
        target, was = _own(q, account, ask.playlist, "changes it")
    said = Playlist(
        titled("playlist", was.title if ask.title is None else ask.title),
        was.description if ask.description is None else ask.description,
        _posts(q, ask, was.posts),
    )
    live = q.live(account, Put(PLAYLIST, target.key, (), None))
    entry = append(ctx, account, [write_playlist(target.key, said, live)], now)
    return PlaylistWritten(js.uri(target), said.title, len(said.posts), js.entry_hex(entry))


@METHODS.write("playlist.drop", "not_found", "refused")
def drop(ctx: Context, ask: PlaylistRequest, now: float) -> PlaylistWritten:
    """Ends a playlist for good. Its posts stay."""
    account = hosted.account_of(ctx, ask.by)
    target, said = _own(ctx.queries(), account, ask.playlist, "drops it")
    entry = append(ctx, account, [drop_playlist(target.key)], now)
    return PlaylistWritten(js.uri(target), said.title, len(said.posts), js.entry_hex(entry))
